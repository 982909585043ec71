// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Observation;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class NodeWatchTests
{
    private readonly NodeConditions _conditions = new();
    private readonly PoolSignal _signal = new();
    private readonly List<NodeFacts> _seen = [];
    private readonly List<string> _missing = [];

    [Fact]
    public async Task Capacity_and_cordon_are_applied_and_raise_the_signal()
    {
        var watch = Watch();
        watch.OnUpdate(Node(maxPods: 29));
        await AssertPoolAsync(29, isUnschedulable: false, isWoken: true);
        watch.OnUpdate(Node(maxPods: 29, isUnschedulable: true));
        await AssertPoolAsync(29, isUnschedulable: true, isWoken: true);
        watch.OnUpdate(Node(maxPods: 29, isUnschedulable: true));
        await AssertPoolAsync(29, isUnschedulable: true, isWoken: false);
        watch.OnUpdate(Node(maxPods: 110));
        await AssertPoolAsync(110, isUnschedulable: false, isWoken: true);
        Assert.Equal(4, _seen.Count);
    }

    [Fact]
    public async Task Missing_node_or_capacity_changes_nothing()
    {
        var watch = Watch();
        watch.OnUpdate(null);
        await AssertPoolAsync(null, isUnschedulable: false, isWoken: false);
        Assert.Equal(["the API server has no node n"], _missing);
        watch.OnUpdate(Node(maxPods: 29, isUnschedulable: true));
        await AssertPoolAsync(29, isUnschedulable: true, isWoken: true);
        watch.OnUpdate(null);
        watch.OnUpdate(Node(maxPods: null, isUnschedulable: true));
        await AssertPoolAsync(29, isUnschedulable: true, isWoken: false);
    }

    private NodeWatch Watch() => new("n", _conditions, _signal, _seen.Add, _missing.Add, NullLogger<NodeWatch>.Instance);

    private static NodeFacts Node(int? maxPods, bool isUnschedulable = false) =>
        new("uid", maxPods, isUnschedulable, new Dictionary<string, string>(), new Dictionary<string, string>());

    private async Task AssertPoolAsync(int? maxPods, bool isUnschedulable, bool isWoken)
    {
        Assert.Equal((maxPods, isUnschedulable), (_conditions.MaxPods, _conditions.IsUnschedulable));
        using var stop = new CancellationTokenSource();
        var waiting = _signal.WaitAsync(TimeSpan.FromHours(1), new ManualTimeProvider(), stop.Token);
        Assert.Equal(isWoken, waiting.IsCompletedSuccessfully);
        await stop.CancelAsync();
        if (!isWoken)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }
}
