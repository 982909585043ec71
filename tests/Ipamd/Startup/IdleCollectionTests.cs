// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Startup;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Startup;

public sealed class IdleCollectionTests
{
    private readonly ManualTimeProvider _time = new();
    private int _collections;

    [Fact]
    public async Task Burst_is_followed_by_one_collection_when_the_node_is_quiet()
    {
        using var stop = new CancellationTokenSource();
        var idle = new IdleCollection(() => _collections++, _time);
        var running = idle.RunAsync(stop.Token);
        Requests(idle, IdleCollection.MinimumRequests - 1);
        await PassAsync(3);
        Assert.Equal(0, _collections);

        // Requests go on: no collection while a client waits for an answer.
        for (var round = 0; round < 5; round++)
        {
            Requests(idle, 1);
            await PassAsync(0.5);
        }

        Assert.Equal(0, _collections);
        await PassAsync(5);
        Assert.Equal(1, _collections);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private void Requests(IdleCollection idle, int count)
    {
        for (var index = 0; index < count; index++)
            idle.Observe(new PoolEvent.Deleted(_time.GetUtcNow(), new AttachmentKey("net", "c", "eth0"), null, TimeSpan.Zero));
    }

    private async Task PassAsync(double quietPeriods)
    {
        for (var step = 0; step < quietPeriods * 10; step++)
        {
            await Eventually.TrueAsync(() => _time.PendingTimers > 0);
            _time.Advance(IdleCollection.Quiet / 10);
        }
    }
}
