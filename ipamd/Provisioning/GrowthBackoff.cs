// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// What the last failures of the cloud mean for growth: which obstacle there is, for what, and until when. Exponential with jitter where
/// the failure is of the moment (throttling, no answer), a fixed pause where it is a fact. A fact stands only against what it is a fact
/// about: a full subnet against that subnet, a full interface against that interface, the limit of interfaces against new ones. Changes end
/// side by side, so it is safe for several threads.
/// </summary>
/// <param name="supply">Knows whether a subnet has been described since it refused something.</param>
/// <param name="time">The clock.</param>
/// <param name="random">For jitter.</param>
internal sealed class GrowthBackoff(SubnetSupply supply, TimeProvider time, Random random)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, GrowthObstacle> _interfaces = [];
    private readonly Dictionary<string, AddressRefusal> _addresses = [];
    private readonly Dictionary<string, (GrowthObstacle Obstacle, int AtOnce)> _prefixes = [];
    private GrowthObstacle? _everything;
    private GrowthObstacle? _newInterfaces;
    private readonly Dictionary<string, int> _fragmented = [];
    private int _consecutive;
    private int _failedInterfaces;

    /// <summary>What is in force now.</summary>
    public GrowthObstacles View()
    {
        lock (_lock)
            return View_NeedsLock();
    }

    private GrowthObstacles View_NeedsLock()
    {
        var now = time.GetUtcNow();
        Forget(_interfaces, obstacle => obstacle.Until <= now);
        Forget(_addresses, item => item.Obstacle.Until <= now);
        Forget(_prefixes, item => item.Obstacle.Until <= now);
        var subnets = _addresses
            .Keys.Union(_prefixes.Keys)
            .ToDictionary(
                id => id,
                id =>
                {
                    var addresses = _addresses.GetValueOrDefault(id);
                    var prefixes = _prefixes.GetValueOrDefault(id);
                    var (obstacle, atOnce) = addresses is null ? (null, int.MaxValue) : Left(id, addresses);
                    return new SubnetObstacle(obstacle, atOnce, prefixes.Obstacle) { PrefixesAtOnce = prefixes.AtOnce };
                }
            );
        return new GrowthObstacles(
            InForce(_everything, now),
            InForce(_newInterfaces, now),
            new Dictionary<NetworkInterfaceId, GrowthObstacle>(_interfaces),
            subnets
        )
        {
            Retried =
                _everything is { Until: { } over } && over <= now && now < over + PoolLimits.LongestBackoff
                    ? _everything with
                    {
                        Until = null,
                        MayEndAnyMoment = true,
                        Detail = $"{_everything.Detail}; it is tried again now",
                    }
                    : null,
        };
    }

    /// <summary>
    /// EC2 gives all or nothing, so that fewer addresses than were refused may be had: as many as a description since then shows.
    /// Without one, or when it shows more than was refused, half.
    /// </summary>
    private (GrowthObstacle Obstacle, int AtOnce) Left(string subnetId, AddressRefusal refusal) =>
        refusal.AwaitsLook is { } before && supply.Ended <= before ? (refusal.Obstacle with { MayEndAnyMoment = true }, 0)
        : supply.DescribedSinceRefusal(subnetId) < refusal.Size ? (refusal.Obstacle, refusal.Size - 1)
        : (refusal.Obstacle, refusal.Size / 2);

    /// <summary>A change that should have added blocks did not.</summary>
    /// <param name="failure">Why.</param>
    /// <param name="target">The interface that was to get blocks; null for a new one.</param>
    /// <param name="subnetId">The subnet that they were to come from.</param>
    /// <param name="blocks">What was asked for.</param>
    /// <param name="describeAgain">Has the subnets described at once; false when they are not.</param>
    public void Failed(CloudException failure, NetworkInterfaceId? target, string subnetId, BlockRequest blocks, Func<bool> describeAgain)
    {
        lock (_lock)
            Failed_NeedsLock(failure, target, subnetId, blocks, describeAgain);
    }

    private void Failed_NeedsLock(
        CloudException failure,
        NetworkInterfaceId? target,
        string subnetId,
        BlockRequest blocks,
        Func<bool> describeAgain
    )
    {
        GrowthObstacle Fact(GrowthObstacleKind kind, TimeSpan pause) => new(kind, time.GetUtcNow() + pause, failure.Message);
        switch (failure.Kind)
        {
            case CloudErrorKind.SubnetExhausted when blocks is { Kind: BlockKind.Ipv4Prefix, Count: > 1 }:
                _prefixes[subnetId] = (Fact(GrowthObstacleKind.SubnetExhausted, PoolLimits.SubnetBackoff), blocks.Count / 2);
                break;
            case CloudErrorKind.SubnetExhausted when blocks.Kind == BlockKind.Ipv4Prefix:
                // A fragmented subnet stays so for long.
                var times = _fragmented[subnetId] = _fragmented.GetValueOrDefault(subnetId) + 1;
                var pause = Doubled(PoolLimits.SubnetBackoff, times, PoolLimits.LongestFactBackoff);
                _prefixes[subnetId] = (Fact(GrowthObstacleKind.SubnetExhausted, pause), 0);
                break;
            case CloudErrorKind.SubnetExhausted:
                var size = blocks.Count + (target is null ? 1 : 0);
                var exhausted = Fact(GrowthObstacleKind.SubnetExhausted, PoolLimits.SubnetBackoff);
                RefuseAddresses_NeedsLock(subnetId, size, exhausted, describeAgain);
                break;
            case CloudErrorKind.Throttled when failure.RetryAfter is { } tokensReturn && target is null:
                // Our own budget, which knows when. Making an interface costs more than filling one, which may still be affordable.
                _newInterfaces = Fact(GrowthObstacleKind.Throttled, tokensReturn) with
                {
                    IsLocalBudget = true,
                };
                break;
            case CloudErrorKind.Throttled when failure.RetryAfter is { } tokensReturn:
                _everything = Fact(GrowthObstacleKind.Throttled, tokensReturn) with { IsLocalBudget = true };
                break;
            case CloudErrorKind.Throttled:
                _everything = Fact(GrowthObstacleKind.Throttled, Exponential());
                break;
            case CloudErrorKind.Disabled:
                // Told by an operator; tried again soon, as the operator may tell otherwise at any time.
                _everything = Fact(GrowthObstacleKind.ProvisioningDisabled, PoolLimits.LongestBackoff);
                break;
            case CloudErrorKind.NotPermitted when target is not null:
                _everything = Fact(GrowthObstacleKind.NotPermitted, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.AddressLimit when target is { } full:
                _interfaces[full] = Fact(GrowthObstacleKind.AddressLimit, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.NotFound or CloudErrorKind.Conflict when target is { } changed:
                _interfaces[changed] = Fact(GrowthObstacleKind.CloudFailure, PoolLimits.FirstBackoff);
                break;
            case CloudErrorKind.Transient:
                _everything = Fact(GrowthObstacleKind.CloudFailure, Exponential());
                break;
            case var kind when target is null:
                // A new interface costs several calls, made and taken back: less and less often while nothing changes. The interfaces that
                // are there can still grow.
                _newInterfaces = Fact(
                    CloudObstacles.KindOf(kind),
                    Doubled(PoolLimits.FactBackoff, ++_failedInterfaces, PoolLimits.LongestFactBackoff)
                );
                break;
            case var kind:
                _everything = Fact(CloudObstacles.KindOf(kind), Exponential());
                break;
        }
    }

    /// <summary>The subnet is looked at again before it is asked for fewer, as long as that has not been tried too often.</summary>
    private void RefuseAddresses_NeedsLock(string subnetId, int size, GrowthObstacle obstacle, Func<bool> describeAgain)
    {
        var before = _addresses.GetValueOrDefault(subnetId) is { } known && known.Obstacle.Until > time.GetUtcNow() ? known : null;
        var looks = before?.Looks ?? 0;
        supply.Refused(subnetId, size);
        var asked = supply.Asked;
        // Of fewer than an interface and an address of it nothing is left to find out.
        var isLookedAt = size > 2 && looks < PoolLimits.SubnetLooks && describeAgain();
        var fewest = Math.Min(size, before?.Size ?? size);
        _addresses[subnetId] = new AddressRefusal(obstacle, fewest, looks + (isLookedAt ? 1 : 0), isLookedAt ? asked : null);
    }

    /// <summary>What a failure of the cloud is called where it stands against growth.</summary>
    /// <summary>Blocks were added.</summary>
    public void Succeeded(NetworkInterfaceId? target, string subnetId, BlockRequest blocks)
    {
        lock (_lock)
        {
            _consecutive = 0;
            _everything = null;
            if (target is { } id)
                _interfaces.Remove(id);
            else
                (_newInterfaces, _failedInterfaces) = (null, 0);
            if (blocks.Kind != BlockKind.Ipv4Prefix)
                return;
            _prefixes.Remove(subnetId);
            _fragmented.Remove(subnetId);
        }
    }

    private static void Forget<TKey, TValue>(Dictionary<TKey, TValue> obstacles, Func<TValue, bool> isOver)
        where TKey : notnull
    {
        foreach (var key in obstacles.Where(pair => isOver(pair.Value)).Select(pair => pair.Key).ToArray())
            obstacles.Remove(key);
    }

    private static TimeSpan Doubled(TimeSpan first, int times, TimeSpan longest)
    {
        var pause = first * Math.Pow(2, Math.Min(times - 1, 10));
        return pause < longest ? pause : longest;
    }

    private static GrowthObstacle? InForce(GrowthObstacle? obstacle, DateTimeOffset now) =>
        obstacle is { Until: { } until } && until <= now ? null : obstacle;

    /// <summary>
    /// Half fixed, half random: nodes that failed together do not come back together, and none comes back at once. Failures that come while
    /// a pause runs do not lengthen it.
    /// </summary>
    private TimeSpan Exponential()
    {
        if (InForce(_everything, time.GetUtcNow()) is { Until: { } until })
            return until - time.GetUtcNow();
        _consecutive++;
        var ceiling = Math.Min(
            PoolLimits.FirstBackoff.TotalSeconds * Math.Pow(2, Math.Min(_consecutive - 1, 10)),
            PoolLimits.LongestBackoff.TotalSeconds
        );
        return TimeSpan.FromSeconds((ceiling / 2) + (random.NextDouble() * ceiling / 2));
    }

    /// <summary>A subnet that did not have so many addresses.</summary>
    /// <param name="Obstacle">As it is told.</param>
    /// <param name="Size">The fewest that it refused, a new interface's own included.</param>
    /// <param name="Looks">How often it was described again because of a refusal, while one followed the other.</param>
    /// <param name="AwaitsLook">It is described again, and that description is a later one than this; null when it is not.</param>
    private sealed record AddressRefusal(GrowthObstacle Obstacle, int Size, int Looks, long? AwaitsLook);
}
