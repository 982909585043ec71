// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Text.Json;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Lab.Paths;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Families;

/// <summary>IPv6 mode with the real binaries, as a runtime and an operator use it.</summary>
public sealed class Ipv6ModeTests(Ipv6Node node) : FamilyModeTests(node), IClassFixture<Ipv6Node>
{
    protected override IReadOnlyList<AddressFamily> Families => [IpFamily.V6];
}

/// <summary>Dual stack with the real binaries, as a runtime and an operator use it.</summary>
public sealed class DualStackTests(DualStackNode node) : FamilyModeTests(node), IClassFixture<DualStackNode>
{
    private readonly FamilyNode _node = node;

    protected override IReadOnlyList<AddressFamily> Families => [IpFamily.V4, IpFamily.V6];

    [Fact]
    public async Task Pods_beyond_the_primary_interface_have_both_addresses_of_the_same_secondary_one()
    {
        await _node.StartAsync();
        List<FamilyPod> pods = [];
        for (var index = 0; index < 11; index++)
            pods.Add(await _node.AddAsync($"p{index}"));

        foreach (var pod in pods)
        {
            var owners = _node.Node.Lab.World.With(world => pod.Ips.Select(ip => world.FindOwner(ip.BaseAddress)!.Id).ToHashSet());
            Assert.Single(owners);
        }

        var away = pods.Last(pod =>
            _node.Node.Lab.World.With(world => world.FindOwner(pod.Ips[0].BaseAddress)!.Attachment is { IsPrimary: false })
        );
        foreach (var family in Families)
        {
            var watch = new LinkWatch(_node.TheNode);
            for (var connection = 0; connection < 10; connection++)
                await FamilyNode.Probe.TcpAsync(
                    _node.Node.Lab.Fabric.OnPremises,
                    away.Network,
                    away.AddressOf(family),
                    TestContext.Current.CancellationToken
                );
            var carried = watch.Stop();
            // On-premises is outside of the VPC: the answers leave by the pod's own interface only because of its rule and route table.
            carried.RequireReceived("ens6", 30);
            carried.RequireSent("ens6", 30);
            await FamilyNode.Probe.PingAsync(pods[0].Network, away.AddressOf(family), TestContext.Current.CancellationToken);
        }

        await _node.AssertCleanAsync();
        foreach (var pod in pods)
            await _node.DeleteAsync(pod);
        await _node.AssertNoPodsAsync();
    }
}

/// <summary>What holds for every family of pods.</summary>
public abstract class FamilyModeTests(FamilyNode node)
{
    /// <summary>Families of which a pod has an address, in the order of the result.</summary>
    protected abstract IReadOnlyList<AddressFamily> Families { get; }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ADD_CHECK_and_DEL_of_a_runtime_make_a_pod_and_leave_nothing()
    {
        await node.StartAsync();

        var pod = await node.AddAsync("web");

        Assert.Equal(Families, pod.Ips.Select(ip => ip.BaseAddress.AddressFamily));
        Assert.All(pod.Ips, ip => Assert.Equal(ip.BaseAddress.AddressFamily == IpFamily.V4 ? 32 : 128, ip.PrefixLength));
        Assert.All(pod.Result["ips"]!.AsArray(), ip => Assert.Equal(1, (int)ip!["interface"]!));
        Assert.Equal(
            ("eth0", pod.NamespacePath),
            ((string?)pod.Result["interfaces"]![1]!["name"], (string?)pod.Result["interfaces"]![1]!["sandbox"])
        );
        foreach (var family in Families)
        {
            var address = pod.AddressOf(family);
            Assert.Equal(node.TheNode.Instance.Id, node.Node.Lab.World.With(world => world.FindOwner(address)?.Attachment?.Instance));
            // The node's own address is no pod's.
            Assert.NotEqual(node.TheNode.AddressOf(family), address);
            await FamilyNode.Probe.TcpAsync(node.TheNode.Network, pod.Network, address, Token);
            await FamilyNode.Probe.TcpAsync(pod.Network, node.TheNode.Network, node.TheNode.AddressOf(family)!, Token);
            Assert.Equal(
                family == IpFamily.V4 ? node.TheNode.Address : address,
                await node.SourceAsync(pod.Network, FabricAddresses.InternetHostOf(family))
            );
        }

        Assert.Equal(0, (await node.RunAsync("CHECK", pod)).Code);
        Assert.Equal(101, (await node.RunAsync("ADD", pod.NamespacePath, pod.Container, pod.Name)).Code);
        Assert.Equal(0, (await node.RunAsync("CHECK", pod)).Code);

        await node.DeleteAsync(pod);
        await node.AssertNoPodsAsync();
        Assert.Equal(0, (await node.RunAsync("DEL", "", pod.Container, pod.Name, pod.Result)).Code);
    }

    /// <summary>As some runtimes create namespaces: disabled for every link, also for later ones.</summary>
    [Fact]
    public async Task Namespace_with_IPv6_disabled_has_it_enabled_on_the_pods_links_alone()
    {
        await node.StartAsync();
        var pod = await node.AddAsync("web", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1");

        Assert.Equal(Families, pod.Ips.Select(ip => ip.BaseAddress.AddressFamily));
        foreach (var family in Families)
            await FamilyNode.Probe.TcpAsync(node.TheNode.Network, pod.Network, pod.AddressOf(family), Token);
        await node.SourceAsync(pod.Network, FabricAddresses.InternetHost6);
        Assert.Equal(
            ["eth0 0", "lo 0", "all 1"],
            pod.Network.Run(() =>
                new[] { "eth0", "lo", "all" }
                    .Select(link => $"{link} {File.ReadAllText($"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").Trim()}")
                    .ToArray()
            )
        );
        Assert.Equal(0, (await node.RunAsync("CHECK", pod)).Code);

        await node.DeleteAsync(pod);
        await node.AssertNoPodsAsync();
    }

    [Fact]
    public async Task Status_pods_explain_audit_and_the_Pod_object_show_every_address()
    {
        await node.StartAsync();
        var web = await node.Node.AddAsync("web");
        Assert.Equal(Families, web.Addresses.Select(address => address.AddressFamily));
        string[] addresses = [.. web.Addresses.Select(address => address.ToString())];

        var status = node.Node.Lab.Cluster.FindPod(PodName.Parse("default/web"))!["status"]!.AsObject();
        Assert.Equal(addresses, status.Objects("podIPs").Select(ip => ip.Text("ip")));
        Assert.Equal(addresses[0], status.Text("podIP"));

        Assert.Contains($"{string.Join(',', addresses)} 0 ", await node.IpamdAsync("pods"), StringComparison.Ordinal);
        var attachment = Assert.Single((await node.IpamdJsonAsync("pods")).GetProperty("attachments").EnumerateArray());
        Assert.Equal(addresses, attachment.GetProperty("addresses").EnumerateArray().Select(item => item.GetString()!));
        var explained = await node.IpamdAsync("explain", "default/web");
        Assert.All(addresses, address => Assert.Contains(address, explained, StringComparison.Ordinal));

        var counted = (await node.IpamdJsonAsync("status")).GetProperty("pool").GetProperty("families").EnumerateArray().ToArray();
        Assert.Equal(
            Families.Select(family => (family == IpFamily.V4 ? 4 : 6, 1)),
            counted.Select(item => (item.GetProperty("ipVersion").GetInt32(), item.GetProperty("assigned").GetInt32()))
        );
        var text = await node.IpamdAsync("status");
        Assert.StartsWith("READY", text, StringComparison.Ordinal);
        Assert.All(Families, family => Assert.Contains($"{IpFamily.Name(family)}: ", text, StringComparison.Ordinal));
        await node.AssertCleanAsync();

        await node.Node.DeleteAsync("web");
        Assert.Contains(
            "gone",
            (await node.IpamdJsonAsync("explain", "default/web")).GetProperty("state").GetString()!,
            StringComparison.Ordinal
        );
        await node.AssertNoPodsAsync();
    }

    [Fact]
    public async Task Killed_daemon_leaves_pods_connected_and_the_next_one_knows_them()
    {
        await node.StartAsync();
        var (web, client) = (await node.AddAsync("web"), await node.AddAsync("client"));
        var before = await node.IpamdJsonAsync("pods");
        async Task AssertConnectedAsync()
        {
            foreach (var family in Families)
            {
                await FamilyNode.Probe.TcpAsync(client.Network, web.Network, web.AddressOf(family), Token);
                await node.SourceAsync(web.Network, FabricAddresses.InternetHostOf(family));
            }
        }

        await node.TheNode.Ipamd!.KillAsync(Token);
        await AssertConnectedAsync();
        node.TheNode.Ipamd.Start();
        await node.Node.Lab.WaitUntilReadyAsync(Token);

        await AssertConnectedAsync();
        Assert.Equal(Addresses(before), Addresses(await node.IpamdJsonAsync("pods")));
        Assert.Equal(0, (await node.RunAsync("CHECK", web)).Code);
        var later = await node.AddAsync("later");
        Assert.Empty(later.Ips.Intersect(web.Ips.Concat(client.Ips)));
        await node.AssertCleanAsync();

        foreach (var pod in (FamilyPod[])[web, client, later])
            await node.DeleteAsync(pod);
        await node.AssertNoPodsAsync();
    }

    private static IEnumerable<string> Addresses(JsonElement pods) =>
        pods.GetProperty("attachments")
            .EnumerateArray()
            .Select(item => $"{item.GetProperty("podName")}: {item.GetProperty("addresses")}")
            .Order(StringComparer.Ordinal);
}
