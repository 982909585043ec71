// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using VpcCni.Netlink;
using VpcCni.Netlink.Interop;
using VpcCni.Protos.Rpc;
using VpcCni.Shim.Tests;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>Pods with IPv6 addresses only, with both families, and with several interfaces, against the real kernel.</summary>
public sealed class Ipv6Tests
{
    private const string HostVeth = "enicc21c2d7785"; // default/sample-pod
    private const string Dead = "/nonexistent/ipamd.sock";
    private static readonly IPAddress Four = IPAddress.Parse("10.250.0.10");
    private static readonly IPAddress Six = IPAddress.Parse("2001:db8::10");
    private static readonly IPAddress SecondSix = IPAddress.Parse("2001:db8:1::10");
    private static readonly IPAddress Gateway = IPAddress.Parse("fe80::1");

    [Fact]
    public async Task Add_gives_both_ends_a_neighbour_entry()
    {
        await using var lab = await StartAsync("six");
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod);

        using var inside = pod.OpenRouteNetlink();
        var (eth0, veth) = (inside.FindLink("eth0")!, lab.HostNetlink.FindLink(HostVeth)!);
        var gateway = Assert.Single(inside.GetNeighbours(IpFamily.V6, eth0.Index), entry => entry.Address.Equals(Gateway));
        Assert.Equal((veth.Mac, NeighbourState.Permanent), (gateway.Mac, gateway.State));
        var host = Assert.Single(lab.HostNetlink.GetNeighbours(IpFamily.V6, veth.Index), entry => entry.Address.Equals(Six));
        Assert.Equal((eth0.Mac, NeighbourState.Permanent), (host.Mac, host.State));
    }

    /// <summary>The kernel's own comes from a work queue, after the plugin may have ended.</summary>
    [Fact]
    public async Task Add_makes_the_local_route_that_the_kernel_makes_late()
    {
        await using var lab = await StartAsync("six");
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod);

        using var inside = pod.OpenRouteNetlink();
        Assert.Contains(
            inside.GetRoutes(IpFamily.V6, RouteTable.Local),
            route => route is { Type: RouteType.Local, Protocol: RouteProtocol.Boot } && route.Destination == new IPNetwork(Six, 128)
        );
    }

    /// <summary>
    /// A link without a link-local address can send no neighbour solicitation, so a first packet that needed one would never arrive.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Add_connects_at_once_without_any_link_local_address(bool fromHost)
    {
        await using var lab = await StartAsync("six");
        var pod = lab.CreateNamespace("pod");
        foreach (var netns in (NetworkNamespace[])[lab.Host, pod])
            netns.Run(() => File.WriteAllText("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1")); // IN6_ADDR_GEN_MODE_NONE

        lab.Add(pod);

        if (fromHost)
            await ShimLab.ConnectAsync(lab.Host, pod, Six);
        await ShimLab.ConnectAsync(pod, lab.Host, ShimLab.HostAddress6);
        if (!fromHost)
            await ShimLab.ConnectAsync(lab.Host, pod, Six);
    }

    [Fact]
    public async Task Add_configures_neither_end_from_router_advertisements()
    {
        await using var lab = await StartAsync("six");
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod);

        Assert.Equal("0 0", Settings(pod, "eth0", "accept_ra", "accept_dad"));
        Assert.Equal("0 1 0 0", Settings(lab.Host, HostVeth, "accept_ra", "accept_redirects", "forwarding", "disable_ipv6"));
    }

    [Theory]
    [InlineData("all")]
    [InlineData("default")]
    public async Task Add_enables_IPv6_on_the_one_link_where_it_is_disabled(string where)
    {
        await using var lab = await StartAsync("both");
        var pod = lab.CreateNamespace("pod");
        pod.Run(() => File.WriteAllText($"/proc/sys/net/ipv6/conf/{where}/disable_ipv6", "1"));
        lab.Host.Run(() => File.WriteAllText("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"));

        lab.Add(pod);

        Assert.Equal("0", Settings(pod, "eth0", "disable_ipv6"));
        Assert.Equal("0", Settings(pod, "lo", "disable_ipv6"));
        Assert.Equal("1", Settings(pod, where, "disable_ipv6"));
        await ShimLab.ConnectAsync(lab.Host, pod, Six);
    }

    [Theory]
    [InlineData("")]
    [InlineData("ro")]
    public async Task Add_where_IPv6_cannot_be_enabled_says_so_and_is_undone(string mount)
    {
        await using var lab = await StartAsync("both");
        var pod = lab.CreateNamespace("pod");
        pod.Run(() => File.WriteAllText("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));

        var run = lab.Plugin("ADD", pod.Path!);
        WithoutSettings(pod, isReadOnly: mount == "ro", () => run.RunIn(lab.Host));

        Assert.Equal((1, 100), (run.ExitCode, run.Code));
        Assert.Contains(
            mount == "ro" ? "IPv6 cannot be enabled in its namespace: writing 0 to" : "the kernel has no IPv6",
            run.Message,
            StringComparison.Ordinal
        );
        AssertUndone(lab, pod);
    }

    [Fact]
    public async Task Add_with_read_only_settings_that_are_right_succeeds()
    {
        await using var lab = await StartAsync("both");
        var pod = lab.CreateNamespace("pod");
        pod.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
            File.WriteAllText("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        });

        var run = lab.Plugin("ADD", pod.Path!);
        WithoutSettings(pod, isReadOnly: true, () => run.RunIn(lab.Host));

        Assert.Equal((0, 2), (run.ExitCode, run.Answer.GetProperty("ips").GetArrayLength()));
    }

    [Fact]
    public async Task Add_with_an_MTU_that_IPv6_does_not_take_is_7_and_makes_nothing()
    {
        await using var lab = await StartAsync("both");
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!, more: "\"mtu\":1279").RunIn(lab.Host);

        Assert.Equal((1, 7), (run.ExitCode, run.Code));
        Assert.Contains("mtu: 1279", run.Message, StringComparison.Ordinal);
        AssertUndone(lab, pod);
    }

    [Fact]
    public async Task Add_that_fails_at_the_second_interface_undoes_both_families_of_the_first()
    {
        await using var lab = await StartAsync("cards");
        var pod = lab.CreateNamespace("pod");
        using var inside = pod.OpenRouteNetlink();
        inside.Execute(LinkRequests.CreateBridge("mNicIf1"));

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        AssertUndone(lab, pod);
    }

    [Theory]
    [InlineData("six", "0.2.0", """{"cniVersion":"0.2.0","ip6":{"ip":"2001:db8::10/128"},"dns":{}}""")]
    [InlineData("both", "0.2.0", """{"cniVersion":"0.2.0","ip4":{"ip":"10.250.0.10/32"},"ip6":{"ip":"2001:db8::10/128"},"dns":{}}""")]
    [InlineData(
        "both",
        "0.4.0",
        """[{"version":"4","interface":1,"address":"10.250.0.10/32"},{"version":"6","interface":1,"address":"2001:db8::10/128"}]"""
    )]
    [InlineData("both", "1.1.0", """[{"interface":1,"address":"10.250.0.10/32"},{"interface":1,"address":"2001:db8::10/128"}]""")]
    [InlineData(
        "cards",
        "1.1.0",
        """[{"interface":1,"address":"10.250.0.10/32"},{"interface":1,"address":"2001:db8::10/128"},{"interface":3,"address":"2001:db8:1::10/128"}]"""
    )]
    public async Task Add_reports_the_addresses_of_both_families_with_their_interface(string pods, string version, string expected)
    {
        await using var lab = await StartAsync(pods);
        var pod = lab.CreateNamespace("pod");

        var result = lab.Add(pod, version: version);

        Assert.Equal(expected, (result.TryGetProperty("ips", out var ips) ? ips : result).GetRawText());
    }

    [Fact]
    public async Task Add_gives_each_interface_its_own_gateway_and_table()
    {
        await using var lab = await StartAsync("cards");
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod);

        using var inside = pod.OpenRouteNetlink();
        var second = inside.FindLink("mNicIf1")!;
        Assert.Equal(
            ["default via fe80::2", "fe80::2/128 via "],
            inside
                .GetRoutes(IpFamily.V6, table: 1)
                .Where(route => route.LinkIndex == second.Index)
                .Select(route => $"{route.Destination?.ToString() ?? "default"} via {route.Gateway}")
                .Order(StringComparer.Ordinal)
        );
        Assert.Contains(
            inside.GetRules(IpFamily.V6),
            rule => rule is { Priority: 1, Table: 1 } && rule.Source == new IPNetwork(SecondSix, 128)
        );
        foreach (var address in (IPAddress[])[Four, Six, SecondSix])
            await ShimLab.ConnectAsync(lab.Host, pod, address);
    }

    [Theory]
    [InlineData("six")]
    [InlineData("both")]
    [InlineData("cards")]
    public async Task Check_after_add_succeeds_silently(string pods)
    {
        await using var lab = await StartAsync(pods);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);

        var run = Check(lab, pod, result);

        Assert.Equal((0, ""), (run.ExitCode, run.Stdout));
    }

    [Theory]
    [InlineData("address", "eth0 does not have 2001:db8::10")]
    [InlineData("gateway", "neighbour entry for fe80::1 is missing")]
    [InlineData("neighbour", "the host's neighbour entry for 2001:db8::10 is 02:00:00:00:00:77")]
    [InlineData("route", "no route to 2001:db8::10")]
    [InlineData("to", "no rule 512 to 2001:db8::10")]
    [InlineData("from", "no rule 1536 from 2001:db8::10 to table 2")]
    [InlineData("second link", "mNicIf1 is down")]
    [InlineData("second gateway", "neighbour entry for fe80::2 is missing")]
    public async Task Check_after_damage_to_IPv6_is_102_and_names_it(string damage, string says)
    {
        await using var lab = await StartAsync("cards");
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);
        using var inside = pod.OpenRouteNetlink();
        var (eth0, second) = (inside.FindLink("eth0")!, inside.FindLink("mNicIf1")!);
        var (owner, request) = damage switch
        {
            "address" => (inside, AddressRequests.Remove(eth0.Index, Six, 128)),
            "gateway" => (inside, NeighbourRequests.Remove(eth0.Index, Gateway)),
            "neighbour" => (
                lab.HostNetlink,
                NeighbourRequests.Replace(
                    new NeighbourInfo
                    {
                        LinkIndex = lab.HostNetlink.FindLink(HostVeth)!.Index,
                        Address = Six,
                        Mac = MacAddress.Parse("02:00:00:00:00:77"),
                    }
                )
            ),
            "route" => (
                lab.HostNetlink,
                RouteRequests.Remove(new RouteInfo { Family = IpFamily.V6, Destination = new IPNetwork(Six, 128) })
            ),
            "to" => (lab.HostNetlink, RuleRequests.Remove(Rule(512) with { Destination = new IPNetwork(Six, 128) })),
            "from" => (lab.HostNetlink, RuleRequests.Remove(Rule(1536) with { Source = new IPNetwork(Six, 128), Table = 2 })),
            "second link" => (inside, LinkRequests.SetUp(second.Index, up: false)),
            _ => (inside, NeighbourRequests.Remove(second.Index, IPAddress.Parse("fe80::2"))),
        };
        owner.Execute(request);

        var run = Check(lab, pod, result);

        Assert.Equal((1, 102), (run.ExitCode, run.Code));
        Assert.Contains(says, run.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("six", true, true, true)]
    [InlineData("six", false, true, false)]
    [InlineData("six", false, false, true)]
    [InlineData("both", true, true, false)]
    [InlineData("both", true, false, false)]
    [InlineData("both", false, true, false)]
    [InlineData("both", false, false, true)]
    [InlineData("cards", true, false, true)]
    [InlineData("cards", false, true, false)]
    [InlineData("cards", false, false, true)]
    public async Task Del_with_any_one_piece_of_evidence_removes_both_families(
        string pods,
        bool withDaemon,
        bool withNamespace,
        bool withPrevious
    )
    {
        await using var lab = await StartAsync(pods);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);

        lab.AssertDeleted(
            lab.Del(withNamespace ? pod.Path! : "", previous: withPrevious ? result : null, socket: withDaemon ? null : Dead)
        );

        using var inside = pod.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
        Assert.Null(inside.FindLink("mNicIf1"));
    }

    [Fact]
    public async Task Add_of_the_same_pod_again_takes_both_families_over_from_its_old_sandbox()
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = n => new IPAllocationMetadata
            {
                IPv4Addr = $"10.250.0.{10 + n}",
                IPv6Addr = $"2001:db8::{10 + n}",
                DeviceNumber = 1,
                RouteTableId = 2,
            }
        );
        var (old, pod) = (lab.CreateNamespace("old"), lab.CreateNamespace("pod"));
        var oldResult = lab.Add(old, container: "c0");
        var result = lab.Add(pod, container: "c1");

        Assert.Equal(0, lab.Del(old.Path!, container: "c0", previous: oldResult).ExitCode);

        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.11"));
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("2001:db8::11"));
        lab.AssertDeleted(lab.Del(pod.Path!, container: "c1", previous: result));
    }

    private static Task<ShimLab> StartAsync(string pods) =>
        ShimLab.StartAsync(state =>
        {
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = pods == "six" ? "" : Four.ToString(),
                IPv6Addr = Six.ToString(),
                DeviceNumber = 1,
                RouteTableId = 2,
            };
            if (pods != "cards")
                return;
            state.More = [new IPAllocationMetadata { IPv6Addr = SecondSix.ToString(), RouteTableId = 10101 }];
        });

    private static RuleInfo Rule(int priority) => new() { Family = IpFamily.V6, Priority = priority };

    private static PluginRun Check(ShimLab lab, NetworkNamespace pod, JsonElement result) =>
        lab.Plugin("CHECK", pod.Path!, more: $"\"prevResult\":{result.GetRawText()}").RunIn(lab.Host);

    private static string Settings(NetworkNamespace netns, string link, params string[] keys) =>
        netns.Run(() => string.Join(' ', keys.Select(key => File.ReadAllText($"/proc/sys/net/ipv6/conf/{link}/{key}").Trim())));

    private static void AssertUndone(ShimLab lab, NetworkNamespace pod)
    {
        Assert.Equal(lab.Empty, lab.Snapshot());
        Assert.Empty(lab.Ipamd.State.Attachments);
        using var inside = pod.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
    }

    /// <summary>
    /// Runs the body where the IPv6 settings of one network namespace are missing, as with ipv6.disable=1, or read-only: a mount in a mount
    /// namespace of its own, which ends with the thread.
    /// </summary>
    private static unsafe void WithoutSettings(NetworkNamespace netns, bool isReadOnly, Action body)
    {
        const string folder = "/proc/sys/net/ipv6";
        const int newMountNamespace = 0x20000; // CLONE_NEWNS
        const nuint isPrivate = 1 << 18; // MS_PRIVATE
        const nuint readOnly = 1; // MS_RDONLY
        const nuint remount = 32; // MS_REMOUNT
        Threads.Run(
            1,
            _ =>
            {
                Assert.Equal(0, Libc.Unshare(newMountNamespace));
                Mount("", "/", "none", isPrivate | (nuint)Libc.MS_REC);
                netns.Run(() =>
                {
                    if (!isReadOnly)
                    {
                        Mount("none", folder, "tmpfs", 0);
                        return;
                    }
                    Mount(folder, folder, "none", (nuint)Libc.MS_BIND);
                    Mount("", folder, "none", (nuint)Libc.MS_BIND | remount | readOnly);
                });
                body();
            }
        );

        static void Mount(string source, string target, string type, nuint flags) =>
            Assert.True(Libc.Mount(source, target, type, flags, null) == 0, $"mount {target}");
    }
}
