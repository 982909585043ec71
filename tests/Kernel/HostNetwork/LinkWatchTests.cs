// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>The pool's watch of the host's links: exactly one, and set before an interface is configured.</summary>
public sealed class LinkWatchTests
{
    private const string Mac = "02:00:00:00:00:07";

    [Fact]
    public async Task Interface_is_not_configured_while_nothing_watches_links()
    {
        using var ns = NetworkNamespace.CreateAnonymous();
        using var host = Open(ns);
        var wiring = new InterfaceWiring
        {
            Mac = Mac,
            Slot = new Slot(0, 1),
            PrimaryAddress = IPAddress.Parse("10.0.0.20"),
            SubnetRange = IPNetwork.Parse("10.0.0.0/24"),
            Mtu = 1500,
        };
        await Assert.ThrowsAsync<InvalidOperationException>(() => host.EnsureInterfaceAsync(wiring, TimeSpan.Zero, default));
        host.WatchLinks(_ => { }, _ => { });
        await Assert.ThrowsAsync<HostNetworkException>(() => host.EnsureInterfaceAsync(wiring, TimeSpan.Zero, default));
        Assert.Throws<InvalidOperationException>(() => host.WatchLinks(_ => { }, _ => { }));
    }

    [Fact]
    public async Task Links_that_come_and_go_are_reported_by_their_MAC_address()
    {
        using var ns = NetworkNamespace.CreateAnonymous();
        using var host = Open(ns);
        var (isSeen, isLost) = (false, false);
        host.WatchLinks(mac => Volatile.Write(ref isSeen, isSeen || mac == Mac), mac => Volatile.Write(ref isLost, isLost || mac == Mac));
        ns.Ip($"link add eth1 address {Mac} type veth peer name other");
        await Eventually.TrueAsync(() => Volatile.Read(ref isSeen));
        Assert.False(isLost);
        ns.Ip("link delete eth1");
        await Eventually.TrueAsync(() => Volatile.Read(ref isLost));
    }

    private static KernelHostNetwork Open(NetworkNamespace ns) =>
        new(new RtnetlinkKernel(ns), "eni", TimeProvider.System, NullLogger<KernelHostNetwork>.Instance);
}
