// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Families;

/// <summary>Changes of a node's families with running pods (docs/ipv6.md, "Change the mode of a node with running pods").</summary>
public sealed class FamilySwitchTests
{
    /// <summary>More than the primary interface of an m5.large has single addresses for.</summary>
    private const int Pods = 11;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("ipv4", "dual")]
    [InlineData("ipv4", "ipv6")]
    [InlineData("dual", "ipv4")]
    [InlineData("dual", "ipv6")]
    [InlineData("ipv6", "ipv4")]
    [InlineData("ipv6", "dual")]
    public async Task Running_pods_keep_their_addresses_and_new_ones_get_those_of_the_new_mode(string before, string after)
    {
        await using var node = await NodeLab.StartAsync(Mode(before), options => options with { Family = LabFamily.Dual, MaxPods = 110 });
        List<LabPod> running = [];
        for (var index = 0; index < Pods; index++)
            running.Add(await node.AddAsync($"old-{index}"));
        Assert.All(running, pod => Assert.Equal(FamiliesOf(before), pod.Addresses.Select(address => address.AddressFamily)));
        var listed = await ListAsync(node);

        await node.TheNode.Ipamd!.KillAsync(Token);
        node.TheNode.Ipamd.Start(Mode(after));
        await node.Lab.WaitUntilReadyAsync(Token);

        Assert.Equal(listed, await ListAsync(node));
        // Nine pods of dual stack use all slots of the primary interface.
        if (after == "ipv6" && before != "dual")
            await Eventually.TrueAsync(() => Prefix(node) is not null);
        var added = await node.AddAsync("new");
        Assert.Equal(FamiliesOf(after), added.Addresses.Select(address => address.AddressFamily));
        foreach (var pod in (LabPod[])[running[0], running[^1], added])
            await AssertConnectedAsync(node, pod);
        foreach (var family in FamiliesOf(before).Intersect(FamiliesOf(after)))
            await FamilyNode.Probe.TcpAsync(added.Network, running[^1].Network, running[^1].AddressOf(family)!, Token);
        await AssertCleanAsync(node);

        for (var index = 0; index < Pods; index++)
            await node.DeleteAsync($"old-{index}");
        await AssertConnectedAsync(node, added);
        if (after == "ipv6")
        {
            await Eventually.TrueAsync(() => Prefix(node) is not null, TimeSpan.FromSeconds(60));
            var last = await node.AddAsync("last");
            Assert.True(Prefix(node)!.Value.Contains(last.Address), $"{last.Address} is not of {Prefix(node)}");
            await AssertConnectedAsync(node, last);
            await node.DeleteAsync("last");
        }

        await node.DeleteAsync("new");
        var left = "";
        await Eventually.TrueAsync(async () => (left = await FamilyNode.PodNetworkAsync(node)) == "", what: "nothing is left of the pods");
        await AssertCleanAsync(node);
        Assert.Equal("", left);
    }

    /// <summary>EC2 gives each new interface an IPv6 address in a subnet that assigns them, which is nothing to an IPv4 node.</summary>
    [Fact]
    public async Task Node_in_IPv4_mode_does_not_forward_IPv6_for_the_addresses_that_its_subnet_assigns()
    {
        await using var node = await NodeLab.StartAsync(Mode("ipv4"), options => options with { Family = LabFamily.Dual });
        await node.AddAsync("web");
        await Eventually.TrueAsync(async () =>
            (await node.ExecAsync("sh", "-c", "ip route show table 2 2>/dev/null || true")).Contains("default", StringComparison.Ordinal)
        );
        Assert.All(
            node.Lab.World.With(world => world.InterfacesOf(node.TheNode.Instance.Id).ToArray()),
            eni => Assert.Single(eni.Ipv6Addresses)
        );
        // The checks of a new interface run before the answer to this one.
        await AssertCleanAsync(node);

        Assert.Equal("0", (await node.ExecAsync("cat", "/proc/sys/net/ipv6/conf/all/forwarding")).Trim());
        Assert.Equal("", await node.ExecAsync("sh", "-c", "ip -6 route show table 2 2>/dev/null || true"));
        Assert.DoesNotContain("level=warn", node.Log, StringComparison.Ordinal);
    }

    /// <summary>The IPv6 prefix of the primary interface in EC2; null if it has none.</summary>
    private static IPNetwork? Prefix(NodeLab node) =>
        node.Lab.World.With(world => world.FindInterface(node.TheNode.Instance.PrimaryInterface)!.Ipv6Prefixes) is [var prefix, ..]
            ? prefix
            : null;

    private static Dictionary<string, string> Mode(string mode) =>
        new()
        {
            ["ENABLE_IPv4"] = mode == "ipv6" ? "false" : "true",
            ["ENABLE_IPv6"] = mode == "ipv4" ? "false" : "true",
            ["ENABLE_PREFIX_DELEGATION"] = mode == "ipv6" ? "true" : "false",
            ["IP_COOLDOWN_PERIOD"] = "0",
        };

    private static IEnumerable<AddressFamily> FamiliesOf(string mode) =>
        mode switch
        {
            "ipv4" => [IpFamily.V4],
            "ipv6" => [IpFamily.V6],
            _ => [IpFamily.V4, IpFamily.V6],
        };

    /// <summary>Asserts that a pod has every path that its addresses give it, and the node-local one of an IPv6 pod.</summary>
    private static async Task AssertConnectedAsync(NodeLab node, LabPod pod)
    {
        foreach (var address in pod.Addresses)
        {
            await FamilyNode.Probe.TcpAsync(node.Lab.Fabric.OnPremises, pod.Network, address, Token);
            await FamilyNode.Probe.TcpAsync(node.TheNode.Network, pod.Network, address, Token);
        }

        Assert.Equal(node.TheNode.Address, await SourceAsync(FabricAddresses.InternetHost));
        if (pod.AddressOf(IpFamily.V6) is { } six)
            Assert.Equal(six, await SourceAsync(FabricAddresses.InternetHost6));

        async Task<IPAddress> SourceAsync(IPAddress host) =>
            (await FamilyNode.Probe.TcpAsync(pod.Network, node.Lab.Fabric.Internet, host, Token)).ObservedSource;
    }

    private static async Task<IEnumerable<string>> ListAsync(NodeLab node) =>
        (await node.TheNode.Ipamd!.RunCommandAsync(["pods"], Token))
            .Output.Split('\n')
            .Where(line => line.Contains("default/", StringComparison.Ordinal))
            .Select(line => $"{line.Split(' ')[0]} {line.Split(' ')[^1]}")
            .Order(StringComparer.Ordinal);

    private static async Task AssertCleanAsync(NodeLab node)
    {
        var audit = await node.TheNode.Ipamd!.RunCommandAsync(["audit"], Token);
        Assert.True(audit.ExitCode == 0 && audit.Output.Contains("CLEAN", StringComparison.Ordinal), audit.Output + audit.Errors);
    }
}
