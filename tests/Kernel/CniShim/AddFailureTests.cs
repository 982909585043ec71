// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>ADD that fails: the right error, and nothing left on the host, in the pod, or at the daemon.</summary>
public sealed class AddFailureTests
{
    [Fact]
    public async Task Add_into_a_taken_interface_name_is_101_and_does_not_ask_the_daemon()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        using var inside = pod.OpenRouteNetlink();
        inside.Execute(LinkRequests.CreateBridge("eth0"));

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Contains("eth0", run.Message, StringComparison.Ordinal);
        Assert.Empty(lab.Ipamd.State.Adds);
        Assert.NotNull(inside.FindLink("eth0"));
    }

    [Fact]
    public async Task Add_twice_is_101_and_the_running_pod_keeps_its_address()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Single(lab.Ipamd.State.Held);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.10"));
    }

    /// <summary>
    /// Descriptors may be short, or a path loop as here: that proves nothing, and what runs there must not lose its address.
    /// </summary>
    [Fact]
    public async Task Add_into_another_namespace_while_the_first_cannot_be_opened_fails_and_releases_nothing()
    {
        await using var lab = await ShimLab.StartAsync();
        var (pod, other) = (lab.CreateNamespace("pod"), lab.CreateNamespace("other"));
        lab.Add(pod);
        var before = lab.Snapshot();
        var loop = Path.Combine(Path.GetDirectoryName(lab.Ipamd.SocketPath)!, "loop");
        File.CreateSymbolicLink(loop, loop);
        var key = Assert.Single(lab.Ipamd.State.Namespaces).Key;
        lab.Ipamd.State.Namespaces[key] = loop;

        var run = lab.Plugin("ADD", other.Path!).RunIn(lab.Host);

        Assert.Equal((1, 5), (run.ExitCode, run.Code));
        Assert.Contains(loop, run.Message, StringComparison.Ordinal);
        Assert.Contains("ELOOP", run.Message, StringComparison.Ordinal);
        Assert.Equal(before, lab.Snapshot());
        Assert.Single(lab.Ipamd.State.Held);
        Assert.Empty(lab.Ipamd.State.Dels);
    }

    [Fact]
    public async Task Add_of_a_running_container_into_another_namespace_is_101_and_the_pod_runs_on()
    {
        await using var lab = await ShimLab.StartAsync();
        var (pod, other) = (lab.CreateNamespace("pod"), lab.CreateNamespace("other"));
        lab.Add(pod);
        var before = lab.Snapshot();

        var run = lab.Plugin("ADD", other.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Contains(pod.Path!, run.Message, StringComparison.Ordinal);
        Assert.Equal(before, lab.Snapshot());
        Assert.Single(lab.Ipamd.State.Held);
        Assert.Empty(lab.Ipamd.State.Dels);
        using var inside = other.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.10"));

        // One attachment: its DEL ends it, wherever the runtime believes it to be.
        lab.AssertDeleted(lab.Del(other.Path!));
    }

    [Fact]
    public async Task Add_of_a_container_whose_earlier_namespace_is_gone_ends_that_attachment_and_makes_another()
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = number => new IPAllocationMetadata
            {
                IPv4Addr = $"10.250.0.{10 + number}",
                DeviceNumber = 1,
                RouteTableId = 2,
            }
        );
        var (earlier, pod) = (lab.CreateNamespace("earlier"), lab.CreateNamespace("pod"));
        lab.Add(earlier);
        lab.Destroy(earlier);

        var result = lab.Add(pod);

        Assert.Single(lab.Ipamd.State.Dels);
        Assert.DoesNotContain("10.250.0.10", lab.Snapshot(), StringComparison.Ordinal);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.11"));
        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
    }

    [Fact]
    public async Task Add_into_the_same_namespace_by_another_path_is_the_same_attachment()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Ipamd.State.Namespaces["aws-cni/c1/eth0"] = pod.Path!.Replace("/run/", "/var/run/", StringComparison.Ordinal);
        lab.Ipamd.State.Reserve("aws-cni/c1/eth0");

        lab.Add(pod);

        Assert.Empty(lab.Ipamd.State.Dels);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.10"));
    }

    [Fact]
    public async Task Add_that_loses_against_another_add_of_the_same_attachment_leaves_it_its_address()
    {
        NetworkNamespace? pod = null;
        await using var lab = await ShimLab.StartAsync(state =>
            state.OnAdd = (_, _) =>
            {
                using var inside = pod!.OpenRouteNetlink();
                inside.Execute(LinkRequests.CreateVeth(new VethSpec { Name = "eth0", PeerName = "other0" }));
                return Task.CompletedTask;
            }
        );
        pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Single(lab.Ipamd.State.Held);
        Assert.Empty(lab.Ipamd.State.Dels);
    }

    [Fact]
    public async Task Add_under_a_strict_network_policy_is_111_and_gives_the_address_back()
    {
        await using var lab = await ShimLab.StartAsync(state => state.Garble = reply => reply.NetworkPolicyMode = "strict");
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 111), (run.ExitCode, run.Code));
        Assert.Empty(lab.Ipamd.State.Held);
    }

    [Fact]
    public async Task Add_of_a_second_interface_is_101_and_the_first_one_works_on()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        var run = lab.Plugin("ADD", pod.Path!).Set("CNI_IFNAME", "net1").RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Single(lab.Ipamd.State.Held);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.10"));
    }

    [Fact]
    public async Task Add_without_the_namespace_is_4_naming_CNI_NETNS_and_does_not_ask_the_daemon()
    {
        await using var lab = await ShimLab.StartAsync();

        var run = lab.Plugin("ADD", "/var/run/netns/vpccni-does-not-exist").RunIn(lab.Host);

        Assert.Equal((1, 4), (run.ExitCode, run.Code));
        Assert.Contains("CNI_NETNS", run.Message, StringComparison.Ordinal);
        Assert.Contains("vpccni-does-not-exist", run.Message, StringComparison.Ordinal);
        Assert.Empty(lab.Ipamd.State.Adds);
    }

    [Theory]
    [InlineData("/etc/hostname")]
    [InlineData("/proc/self/ns/mnt")]
    public async Task Add_into_something_that_is_no_network_namespace_is_4(string path)
    {
        await using var lab = await ShimLab.StartAsync();

        var run = lab.Plugin("ADD", path).RunIn(lab.Host);

        Assert.Equal((1, 4), (run.ExitCode, run.Code));
        Assert.Contains("CNI_NETNS", run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_into_the_namespace_of_the_plugin_is_8()
    {
        await using var lab = await ShimLab.StartAsync();

        var run = lab.Plugin("ADD", lab.Host.Path!).RunIn(lab.Host);

        Assert.Equal((1, 8), (run.ExitCode, run.Code));
        Assert.Empty(lab.Ipamd.State.Adds);
    }

    [Fact]
    public async Task Add_without_an_address_to_be_had_is_11_with_the_daemons_reason()
    {
        const string reason = "pool empty: 14 cooling; ENI limit reached (3 of 3)";
        await using var lab = await ShimLab.StartAsync(state =>
            state.OnAdd = (_, _) => throw new RpcException(new Status(StatusCode.ResourceExhausted, reason))
        );
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 11), (run.ExitCode, run.Code));
        Assert.Contains(reason, run.Message, StringComparison.Ordinal);
        AssertNothing(lab, pod);
    }

    [Fact]
    public async Task Add_without_a_daemon_is_11()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        var run = lab.Plugin("ADD", pod.Path!);
        run.Config = run.Config.Replace(lab.Ipamd.SocketPath, "/nonexistent/ipamd.sock", StringComparison.Ordinal);

        run.RunIn(lab.Host);

        Assert.Equal((1, 11), (run.ExitCode, run.Code));
        Assert.Contains("/nonexistent/ipamd.sock", run.Message, StringComparison.Ordinal);
        AssertNothing(lab, pod);
    }

    public static TheoryData<string, int> Garbled =>
        new()
        {
            { "success=false", 11 },
            { "no addresses", 110 },
            { "not an address", 110 },
            { "loopback", 110 },
            { "any", 110 },
            { "multicast", 110 },
            { "families mixed up", 110 },
            { "negative table", 110 },
            { "branch interface", 111 },
            { "33 addresses", 110 },
        };

    [Theory]
    [MemberData(nameof(Garbled))]
    public async Task Add_on_nonsense_from_the_daemon_gives_the_address_back(string what, int code)
    {
        await using var lab = await ShimLab.StartAsync(state => state.Garble = reply => Garble(reply, what));
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, code), (run.ExitCode, run.Code));
        AssertNothing(lab, pod);
        Assert.Equal("SetupNSFailed", Assert.Single(lab.Ipamd.State.Dels).Reason);
    }

    [Fact]
    public async Task Add_whose_interface_name_is_taken_meanwhile_leaves_that_and_nothing_else()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        using var inside = pod.OpenRouteNetlink();
        lab.Ipamd.State.OnAdd = (_, _) =>
        {
            inside.Execute(LinkRequests.CreateBridge("eth0"));
            return Task.CompletedTask;
        };

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Equal("bridge", inside.FindLink("eth0")!.Kind);
        Assert.Equal(lab.Empty, lab.Snapshot());
        Assert.Empty(lab.Ipamd.State.Held);
    }

    [Fact]
    public async Task Add_whose_namespace_vanishes_meanwhile_leaves_nothing()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Ipamd.State.OnAdd = (_, _) =>
        {
            lab.Destroy(pod);
            return Task.CompletedTask;
        };

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 100), (run.ExitCode, run.Code));
        Assert.Contains("vanished", run.Message, StringComparison.Ordinal);
        Assert.Equal(lab.Empty, lab.Snapshot());
        Assert.Empty(lab.Ipamd.State.Held);
    }

    [Fact]
    public async Task Add_refused_by_the_kernel_on_the_pods_side_leaves_nothing()
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = "10.250.0.10",
                DeviceNumber = 1,
                RouteTableId = 2,
            }
        );
        var pod = lab.CreateNamespace("pod");
        using var inside = pod.OpenRouteNetlink();
        inside.Execute(LinkRequests.CreateBridge("other", up: true));
        // takes the default route
        inside.Execute(
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = AddressFamily.InterNetwork,
                    LinkIndex = inside.FindLink("other")!.Index,
                    Scope = RouteScope.Link,
                }
            )
        );

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 100), (run.ExitCode, run.Code));
        Assert.Contains("EEXIST", run.Message, StringComparison.Ordinal);
        Assert.Contains("default", run.Message, StringComparison.Ordinal);
        AssertNothing(lab, pod);
        Assert.Equal("SetupNSFailed", Assert.Single(lab.Ipamd.State.Dels).Reason);
    }

    [Fact]
    public async Task Add_with_a_foreign_link_in_the_way_says_so_and_leaves_it()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.HostNetlink.Execute(LinkRequests.CreateBridge("enicc21c2d7785"));

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 100), (run.ExitCode, run.Code));
        Assert.Contains("enicc21c2d7785", run.Message, StringComparison.Ordinal);
        Assert.Equal("bridge", lab.HostNetlink.FindLink("enicc21c2d7785")!.Kind);
        Assert.Empty(lab.Ipamd.State.Held);
    }

    [Fact]
    public async Task Add_that_fails_reports_its_own_error_even_if_the_undo_fails_too()
    {
        await using var lab = await ShimLab.StartAsync(state =>
        {
            state.Garble = reply => reply.IPAllocationMetadata.Clear();
            state.OnDel = (_, _) => throw new RpcException(new Status(StatusCode.Internal, "disk full"));
        });
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 110), (run.ExitCode, run.Code));
        Assert.Contains("0 addresses", run.Message, StringComparison.Ordinal);
        Assert.Contains("disk full", run.Stderr, StringComparison.Ordinal);
    }

    private static void Garble(AddNetworkReply reply, string what)
    {
        var first = reply.IPAllocationMetadata[0] = reply.IPAllocationMetadata[0].Clone();
        switch (what)
        {
            case "success=false":
                reply.Success = false;
                break;
            case "no addresses":
                reply.IPAllocationMetadata.Clear();
                break;
            case "not an address":
                first.IPv4Addr = "banana";
                break;
            case "loopback":
                first.IPv4Addr = "127.0.0.1";
                break;
            case "any":
                first.IPv4Addr = "0.0.0.0";
                break;
            case "multicast":
                first.IPv4Addr = "224.0.0.1";
                break;
            case "families mixed up":
                first.IPv6Addr = "10.0.0.1";
                break;
            case "negative table":
                first.RouteTableId = -1;
                break;
            case "branch interface":
                reply.PodVlanId = 7;
                break;
            case "33 addresses":
                for (var i = 1; i < 33; i++)
                    reply.IPAllocationMetadata.Add(first);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(what), what, "no such case");
        }
    }

    private static void AssertNothing(ShimLab lab, NetworkNamespace pod)
    {
        Assert.Equal(lab.Empty, lab.Snapshot());
        Assert.Empty(lab.Ipamd.State.Held);
        using var inside = pod.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
    }
}
