// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using VpcCni.Datapath;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using VpcCni.Shim.Tests;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>Node-local addresses for destinations of the family that a pod's own addresses lack, against the real kernel.</summary>
public sealed class NodeLocalEgressTests
{
    private const string HostVeth = "enicc21c2d7785"; // default/sample-pod
    private const string Enabled = "\"enableV4Egress\":\"true\",\"enableV6Egress\":true";
    private const string Dead = "/nonexistent/ipamd.sock";
    private static readonly PodLinkKey Key = new("default", "sample-pod", "c1", "eth0");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Add_gives_the_pod_a_way_to_the_other_family_that_the_result_does_not_name(bool isIpv6)
    {
        await using var lab = await StartAsync(isIpv6);
        var pod = lab.CreateNamespace("pod");

        var result = lab.Add(pod, more: Enabled);

        var family = isIpv6 ? IpFamily.V4 : IpFamily.V6;
        var address = NodeLocalAddresses.Candidates(family, Key).First();
        Assert.Equal(isIpv6 ? "2001:db8::10/128" : "10.250.0.10/32", Assert.Single(Ips(result)));
        Assert.DoesNotContain(address.ToString(), result.GetRawText(), StringComparison.Ordinal);
        using var inside = pod.OpenRouteNetlink();
        var eth0 = inside.FindLink("eth0")!;
        Assert.Contains(
            inside.GetAddresses(family, eth0.Index),
            present => present.Address.Equals(address) && present.PrefixLength == IpRanges.Single(address).PrefixLength
        );
        Assert.Contains(
            inside.GetRoutes(family, RouteTable.Main),
            route => route.Destination is null && PodPath.Gateway(family, 0).Equals(route.Gateway)
        );
        Assert.DoesNotContain(
            lab.HostNetlink.GetRules(family),
            rule => rule.Destination == IpRanges.Single(address) || rule.Source == IpRanges.Single(address)
        );
        await ShimLab.ConnectAsync(pod, lab.Host, isIpv6 ? ShimLab.HostAddress : ShimLab.HostAddress6);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse(isIpv6 ? "2001:db8::10" : "10.250.0.10"));
        Assert.Equal(0, Check(lab, pod, result).ExitCode);

        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
    }

    [Theory]
    [InlineData("both", Enabled)]
    [InlineData("six", "\"enableV6Egress\":true")]
    [InlineData("four", "\"enableV4Egress\":true")]
    [InlineData("six", "\"enableV4Egress\":\"false\"")]
    [InlineData("six", "\"mtu\":1500")]
    public async Task Add_that_needs_no_other_family_makes_no_node_local_address(string pods, string more)
    {
        await using var lab = await StartAsync(pods != "four", pods == "both");
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod, more: more);

        Assert.Empty(NodeLocal(pod));
        Assert.Empty(Routed(lab));
    }

    [Fact]
    public async Task Add_takes_the_next_address_while_one_has_a_route()
    {
        await using var lab = await StartAsync(isIpv6: true);
        var candidates = NodeLocalAddresses.Candidates(IpFamily.V4, Key).Take(3).ToArray();
        Occupy(lab, candidates[..2]);
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod, more: Enabled);

        Assert.Equal([candidates[2]], NodeLocal(pod));
        Assert.Equal(
            lab.HostNetlink.FindLink(HostVeth)!.Index,
            lab.HostNetlink.GetRoutes(IpFamily.V4, RouteTable.Main)
                .Single(route => route.Destination == IpRanges.Single(candidates[2]))
                .LinkIndex
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Add_while_no_address_is_free_says_so_and_is_undone(bool isIpv6)
    {
        await using var lab = await StartAsync(isIpv6);
        var family = isIpv6 ? IpFamily.V4 : IpFamily.V6;
        Occupy(lab, [.. NodeLocalAddresses.Candidates(family, Key)]);
        var before = lab.Snapshot();
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!, more: Enabled).RunIn(lab.Host);

        Assert.Equal((1, 11), (run.ExitCode, run.Code));
        Assert.Contains($"all 1021 addresses of {NodeLocalAddresses.Range(family)}", run.Message, StringComparison.Ordinal);
        Assert.Equal(before, lab.Snapshot());
        Assert.Empty(lab.Ipamd.State.Attachments);
    }

    [Fact]
    public async Task Add_of_many_pods_at_once_gives_each_its_own_address_and_Del_frees_them()
    {
        const int count = 60;
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = n => new IPAllocationMetadata { IPv6Addr = $"2001:db8::{n + 16:x}", RouteTableId = 254 }
        );
        var pods = Enumerable.Range(0, count).Select(i => lab.CreateNamespace($"p{i}")).ToArray();
        var results = new JsonElement[count];
        Threads.Run(count, i => results[i] = lab.Add(pods[i], container: $"c{i}", name: $"pod-{i}", more: Enabled));

        var taken = pods.SelectMany(NodeLocal).ToArray();
        Assert.Equal(count, taken.Distinct().Count());
        Assert.Equal(taken.Order(ByText), Routed(lab).Order(ByText));

        Threads.Run(
            count,
            i => Assert.Equal(0, lab.Del(pods[i].Path!, container: $"c{i}", name: $"pod-{i}", previous: results[i]).ExitCode)
        );
        Assert.Equal(lab.Empty, lab.Snapshot());
    }

    [Fact]
    public async Task Add_of_the_same_pod_again_leaves_no_address_with_its_old_sandbox()
    {
        await using var lab = await StartAsync(isIpv6: true);
        var (old, pod) = (lab.CreateNamespace("old"), lab.CreateNamespace("pod"));
        lab.Add(old, container: "c0", more: Enabled);

        lab.Add(pod, container: "c1", more: Enabled);

        Assert.Equal(NodeLocal(pod), Routed(lab));
    }

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(false, false, true)]
    public async Task Del_with_any_one_piece_of_evidence_frees_the_address(bool withDaemon, bool withNamespace, bool withPrevious)
    {
        await using var lab = await StartAsync(isIpv6: true);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod, more: Enabled);

        lab.AssertDeleted(
            lab.Del(withNamespace ? pod.Path! : "", previous: withPrevious ? result : null, socket: withDaemon ? null : Dead)
        );
    }

    /// <summary>The address is free again at once, although its link stays until the daemon deletes it.</summary>
    [Fact]
    public async Task Del_whose_link_the_daemon_deletes_frees_the_address()
    {
        await using var lab = await StartAsync(isIpv6: true);
        lab.Ipamd.State.DeletesLinks = true;
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod, more: Enabled);

        Assert.Equal(0, lab.Del(pod.Path!, previous: result).ExitCode);

        Assert.NotNull(lab.HostNetlink.FindLink(HostVeth));
        Assert.Empty(Routed(lab));
        lab.Add(pod, container: "c2", more: Enabled);
        Assert.Equal(NodeLocal(pod), Routed(lab));
    }

    [Fact]
    public async Task Lost_Del_leaks_no_address()
    {
        await using var lab = await StartAsync(isIpv6: true);
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod, more: Enabled);

        lab.Destroy(pod);

        await Eventually.TrueAsync(() => Routed(lab).Count == 0);
    }

    [Theory]
    [InlineData("address", "eth0 has no address of 169.254.172.0/22")]
    [InlineData("route", "the host has no route to 169.254.17")]
    [InlineData("gateway", "neighbour entry for 169.254.1.1 is missing")]
    public async Task Check_after_damage_to_egress_is_102_and_names_it(string damage, string says)
    {
        await using var lab = await StartAsync(isIpv6: true);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod, more: Enabled);
        using var inside = pod.OpenRouteNetlink();
        var eth0 = inside.FindLink("eth0")!;
        var address = Assert.Single(NodeLocal(pod));
        if (damage == "address")
            inside.Execute(AddressRequests.Remove(eth0.Index, address, 32));
        else if (damage == "gateway")
            inside.Execute(NeighbourRequests.Remove(eth0.Index, IPAddress.Parse("169.254.1.1")));
        else
            lab.HostNetlink.Execute(PodPathRequests.RemoveHostRoute(address, lab.HostNetlink.FindLink(HostVeth)!.Index));

        var run = Check(lab, pod, result);

        Assert.Equal((1, 102), (run.ExitCode, run.Code));
        Assert.Contains(says, run.Message, StringComparison.Ordinal);
    }

    /// <summary>The node was switched over: the pod's second link, with a random name on the host, is egress-cni's.</summary>
    [Fact]
    public async Task Del_and_Check_know_the_link_that_egress_cni_made()
    {
        await using var lab = await StartAsync(isIpv6: true);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);
        MakeEgressCniLink(lab, pod, "v4if0", "veth1a2b3c4d");

        Assert.Equal(0, Check(lab, pod, result).ExitCode);

        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
        using var inside = pod.OpenRouteNetlink();
        Assert.Null(inside.FindLink("v4if0"));
    }

    [Fact]
    public async Task Del_leaves_a_link_named_as_egress_cnis_whose_host_end_is_elsewhere()
    {
        await using var lab = await StartAsync(isIpv6: true);
        var pod = lab.CreateNamespace("pod");
        var other = lab.CreateNamespace("other");
        var result = lab.Add(pod);
        using var inside = pod.OpenRouteNetlink();
        inside.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "v4if0",
                    PeerName = "veth1a2b3c4d",
                    PeerNamespace = other,
                }
            )
        );

        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));

        Assert.NotNull(inside.FindLink("v4if0"));
    }

    private static readonly Comparer<IPAddress> ByText = Comparer<IPAddress>.Create(
        static (a, b) => string.CompareOrdinal(a.ToString(), b.ToString())
    );

    private static Task<ShimLab> StartAsync(bool isIpv6, bool isBoth = false) =>
        ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = isIpv6 && !isBoth ? "" : "10.250.0.10",
                IPv6Addr = isIpv6 ? "2001:db8::10" : "",
                RouteTableId = 254,
            }
        );

    private static PluginRun Check(ShimLab lab, NetworkNamespace pod, JsonElement result) =>
        lab.Plugin("CHECK", pod.Path!, more: $"{Enabled},\"prevResult\":{result.GetRawText()}").RunIn(lab.Host);

    private static IEnumerable<string> Ips(JsonElement result) =>
        result.GetProperty("ips").EnumerateArray().Select(ip => ip.GetProperty("address").GetString()!);

    private static List<IPAddress> NodeLocal(NetworkNamespace pod)
    {
        using var inside = pod.OpenRouteNetlink();
        return [.. inside.GetAddresses(AddressFamily.Unspecified).Select(item => item.Address).Where(NodeLocalAddresses.Contains)];
    }

    private static List<IPAddress> Routed(ShimLab lab) =>
        [
            .. IpFamily
                .All.SelectMany(family => lab.HostNetlink.GetRoutes(family, RouteTable.Main))
                .Where(route => route.Type == RouteType.Unicast && route.Destination is { } destination && IpRanges.IsSingle(destination))
                .Select(route => route.Destination!.Value.BaseAddress)
                .Where(NodeLocalAddresses.Contains),
        ];

    private static void Occupy(ShimLab lab, IReadOnlyList<IPAddress> addresses)
    {
        lab.HostNetlink.Execute(LinkRequests.CreateBridge("other", up: true));
        var other = lab.HostNetlink.FindLink("other")!.Index;
        lab.HostNetlink.Execute([.. addresses.Select(address => RouteRequests.Add(PodPath.HostRoute(address, other)))]);
    }

    private static void MakeEgressCniLink(ShimLab lab, NetworkNamespace pod, string name, string hostName)
    {
        using var inside = pod.OpenRouteNetlink();
        inside.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = name,
                    PeerName = hostName,
                    PeerNamespace = lab.Host,
                    PeerUp = true,
                }
            )
        );
        inside.Execute(LinkRequests.SetUp(name, up: true));
        var host = lab.HostNetlink.FindLink(hostName)!.Index;
        lab.HostNetlink.Execute(RouteRequests.Add(PodPath.HostRoute(IPAddress.Parse("169.254.172.5"), host)));
    }
}
