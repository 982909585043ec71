// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>The modes of the pool with the real binaries, and kills of the daemon during changes.</summary>
public sealed class PoolModesTests
{
    [Fact]
    public async Task Pods_with_prefix_delegation_have_addresses_of_prefixes()
    {
        await using var node = await NodeLab.StartAsync(new() { ["ENABLE_PREFIX_DELEGATION"] = "true", ["WARM_PREFIX_TARGET"] = "1" });
        List<LabPod> pods = [];
        for (var index = 0; index < 18; index++)
            pods.Add(await node.AddAsync($"p{index}"));
        Assert.Equal(2, pods.Select(pod => Prefix(pod.Address)).Distinct().Count());
        await Eventually.TrueAsync(() => Task.FromResult(Blocks(node) is { Prefixes: 3, Singles: 0 }));
        Assert.True(await node.PingAsync("p0", pods[17].Address.ToString()));
        Assert.True(await node.PingAsync("p17", node.TheNode.Address.ToString()));
    }

    [Fact]
    public async Task Switch_to_prefixes_and_back_keeps_running_pods_connected()
    {
        // Prefix delegation requires a higher max pods in kubelet: the default of the type leaves no room for a prefix.
        await using var node = await NodeLab.StartAsync(change: options => options with { MaxPods = 110 });
        var single = await node.AddAsync("single");

        // The pool replaces the pod's address from a second interface, which leaves 17 free single addresses: as many as one prefix, so
        // only a target of two warm prefixes requires one.
        await Eventually.TrueAsync(async () =>
            (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("total").GetInt32() == 18
        );
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start(new Dictionary<string, string> { ["ENABLE_PREFIX_DELEGATION"] = "true", ["WARM_PREFIX_TARGET"] = "2" });
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        // EC2 has assigned the prefix before the daemon has the answer; until then the next pod gets a free single address.
        await Eventually.TrueAsync(
            async () =>
                Blocks(node).Prefixes > 0
                && (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("total").GetInt32() > 18,
            TimeSpan.FromSeconds(60)
        );
        var prefixed = await node.AddAsync("prefixed");
        Assert.Contains(
            node.TheNode.Instance.Id,
            node.Lab.World.Model.Interfaces.Where(eni => eni.Ipv4Prefixes.Any(range => range.Contains(prefixed.Address)))
                .Select(eni => eni.Attachment!.Instance)
        );
        Assert.True(await node.PingAsync("single", prefixed.Address.ToString()));

        await node.TheNode.Ipamd.KillAsync(TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        var again = await node.AddAsync("again");
        Assert.True(await node.PingAsync("again", single.Address.ToString()));
        Assert.True(await node.PingAsync("again", prefixed.Address.ToString()));
        Assert.Equal(3, (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("assigned").GetInt32());
    }

    [Theory]
    [InlineData("CreateNetworkInterface")]
    [InlineData("AttachNetworkInterface")]
    public async Task Interface_whose_creation_is_interrupted_by_a_kill_is_completed(string lastCall)
    {
        await using var node = await NodeLab.StartAsync(change: options =>
            options with
            {
                Ec2Latency = TimeSpan.FromMilliseconds(300),
                AttachLatency = TimeSpan.FromSeconds(1),
            }
        );
        await node.AddAsync("a");
        await Eventually.TrueAsync(() => Task.FromResult(Called(node, lastCall)), TimeSpan.FromSeconds(10));
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(
            async () =>
                Interfaces(node) is { Length: 2 } interfaces
                && interfaces.All(eni =>
                    eni.Attachment is { Status: AttachmentStatus.Attached, DeleteOnTermination: true } or { DeviceIndex: 0 }
                )
                && (await node.StatusAsync()).Answer!.Value is var status
                && status.GetProperty("pool").GetProperty("total").GetInt32() == 18
                && status.GetProperty("cloud").GetProperty("openChanges").GetArrayLength() == 0,
            TimeSpan.FromSeconds(30)
        );
        Assert.Equal(
            1,
            node.Lab.World.Model.Calls.Recent.Select(call => call.Operation).Count(operation => operation == "AttachNetworkInterface")
        );
    }

    [Fact]
    public async Task New_interface_is_in_the_tagged_subnet_with_the_most_free_addresses()
    {
        // The seventh subnet of the lab is in the zone of the first.
        var ranges = Enumerable.Range(0, 7).Select(index => IPNetwork.Parse($"10.0.{16 * index}.0/{(index == 0 ? 24 : 20)}")).ToArray();
        await using var node = await NodeLab.StartAsync(
            change: options => options with { Subnets = ranges, Nodes = [1, 0, 0, 0, 0, 0, 0] },
            beforeReady: lab =>
            {
                lock (lab.World.Model.Gate)
                {
                    var subnet = lab.World.Model.Subnets.Single(subnet => subnet.Ipv4Range == ranges[6]);
                    lab.World.Model.CreateTags([subnet.Id.Value], new Dictionary<string, string> { ["kubernetes.io/role/cni"] = "1" });
                }
            }
        );
        // The daemon may have described the subnets before they were tagged; the next daemon describes them again.
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        for (var index = 0; index < 10; index++)
            await node.AddAsync($"p{index}");
        Assert.Contains(Interfaces(node), eni => ranges[6].Contains(eni.PrimaryAddress));
        var away = node.TheNode.Pods.Single(pod => ranges[6].Contains(pod.Address));
        Assert.True(await node.PingAsync("p0", away.Address.ToString()));
    }

    [Fact]
    public async Task Level_of_cloud_access_is_changed_at_run_time()
    {
        await using var node = await NodeLab.StartAsync(new() { ["WARM_IP_TARGET"] = "1" });
        Assert.Equal(0, await AccessAsync(node, "no-calls"));
        await node.AddAsync("served-from-what-is-there");
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("one-more"));
        Assert.Contains("ipamd access full", failure.Message, StringComparison.Ordinal);
        Assert.Equal(0, await AccessAsync(node, "full"));
        await Eventually.TrueAsync(
            async () =>
                (await node.StatusAsync()).Answer!.Value.GetProperty("pool").TryGetProperty("available", out var free)
                && free.GetInt32() > 0,
            TimeSpan.FromSeconds(60)
        );
        Assert.Equal(64, await AccessAsync(node, "half"));
    }

    private static async Task<int> AccessAsync(NodeLab node, string level)
    {
        using var process = System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo(Binaries.Ipamd, ["access", level, "--socket", node.TheNode.Paths.IpamdSocket])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
            }
        )!;
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(15));
        return process.ExitCode;
    }

    private static IPNetwork Prefix(IPAddress address)
    {
        var octets = address.GetAddressBytes();
        octets[3] &= 0xf0;
        return new IPNetwork(new IPAddress(octets), 28);
    }

    private static NetworkInterface[] Interfaces(NodeLab node)
    {
        lock (node.Lab.World.Model.Gate)
            return [.. node.Lab.World.Model.Interfaces];
    }

    private static (int Prefixes, int Singles) Blocks(NodeLab node) =>
        (Interfaces(node).Sum(eni => eni.Ipv4Prefixes.Length), Interfaces(node).Sum(eni => eni.SecondaryAddresses.Length));

    private static bool Called(NodeLab node, string operation)
    {
        lock (node.Lab.World.Model.Gate)
            return node.Lab.World.Model.Calls.Recent.Any(call => call.Operation == operation);
    }
}
