// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Kernel.Tests.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>What one look at a full node costs: the keeper makes several a second while pods come and go.</summary>
public sealed class LookCostTests(ITestOutputHelper output)
{
    private const int Pods = 250,
        Rounds = 40;

    /// <summary>Several times what it takes on a slow machine that does other things as well.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(25);

    [Theory]
    [InlineData(0)]
    [InlineData(2000)]
    public async Task A_look_at_a_full_node_takes_few_milliseconds_however_many_addresses_others_have(int serviceAddresses)
    {
        await using var lab = await HostLab.StartAsync(run: false);
        lab.AddPodLinks(Pods);
        lab.Host.IpBatch(
            "",
            [.. Enumerable.Range(0, serviceAddresses).Select(number => $"address add 172.20.{number / 250}.{1 + (number % 250)}/32 dev lo")]
        );
        for (var round = 0; round < 10; round++)
            await lab.Keeper.SyncAsync(CancellationToken.None);
        var (times, allocated) = (new List<TimeSpan>(), GC.GetTotalAllocatedBytes(precise: true));
        for (var round = 0; round < Rounds; round++)
        {
            var started = OnProcessor();
            await lab.Keeper.SyncAsync(CancellationToken.None);
            times.Add(OnProcessor() - started);
        }

        var median = times.Order().ElementAt(Rounds / 2);
        output.WriteLine(
            $"{Pods} pods, {serviceAddresses} service addresses: median {median.TotalMilliseconds:0.0} ms, least "
                + $"{times.Min().TotalMilliseconds:0.0} ms, {(GC.GetTotalAllocatedBytes(precise: true) - allocated) / Rounds / 1024} KiB a "
                + "look"
        );
        Assert.InRange(median, TimeSpan.Zero, Bound);
    }

    /// <summary>
    /// Of this thread, in the kernel or not: what else the machine does is not in it. A look that finds everything right waits for nothing,
    /// so it stays on its thread.
    /// </summary>
    private static TimeSpan OnProcessor() =>
        TimeSpan.FromMicroseconds(
            long.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0], CultureInfo.InvariantCulture) / 1000.0
        );
}
