// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Observation;

public sealed class NetworkRangeWatchTests
{
    private static readonly IPNetwork First = IPNetwork.Parse("10.0.0.0/16"),
        Second = IPNetwork.Parse("100.64.0.0/16");
    private readonly FakeCloud _cloud = new();
    private readonly NetworkRanges _ranges;
    private int _changes;

    public NetworkRangeWatchTests()
    {
        _ranges = new NetworkRanges(() => _changes++);
        _ranges.Set([First]);
        _changes = 0;
    }

    [Fact]
    public async Task Changed_ranges_are_reported()
    {
        var watch = Watch();
        await SyncAsync(watch, First);
        await SyncAsync(watch, Second, First);
        AssertKnown(1, [Second, First]);
        await SyncAsync(watch, First, Second);
        Assert.Equal(1, _changes);
        await SyncAsync(watch, First);
        AssertKnown(2, [First]);
    }

    [Fact]
    public async Task Failed_read_keeps_the_last_ranges()
    {
        var watch = Watch();
        await SyncAsync(watch);
        _cloud.FailNext("DescribeNetworkRanges", CloudErrorKind.Transient);
        await SyncAsync(watch, Second);
        AssertKnown(0, [First]);
        await SyncAsync(watch, Second);
        AssertKnown(1, [Second]);
    }

    private void AssertKnown(int changes, IPNetwork[] ranges)
    {
        Assert.Equal(ranges, _ranges.Current);
        Assert.Equal(changes, _changes);
    }

    private NetworkRangeWatch Watch() =>
        new(_cloud.Ports, _ranges, TimeSpan.FromSeconds(30), TimeProvider.System, new Random(1), NullLogger<NetworkRangeWatch>.Instance);

    private Task SyncAsync(NetworkRangeWatch watch, params IPNetwork[] ranges)
    {
        _cloud.Ranges = ranges;
        return watch.SyncAsync(TestContext.Current.CancellationToken);
    }
}
