// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

public sealed class KernelMonitorsTests
{
    [Fact]
    public async Task A_report_that_cannot_be_handled_is_as_good_as_lost_and_is_said_once_a_minute()
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        var (lost, tables, said) = (0, 0, new Counting());
        using var kernel = new RtnetlinkKernel(ns);
        using var monitors = new KernelMonitors(kernel, TimeProvider.System, said, Handle, _ => Interlocked.Increment(ref tables));
        Assert.True(monitors.EnsureRoutes());
        Assert.True(monitors.EnsureTables());
        for (var number = 0; number < 20; number++)
            ns.Ip($"link set lo mtu {2000 + number}");
        await Eventually.TrueAsync(() => Volatile.Read(ref lost) >= 20);
        Assert.Equal(lost, tables);
        Assert.Single(said.Lines);
        // They go on: nothing had to be started again.
        Assert.False(monitors.EnsureRoutes());
        Assert.False(monitors.EnsureTables());

        void Handle(RouteNotification change)
        {
            if (change is not RouteNotification.Overflow)
                throw new InvalidOperationException("not understood");
            Interlocked.Increment(ref lost);
        }
    }

    [Fact]
    public async Task Where_nftables_cannot_be_listened_to_the_rest_is_reported_all_the_same()
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        var reports = 0;
        using var kernel = new KernelWithoutNftables(new RtnetlinkKernel(ns));
        using var monitors = new KernelMonitors(
            kernel,
            TimeProvider.System,
            new Counting(),
            _ => Interlocked.Increment(ref reports),
            _ => { }
        );
        Assert.True(monitors.EnsureRoutes());
        Assert.Throws<NetlinkException>(() => monitors.EnsureTables());
        Assert.False(monitors.EnsureRoutes());
        ns.Ip("link set lo mtu 2000");
        await Eventually.TrueAsync(() => Volatile.Read(ref reports) > 0);
    }

    private sealed class Counting : ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Enqueue(LogFields.Text(state, formatter));
    }
}
