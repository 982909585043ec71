// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Families;

/// <summary>What IPv6 needs of settings, subnet and node (docs/ipv6.md): without it the reason is shown.</summary>
public sealed class FamilyRequirementTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("ENABLE_IPv4=false", "ENABLE_IPv4='false'", "pods need addresses of one family at least")]
    [InlineData("ENABLE_IPv4=false ENABLE_IPv6=true", "ENABLE_PREFIX_DELEGATION='false'", "pods get their addresses from a prefix")]
    [InlineData(
        "ENABLE_IPv4=false ENABLE_IPv6=true ENABLE_PREFIX_DELEGATION=true AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true MY_NODE_NAME=n "
            + "KUBERNETES_SERVICE_HOST=192.0.2.1",
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG='true'",
        "all pods have addresses of the primary ENI"
    )]
    [InlineData("ENABLE_IPv6=true AWS_VPC_ENI_MTU=1279", "AWS_VPC_ENI_MTU='1279'", "the minimum MTU of IPv6")]
    [InlineData("ENABLE_IPv6=true POD_MTU=1000", "POD_MTU='1000'", "the minimum MTU of IPv6")]
    public async Task Daemon_with_settings_that_exclude_each_other_does_not_start(string settings, string option, string reason)
    {
        var folder = Directory.CreateTempSubdirectory("vpccni-env-");
        try
        {
            var start = new ProcessStartInfo(Binaries.Ipamd, ["run"]) { RedirectStandardError = true, UseShellExecute = false };
            start.Environment["VPCCNI_SOCKET_PATH"] = Path.Combine(folder.FullName, "ipamd.sock");
            start.Environment["AWS_VPC_K8S_CNI_BACKING_STORE"] = Path.Combine(folder.FullName, "ipam.json");
            start.Environment["AWS_VPC_K8S_CNI_LOG_FILE"] = Path.Combine(folder.FullName, "ipamd.log");
            foreach (var setting in settings.Split(' '))
                start.Environment[setting.Split('=')[0]] = setting.Split('=')[1];
            using var process = Process.Start(start)!;
            var error = await process.StandardError.ReadToEndAsync(Token);
            await process.WaitForExitAsync(Token).WaitAsync(TimeSpan.FromSeconds(15), Token);

            Assert.Equal(1, process.ExitCode);
            Assert.Contains("1 problem(s)", error, StringComparison.Ordinal);
            Assert.Contains(option, error, StringComparison.Ordinal);
            Assert.Contains(reason, error, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFileSystemEntries(folder.FullName));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>In a subnet without an IPv6 range no node has an IPv6 address, so both are the same to the daemon.</summary>
    [Theory]
    [InlineData("false", "true")]
    [InlineData("true", "false")]
    public async Task Node_in_a_subnet_without_an_IPv6_range_serves_running_pods_only(string ipv4, string prefixes)
    {
        await using var node = await NodeLab.StartAsync(new() { ["IP_COOLDOWN_PERIOD"] = "0" });
        var running = await node.AddAsync("running");
        await RestartAsync(
            node,
            new()
            {
                ["ENABLE_IPv4"] = ipv4,
                ["ENABLE_IPv6"] = "true",
                ["ENABLE_PREFIX_DELEGATION"] = prefixes,
            }
        );

        await AssertNotIdentifiedAsync(node);

        Assert.True(await node.PingAsync("running", node.TheNode.Address.ToString()));
        await node.DeleteAsync("running");
        await RestartAsync(node, []);
        await node.Lab.WaitUntilReadyAsync(Token);
        Assert.Equal(0, await node.AssignedAsync());
        Assert.Equal(running.Address, (await node.AddAsync("served")).Address);
    }

    /// <summary>
    /// EC2 would make the first address for pods the node's: the metadata and DHCPv6 give it to the node.
    /// </summary>
    [Theory]
    [InlineData("Ipv6")]
    [InlineData("Dual")]
    public async Task Primary_interface_without_an_IPv6_address_gets_none_for_pods_until_it_has_one_for_the_node(string family)
    {
        await using var node = await NodeLab.StartAsync(
            new() { ["ENABLE_IPv4"] = "true", ["ENABLE_IPv6"] = "false" },
            options => options with { Family = LabFamily.Dual }
        );
        var primary = node.TheNode.Instance.PrimaryInterface;
        node.Lab.World.With(world => world.UnassignIpv6Addresses(primary, [node.TheNode.Ipv6Address!], []));
        var mode = new Dictionary<string, string>
        {
            ["ENABLE_IPv4"] = family == "Dual" ? "true" : "false",
            ["ENABLE_IPv6"] = "true",
            ["ENABLE_PREFIX_DELEGATION"] = family == "Dual" ? "false" : "true",
        };
        await RestartAsync(node, mode);

        await AssertNotIdentifiedAsync(node);

        Assert.Equal(0, node.Lab.World.With(world => world.FindInterface(primary)!.Ipv6Slots));
        var own = node.Lab.World.With(world => world.AssignIpv6Addresses(primary, AddressRequest.Any(1))).Addresses[0];
        await node.Lab.WaitUntilReadyAsync(Token);
        var pod = await node.AddAsync("served");
        Assert.NotEqual(own, pod.AddressOf(IpFamily.V6));
        Assert.Equal(family == "Dual" ? 2 : 1, pod.Addresses.Count);

        // The next daemon does not mistake an address of a pod for the node's.
        await RestartAsync(node, mode);
        await node.Lab.WaitUntilReadyAsync(Token);
        Assert.Equal(1, await node.AssignedAsync());
        Assert.Contains("CLEAN", await TextAsync(node, "audit"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Exhausted_IPv6_range_refuses_the_pod_and_leaves_the_others()
    {
        await using var node = await NodeLab.StartAsync(
            new() { ["ENABLE_IPv6"] = "false" },
            options => options with { Family = LabFamily.Dual }
        );
        await node.AddAsync("ipv4");
        node.Lab.World.LimitIpv6Ranges(new Ipv6RangeSpec(0));
        await node.TheNode.Ipamd!.KillAsync(Token);
        node.TheNode.Ipamd.Start(new Dictionary<string, string> { ["ENABLE_IPv6"] = "true" });
        await node.Lab.WaitUntilReadyAsync(Token);

        const string reason = "InsufficientFreeAddressesInSubnet";
        var before = await FamilyNode.PodNetworkAsync(node);
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("refused"));
        Assert.Equal(11, failure.Code);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.Contains(reason, await TextAsync(node, "status"), StringComparison.Ordinal);
        Assert.Contains(reason, await TextAsync(node, "explain", "default/refused"), StringComparison.Ordinal);
        Assert.Equal(before, await FamilyNode.PodNetworkAsync(node));
        Assert.Equal(1, await node.AssignedAsync());
        Assert.Null(node.Lab.Cluster.FindPod(PodName.Parse("default/refused")));

        Assert.True(await node.PingAsync("ipv4", node.TheNode.Address.ToString()));
        await node.DeleteAsync("ipv4");
        Assert.Equal(0, await node.AssignedAsync());
    }

    /// <summary>Asserts that status and log name the missing address, and that an ADD fails and leaves nothing.</summary>
    private static async Task AssertNotIdentifiedAsync(NodeLab node)
    {
        var reason = $"{node.TheNode.Instance.PrimaryInterface}, the primary interface, has no IPv6 address";
        await Eventually.TrueAsync(async () => (await TextAsync(node, "status")).Contains(reason, StringComparison.Ordinal));
        Assert.Equal(1, (await node.StatusAsync()).ExitCode);
        Assert.Contains(reason, node.Log, StringComparison.Ordinal);
        var before = await FamilyNode.PodNetworkAsync(node);
        await Assert.ThrowsAsync<CniException>(() => node.AddAsync("refused"));
        Assert.Equal(before, await FamilyNode.PodNetworkAsync(node));
    }

    private static async Task RestartAsync(NodeLab node, Dictionary<string, string> changes)
    {
        await node.TheNode.Ipamd!.KillAsync(Token);
        node.TheNode.Ipamd.Start(new Dictionary<string, string>(changes) { ["VPCCNI_ADD_WAIT_SECONDS"] = "1" });
    }

    /// <summary>Output of a command of the daemon's program without line breaks.</summary>
    private static async Task<string> TextAsync(NodeLab node, params string[] arguments) =>
        string.Join(
            ' ',
            (await node.TheNode.Ipamd!.RunCommandAsync(arguments, Token)).Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
        );
}
