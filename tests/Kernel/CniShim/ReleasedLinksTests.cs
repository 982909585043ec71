// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>
/// Links of deleted pods with a daemon that deletes them: what DEL leaves to the daemon, and what works until it has deleted them.
/// </summary>
public sealed class ReleasedLinksTests
{
    [Fact]
    public async Task Del_removes_the_address_and_leaves_the_link_to_the_daemon()
    {
        await using var lab = await ShimLab.StartAsync(DeleteLinks);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);

        Assert.Equal(0, lab.Del(pod.Path!, previous: result).ExitCode);

        var link = Assert.Single(lab.HostNetlink.GetLinks(), link => link.Kind == "veth");
        Assert.Equal(LinkGroups.Released, link.Group);
        Assert.DoesNotContain(lab.HostNetlink.GetRoutes(IpFamily.V4), route => route.LinkIndex == link.Index);
        Assert.DoesNotContain(lab.HostNetlink.GetRules(IpFamily.V4), rule => rule.Priority is 512 or 1536);
        Assert.Empty(lab.Ipamd.State.Attachments);

        using var released = lab.Host.Run(() => new ReleasedLinks(NullLogger<ReleasedLinks>.Instance));
        await Eventually.TrueAsync(() => lab.Snapshot() == lab.Empty);
    }

    [Fact]
    public async Task Repeated_Del_before_the_daemon_deletes_the_link_deletes_it()
    {
        await using var lab = await ShimLab.StartAsync(DeleteLinks);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);
        Assert.Equal(0, lab.Del(pod.Path!, previous: result).ExitCode);
        // The daemon has no attachment for a repeated DEL and does not offer to delete the link.
        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
    }

    [Fact]
    public async Task Add_to_the_same_namespace_before_the_link_is_deleted_succeeds()
    {
        await using var lab = await ShimLab.StartAsync(DeleteLinks);
        var pod = lab.CreateNamespace("pod");
        lab.Del(pod.Path!, previous: lab.Add(pod));
        lab.Add(pod);
        Assert.Equal(0, Assert.Single(lab.HostNetlink.GetLinks(), link => link.Kind == "veth").Group);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.11"));
    }

    [Fact]
    public async Task New_sandbox_of_the_same_pod_reuses_the_name_before_the_link_is_deleted()
    {
        await using var lab = await ShimLab.StartAsync(DeleteLinks);
        var (old, next) = (lab.CreateNamespace("old"), lab.CreateNamespace("next"));
        lab.Del(old.Path!, previous: lab.Add(old));
        lab.Add(next, container: "c2");
        await ShimLab.ConnectAsync(lab.Host, next, IPAddress.Parse("10.250.0.11"));
    }

    [Fact]
    public async Task Released_links_are_deleted_in_one_batch_and_others_are_kept()
    {
        await using var lab = await ShimLab.StartAsync(DeleteLinks);
        for (var number = 0; number < 20; number++)
        {
            var pod = lab.CreateNamespace($"pod{number}");
            var result = lab.Add(pod, $"c{number}", $"pod-{number}");
            if (number % 2 == 0)
                Assert.Equal(0, lab.Del(pod.Path!, $"c{number}", $"pod-{number}", result).ExitCode);
        }

        using var released = lab.Host.Run(() => new ReleasedLinks(NullLogger<ReleasedLinks>.Instance));
        await Eventually.TrueAsync(() => lab.HostNetlink.GetLinks().Count(link => link.Kind == "veth") == 10);
        Assert.Equal(10, lab.HostNetlink.GetRoutes(IpFamily.V4, RouteTable.Main).Count(route => route.Destination?.PrefixLength == 32));
        released.Request();
        Assert.Equal(10, lab.HostNetlink.GetLinks().Count(link => link.Kind == "veth"));
    }

    private static void DeleteLinks(VpcCni.Shim.Tests.FakeIpamdState state)
    {
        state.DeletesLinks = true;
        state.Allocate = static n => new IPAllocationMetadata
        {
            IPv4Addr = $"10.250.0.{n + 10}",
            DeviceNumber = 1,
            RouteTableId = 2,
        };
    }
}
