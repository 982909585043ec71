// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

public sealed class KernelMonitorsTests
{
    [Fact]
    public async Task Notification_that_cannot_be_handled_counts_as_lost_and_is_logged_once()
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        var (lost, tables, said) = (0, 0, new RecordingLogger<KernelMonitors>());
        using var kernel = new RtnetlinkKernel(ns);
        using var monitors = new KernelMonitors(kernel, TimeProvider.System, said, Handle, _ => Interlocked.Increment(ref tables));
        Assert.True(monitors.EnsureRoutes());
        Assert.True(monitors.EnsureTables());
        for (var number = 0; number < 20; number++)
            ns.Ip($"link set lo mtu {2000 + number}");
        await Eventually.TrueAsync(() => Volatile.Read(ref lost) >= 20);
        Assert.Equal(lost, tables);
        Assert.Single(said.Lines);
        // The monitors are still running, so none had to be restarted.
        Assert.False(monitors.EnsureRoutes());
        Assert.False(monitors.EnsureTables());

        void Handle(RouteNotification change)
        {
            if (change is not RouteNotification.Overflow)
                throw new InvalidOperationException("cannot be handled");
            Interlocked.Increment(ref lost);
        }
    }

    [Fact]
    public async Task Monitors_without_nftables_report_everything_else()
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        var reports = 0;
        using var kernel = new KernelWithoutNftables(new RtnetlinkKernel(ns));
        using var monitors = new KernelMonitors(
            kernel,
            TimeProvider.System,
            new RecordingLogger<KernelMonitors>(),
            _ => Interlocked.Increment(ref reports),
            _ => { }
        );
        Assert.True(monitors.EnsureRoutes());
        Assert.Throws<NetlinkException>(() => monitors.EnsureTables());
        Assert.False(monitors.EnsureRoutes());
        ns.Ip("link set lo mtu 2000");
        await Eventually.TrueAsync(() => Volatile.Read(ref reports) > 0);
    }
}
