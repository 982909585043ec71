// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Kernel.Tests.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>Measures the cost of a sync on a full node. Several run per second while pods are added and deleted.</summary>
public sealed class SyncCostTests(ITestOutputHelper output)
{
    private const int Pods = 250,
        Rounds = 40;

    /// <summary>Several times the duration on a slow, busy machine.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(25);

    [Theory]
    [InlineData(0)]
    [InlineData(2000)]
    public async Task Sync_of_a_full_node_takes_milliseconds_with_any_number_of_addresses(int serviceAddresses)
    {
        await using var lab = await HostLab.StartAsync(run: false);
        lab.AddPodLinks(Pods);
        lab.Host.IpBatch(
            "",
            [.. Enumerable.Range(0, serviceAddresses).Select(number => $"address add 172.20.{number / 250}.{1 + (number % 250)}/32 dev lo")]
        );
        for (var round = 0; round < 10; round++)
            await lab.Reconciler.SyncAsync(CancellationToken.None);
        var (times, allocated) = (new List<TimeSpan>(), GC.GetTotalAllocatedBytes(precise: true));
        for (var round = 0; round < Rounds; round++)
        {
            var started = ProcessorTime();
            await lab.Reconciler.SyncAsync(CancellationToken.None);
            times.Add(ProcessorTime() - started);
        }

        var median = times.Order().ElementAt(Rounds / 2);
        output.WriteLine(
            $"{Pods} pods, {serviceAddresses} service addresses: median {median.TotalMilliseconds:0.0} ms, minimum "
                + $"{times.Min().TotalMilliseconds:0.0} ms, {(GC.GetTotalAllocatedBytes(precise: true) - allocated) / Rounds / 1024} KiB a "
                + "sync"
        );
        Assert.InRange(median, TimeSpan.Zero, Bound);
    }

    /// <summary>
    /// Processor time of this thread, user and kernel, so that the load of the machine does not count. A sync without changes never waits,
    /// so it stays on its thread.
    /// </summary>
    private static TimeSpan ProcessorTime() =>
        TimeSpan.FromMicroseconds(
            long.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0], CultureInfo.InvariantCulture) / 1000.0
        );
}
