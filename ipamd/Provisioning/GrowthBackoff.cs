// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Derives the obstacles to growth from the cloud's failures: exponential backoff with jitter for momentary failures (throttling, no
/// answer), a fixed pause for facts. A fact is an obstacle only within its scope: a full subnet for that subnet, a full interface for that
/// interface, the interface limit for new ones. Thread-safe, since changes end concurrently.
/// </summary>
/// <param name="supply">Tracks whether a subnet has been described since it refused a request.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Source of jitter.</param>
internal sealed class GrowthBackoff(SubnetSupply supply, TimeProvider time, Random random)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(NetworkInterfaceId Id, AddressFamily Family), GrowthObstacle> _interfaces = [];
    private readonly Dictionary<(string SubnetId, AddressFamily Family), AddressRefusal> _addresses = [];
    private readonly Dictionary<(string SubnetId, AddressFamily Family), (GrowthObstacle Obstacle, int AtOnce)> _prefixes = [];
    private GrowthObstacle? _everything;
    private GrowthObstacle? _newInterfaces;
    private readonly Dictionary<(string SubnetId, AddressFamily Family), int> _fragmented = [];
    private int _consecutive;
    private int _failedInterfaces;

    /// <summary>The obstacles in force now.</summary>
    public GrowthObstacles View()
    {
        lock (_lock)
            return View_NeedsLock();
    }

    private GrowthObstacles View_NeedsLock()
    {
        var now = time.GetUtcNow();
        RemoveExpired(_interfaces, obstacle => obstacle.Until <= now);
        RemoveExpired(_addresses, item => item.Obstacle.Until <= now);
        RemoveExpired(_prefixes, item => item.Obstacle.Until <= now);
        var subnets = _addresses
            .Keys.Union(_prefixes.Keys)
            .ToDictionary(
                id => id,
                id =>
                {
                    var addresses = _addresses.GetValueOrDefault(id);
                    var prefixes = _prefixes.GetValueOrDefault(id);
                    var (obstacle, atOnce) = addresses is null ? (null, int.MaxValue) : Remaining(id.SubnetId, id.Family, addresses);
                    return new SubnetObstacle(obstacle, atOnce, prefixes.Obstacle) { PrefixesAtOnce = prefixes.AtOnce };
                }
            );
        return new GrowthObstacles(
            InForce(_everything, now),
            InForce(_newInterfaces, now),
            new Dictionary<(NetworkInterfaceId, AddressFamily), GrowthObstacle>(_interfaces),
            subnets
        )
        {
            Retried =
                _everything is { Until: { } until } && until <= now && now < until + PoolLimits.CallRetries.Longest
                    ? _everything with
                    {
                        Until = null,
                        MayEndAnyMoment = true,
                        Detail = $"{_everything.Detail}; it is being retried now",
                    }
                    : null,
        };
    }

    /// <summary>
    /// The cloud gives all or nothing, so a smaller request may succeed: for as many addresses as a later description shows. Without a
    /// description, or when it shows more than was refused, half of the refused number.
    /// </summary>
    private (GrowthObstacle Obstacle, int AtOnce) Remaining(string subnetId, AddressFamily family, AddressRefusal refusal) =>
        family != IpFamily.V4 ? (refusal.Obstacle, refusal.Size / 2)
        : refusal.AwaitedAfter is { } before && supply.LastEnded <= before ? (refusal.Obstacle with { MayEndAnyMoment = true }, 0)
        : supply.DescribedSinceRefusal(subnetId) < refusal.Size ? (refusal.Obstacle, refusal.Size - 1)
        : (refusal.Obstacle, refusal.Size / 2);

    /// <summary>Records a failed growth.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="target">The interface that was to get the blocks; null for a new one.</param>
    /// <param name="subnetId">The subnet of the blocks.</param>
    /// <param name="blocks">The requested blocks.</param>
    /// <param name="describeAgain">Requests an immediate description of the subnets; returns false when none follows.</param>
    public void Failed(ChangeFailure failure, NetworkInterfaceId? target, string subnetId, BlockRequest blocks, Func<bool> describeAgain)
    {
        lock (_lock)
        {
            switch (failure)
            {
                case ChangeFailure.Cloud { Exception: var refusal }:
                    Failed_NeedsLock(refusal, target, subnetId, blocks, describeAgain);
                    break;
                case ChangeFailure.Kernel:
                    _newInterfaces = NewInterfaces_NeedsLock(GrowthObstacleKind.HostNetwork, failure.Reason);
                    break;
                case ChangeFailure.Disk:
                    _everything = new GrowthObstacle(GrowthObstacleKind.Disk, time.GetUtcNow() + CallRetry(), failure.Reason);
                    break;
                case ChangeFailure.Superseded or ChangeFailure.Interrupted:
                    break;
                default:
                    throw new InvalidOperationException($"unknown failure {failure}");
            }
        }
    }

    /// <summary>
    /// A new interface costs several calls, including those that undo it: retried at growing intervals. Existing interfaces can still grow.
    /// </summary>
    private GrowthObstacle NewInterfaces_NeedsLock(GrowthObstacleKind kind, string detail) =>
        new(kind, time.GetUtcNow() + PoolLimits.NewInterfaceRetries.Ceiling(++_failedInterfaces), detail);

    private void Failed_NeedsLock(
        CloudException failure,
        NetworkInterfaceId? target,
        string subnetId,
        BlockRequest blocks,
        Func<bool> describeAgain
    )
    {
        var family = blocks.Shape.Family;
        GrowthObstacle Fact(GrowthObstacleKind kind, TimeSpan pause) => new(kind, time.GetUtcNow() + pause, failure.Message);
        switch (failure.Kind)
        {
            case CloudErrorKind.SubnetExhausted when blocks is { Shape.IsSingle: false, Count: > 1 }:
                _prefixes[(subnetId, family)] = (Fact(GrowthObstacleKind.SubnetExhausted, PoolLimits.SubnetBackoff), blocks.Count / 2);
                break;
            case CloudErrorKind.SubnetExhausted when !blocks.Shape.IsSingle:
                var times = _fragmented[(subnetId, family)] = _fragmented.GetValueOrDefault((subnetId, family)) + 1;
                var pause = PoolLimits.FragmentedSubnetRetries.Ceiling(times);
                _prefixes[(subnetId, family)] = (Fact(GrowthObstacleKind.SubnetExhausted, pause), 0);
                break;
            case CloudErrorKind.SubnetExhausted:
                var size = blocks.Count + (target is null ? 1 : 0);
                var exhausted = Fact(GrowthObstacleKind.SubnetExhausted, PoolLimits.SubnetBackoff);
                RefuseAddresses_NeedsLock(subnetId, family, size, exhausted, describeAgain);
                break;
            case CloudErrorKind.Throttled when failure.RetryAfter is { } tokensReturn && target is null:
                // The node's own budget, which has a known end. Filling an existing interface costs less and may still be affordable.
                _newInterfaces = Fact(GrowthObstacleKind.Throttled, tokensReturn) with
                {
                    IsLocalBudget = true,
                };
                break;
            case CloudErrorKind.Throttled when failure.RetryAfter is { } tokensReturn:
                _everything = Fact(GrowthObstacleKind.Throttled, tokensReturn) with { IsLocalBudget = true };
                break;
            case CloudErrorKind.Throttled:
                _everything = Fact(GrowthObstacleKind.Throttled, CallRetry());
                break;
            case CloudErrorKind.Disabled:
                // Disabled by an operator, who may enable it at any time: retried soon.
                _everything = Fact(GrowthObstacleKind.ProvisioningDisabled, PoolLimits.CallRetries.Longest);
                break;
            case CloudErrorKind.NotPermitted when target is not null:
                _everything = Fact(GrowthObstacleKind.NotPermitted, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.AddressLimit when target is { } full:
                _interfaces[(full, family)] = Fact(GrowthObstacleKind.AddressLimit, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.NotFound or CloudErrorKind.Conflict when target is { } changed:
                _interfaces[(changed, family)] = Fact(GrowthObstacleKind.CloudFailure, PoolLimits.CallRetries.First);
                break;
            // A subnet or an interface without IPv6: the other subnets and interfaces, and IPv4, can still grow.
            case CloudErrorKind.Invalid or CloudErrorKind.Unknown when family == IpFamily.V6 && target is { } refused:
                _interfaces[(refused, family)] = Fact(GrowthObstacleKind.CloudFailure, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.Invalid or CloudErrorKind.Unknown when family == IpFamily.V6:
                _prefixes[(subnetId, family)] = (Fact(GrowthObstacleKind.CloudFailure, PoolLimits.SubnetBackoff), 0);
                _addresses[(subnetId, family)] = new AddressRefusal(
                    Fact(GrowthObstacleKind.CloudFailure, PoolLimits.SubnetBackoff),
                    Size: 1,
                    Refreshes: 0,
                    AwaitedAfter: null
                );
                break;
            case CloudErrorKind.Transient:
                _everything = Fact(GrowthObstacleKind.CloudFailure, CallRetry());
                break;
            case var kind when target is null:
                _newInterfaces = NewInterfaces_NeedsLock(CloudObstacles.KindOf(kind), failure.Message);
                break;
            case var kind:
                _everything = Fact(CloudObstacles.KindOf(kind), CallRetry());
                break;
        }
    }

    /// <summary>Has the subnet described again before it is asked for fewer addresses, unless that happened too often.</summary>
    private void RefuseAddresses_NeedsLock(
        string subnetId,
        AddressFamily family,
        int size,
        GrowthObstacle obstacle,
        Func<bool> describeAgain
    )
    {
        var before =
            _addresses.GetValueOrDefault((subnetId, family)) is { } known && known.Obstacle.Until > time.GetUtcNow() ? known : null;
        var refreshes = before?.Refreshes ?? 0;
        // Descriptions of subnets count IPv4 addresses.
        if (family == IpFamily.V4)
            supply.Refused(subnetId, size);
        var lastRequested = supply.LastRequested;
        // A description tells nothing more when the request was one interface with one address.
        var isRefreshing = family == IpFamily.V4 && size > 2 && refreshes < PoolLimits.MaxSubnetRefreshes && describeAgain();
        var fewest = Math.Min(size, before?.Size ?? size);
        _addresses[(subnetId, family)] = new AddressRefusal(
            obstacle,
            fewest,
            refreshes + (isRefreshing ? 1 : 0),
            isRefreshing ? lastRequested : null
        );
    }

    /// <summary>Records a successful growth and removes the obstacles that it disproves.</summary>
    public void Succeeded(NetworkInterfaceId? target, string subnetId, BlockRequest blocks)
    {
        lock (_lock)
        {
            _consecutive = 0;
            _everything = null;
            if (target is { } id)
                _interfaces.Remove((id, blocks.Shape.Family));
            else
                (_newInterfaces, _failedInterfaces) = (null, 0);
            if (blocks.Shape.IsSingle)
                return;
            _prefixes.Remove((subnetId, blocks.Shape.Family));
            _fragmented.Remove((subnetId, blocks.Shape.Family));
        }
    }

    private static void RemoveExpired<TKey, TValue>(Dictionary<TKey, TValue> obstacles, Func<TValue, bool> isExpired)
        where TKey : notnull
    {
        foreach (var key in obstacles.Where(pair => isExpired(pair.Value)).Select(pair => pair.Key).ToArray())
            obstacles.Remove(key);
    }

    private static GrowthObstacle? InForce(GrowthObstacle? obstacle, DateTimeOffset now) =>
        obstacle is { Until: { } until } && until <= now ? null : obstacle;

    /// <summary>Returns the pause after a failed call. Failures during a pause do not extend it.</summary>
    private TimeSpan CallRetry()
    {
        if (InForce(_everything, time.GetUtcNow()) is { Until: { } until })
            return until - time.GetUtcNow();
        return PoolLimits.CallRetries.Pause(++_consecutive, random);
    }

    /// <summary>A refusal of addresses by a subnet.</summary>
    /// <param name="Obstacle">The obstacle to report.</param>
    /// <param name="Size">Fewest addresses that it refused, a new interface's primary address included.</param>
    /// <param name="Refreshes">Number of descriptions requested by consecutive refusals.</param>
    /// <param name="AwaitedAfter">The last description before the one that is awaited; null when none is awaited.</param>
    private sealed record AddressRefusal(GrowthObstacle Obstacle, int Size, int Refreshes, long? AwaitedAfter);
}
