// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Grpc.Core;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>Failing ADDs: the error, and the absence of leftovers on the host, in the pod and at the daemon.</summary>
public sealed class AddFailureTests
{
    [Fact]
    public async Task Add_with_an_existing_interface_name_is_101_without_a_call_to_the_daemon()
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
    public async Task Repeated_Add_is_101_and_the_running_pod_keeps_its_address()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Single(lab.Ipamd.State.Attachments);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.10"));
    }

    /// <summary>
    /// Opening the namespace may fail for lack of descriptors, or because of a path loop as here. That does not prove that the namespace is
    /// gone, so its address must not be released.
    /// </summary>
    [Fact]
    public async Task Add_releases_nothing_while_the_earlier_namespace_cannot_be_opened()
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
        Assert.Single(lab.Ipamd.State.Attachments);
        Assert.Empty(lab.Ipamd.State.Dels);
    }

    [Fact]
    public async Task Add_of_a_running_container_to_another_namespace_is_101()
    {
        await using var lab = await ShimLab.StartAsync();
        var (pod, other) = (lab.CreateNamespace("pod"), lab.CreateNamespace("other"));
        lab.Add(pod);
        var before = lab.Snapshot();

        var run = lab.Plugin("ADD", other.Path!).RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Contains(pod.Path!, run.Message, StringComparison.Ordinal);
        Assert.Equal(before, lab.Snapshot());
        Assert.Single(lab.Ipamd.State.Attachments);
        Assert.Empty(lab.Ipamd.State.Dels);
        using var inside = other.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.10"));

        // Both namespaces have the same attachment key, so one DEL ends the attachment.
        lab.AssertDeleted(lab.Del(other.Path!));
    }

    [Fact]
    public async Task Add_replaces_the_attachment_of_a_namespace_that_is_gone()
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
    public async Task Add_to_the_same_namespace_by_another_path_is_the_same_attachment()
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
    public async Task Add_that_fails_beside_a_concurrent_Add_does_not_release_its_address()
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
        Assert.Single(lab.Ipamd.State.Attachments);
        Assert.Empty(lab.Ipamd.State.Dels);
    }

    [Fact]
    public async Task Add_with_strict_network_policy_is_111_and_releases_the_address()
    {
        await using var lab = await ShimLab.StartAsync(state => state.ModifyReply = reply => reply.NetworkPolicyMode = "strict");
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 111), (run.ExitCode, run.Code));
        Assert.Empty(lab.Ipamd.State.Attachments);
    }

    [Fact]
    public async Task Add_of_a_second_interface_is_101_and_the_first_one_keeps_working()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        var run = lab.Plugin("ADD", pod.Path!).Set("CNI_IFNAME", "net1").RunIn(lab.Host);

        Assert.Equal((1, 101), (run.ExitCode, run.Code));
        Assert.Single(lab.Ipamd.State.Attachments);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.10"));
    }

    [Fact]
    public async Task Add_without_the_namespace_is_4_and_names_CNI_NETNS()
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
    public async Task Add_to_a_path_that_is_not_a_network_namespace_is_4(string path)
    {
        await using var lab = await ShimLab.StartAsync();

        var run = lab.Plugin("ADD", path).RunIn(lab.Host);

        Assert.Equal((1, 4), (run.ExitCode, run.Code));
        Assert.Contains("CNI_NETNS", run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_to_the_namespace_of_the_plugin_is_8()
    {
        await using var lab = await ShimLab.StartAsync();

        var run = lab.Plugin("ADD", lab.Host.Path!).RunIn(lab.Host);

        Assert.Equal((1, 8), (run.ExitCode, run.Code));
        Assert.Empty(lab.Ipamd.State.Adds);
    }

    [Fact]
    public async Task Add_without_a_free_address_is_11_with_the_reason_of_the_daemon()
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

    public static TheoryData<string, int> InvalidReplies =>
        new()
        {
            { "success=false", 11 },
            { "no addresses", 110 },
            { "not an address", 110 },
            { "loopback", 110 },
            { "any", 110 },
            { "multicast", 110 },
            { "mixed families", 110 },
            { "negative table", 110 },
            { "branch interface", 111 },
            { "33 addresses", 110 },
        };

    [Theory]
    [MemberData(nameof(InvalidReplies))]
    public async Task Add_with_an_invalid_reply_releases_the_address(string what, int code)
    {
        await using var lab = await ShimLab.StartAsync(state => state.ModifyReply = reply => Invalidate(reply, what));
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, code), (run.ExitCode, run.Code));
        AssertNothing(lab, pod);
        Assert.Equal("SetupNSFailed", Assert.Single(lab.Ipamd.State.Dels).Reason);
    }

    [Fact]
    public async Task Add_whose_interface_name_is_created_concurrently_leaves_only_that_link()
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
        Assert.Empty(lab.Ipamd.State.Attachments);
    }

    [Fact]
    public async Task Add_whose_namespace_is_removed_concurrently_leaves_nothing()
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
        Assert.Empty(lab.Ipamd.State.Attachments);
    }

    [Fact]
    public async Task Add_rejected_by_the_kernel_in_the_pod_leaves_nothing()
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
        // Takes the default route.
        inside.Execute(
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = IpFamily.V4,
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
    public async Task Add_with_a_foreign_link_of_the_same_name_reports_and_keeps_it()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.HostNetlink.Execute(LinkRequests.CreateBridge("enicc21c2d7785"));

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 100), (run.ExitCode, run.Code));
        Assert.Contains("enicc21c2d7785", run.Message, StringComparison.Ordinal);
        Assert.Equal("bridge", lab.HostNetlink.FindLink("enicc21c2d7785")!.Kind);
        Assert.Empty(lab.Ipamd.State.Attachments);
    }

    [Fact]
    public async Task Add_whose_rollback_fails_as_well_reports_the_first_error()
    {
        await using var lab = await ShimLab.StartAsync(state =>
        {
            state.ModifyReply = reply => reply.IPAllocationMetadata.Clear();
            state.OnDel = (_, _) => throw new RpcException(new Status(StatusCode.Internal, "disk full"));
        });
        var pod = lab.CreateNamespace("pod");

        var run = lab.Plugin("ADD", pod.Path!).RunIn(lab.Host);

        Assert.Equal((1, 110), (run.ExitCode, run.Code));
        Assert.Contains("0 addresses", run.Message, StringComparison.Ordinal);
        Assert.Contains("disk full", run.Stderr, StringComparison.Ordinal);
    }

    private static void Invalidate(AddNetworkReply reply, string what)
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
            case "mixed families":
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
                throw new ArgumentOutOfRangeException(nameof(what), what, "unknown case");
        }
    }

    private static void AssertNothing(ShimLab lab, NetworkNamespace pod)
    {
        Assert.Equal(lab.Empty, lab.Snapshot());
        Assert.Empty(lab.Ipamd.State.Attachments);
        using var inside = pod.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
    }
}
