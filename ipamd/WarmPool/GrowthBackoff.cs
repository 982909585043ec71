// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// What the last failures of the cloud mean for growth: which obstacle there is, for what, and until when. Exponential with jitter where the failure is of the moment (throttling, no answer), a fixed pause
/// where it is a fact. A fact stands only against what it is a fact about: a full subnet against that subnet, a full interface against that interface, the limit of interfaces against new ones. Changes end side by side, so it is safe for several threads.
/// </summary>
internal sealed class GrowthBackoff(TimeProvider time, Random random)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, GrowthObstacle> _interfaces = [];
    private readonly Dictionary<string, (GrowthObstacle Obstacle, int AtOnce)> _addresses = [];
    private readonly Dictionary<string, GrowthObstacle> _prefixes = [];
    private GrowthObstacle? _everything;
    private GrowthObstacle? _newInterfaces;
    private int _consecutive;

    /// <summary>What is in force now.</summary>
    public GrowthObstacles View()
    {
        lock (_lock) return View_NeedsLock();
    }

    private GrowthObstacles View_NeedsLock()
    {
        var now = time.GetUtcNow();
        foreach (var (id, obstacle) in _interfaces.ToArray())
        {
            if (obstacle.Until <= now) _interfaces.Remove(id);
        }

        foreach (var (id, (obstacle, _)) in _addresses.ToArray())
        {
            if (obstacle.Until <= now) _addresses.Remove(id);
        }

        foreach (var (id, obstacle) in _prefixes.ToArray())
        {
            if (obstacle.Until <= now) _prefixes.Remove(id);
        }

        var subnets = _addresses.Keys.Union(_prefixes.Keys).ToDictionary(id => id, id =>
        {
            var known = _addresses.TryGetValue(id, out var addresses);
            return new SubnetObstacle(known ? addresses.Obstacle : null, known ? addresses.AtOnce : int.MaxValue, _prefixes.GetValueOrDefault(id));
        });
        return new GrowthObstacles(InForce(_everything, now), InForce(_newInterfaces, now), new Dictionary<NetworkInterfaceId, GrowthObstacle>(_interfaces), subnets);
    }

    /// <summary>A change that should have added blocks did not.</summary>
    /// <param name="failure">Why.</param>
    /// <param name="target">The interface that was to get blocks; null for a new one.</param>
    /// <param name="subnetId">The subnet that they were to come from.</param>
    /// <param name="blocks">What was asked for.</param>
    public void Failed(CloudException failure, NetworkInterfaceId? target, string subnetId, BlockRequest blocks)
    {
        lock (_lock) Failed_NeedsLock(failure, target, subnetId, blocks);
    }

    private void Failed_NeedsLock(CloudException failure, NetworkInterfaceId? target, string subnetId, BlockRequest blocks)
    {
        GrowthObstacle Fact(GrowthObstacleKind kind, TimeSpan pause) => new(kind, time.GetUtcNow() + pause, failure.Message);
        switch (failure.Kind)
        {
            case CloudErrorKind.SubnetExhausted when blocks.Kind == BlockKind.Ipv4Prefix:
                _prefixes[subnetId] = Fact(GrowthObstacleKind.SubnetExhausted, PoolLimits.SubnetBackoff);
                break;
            case CloudErrorKind.SubnetExhausted:
                // All or nothing: fewer may succeed. Halved until one was refused.
                _addresses[subnetId] = (Fact(GrowthObstacleKind.SubnetExhausted, PoolLimits.SubnetBackoff), blocks.Count / 2);
                break;
            case CloudErrorKind.InterfaceLimit:
                _newInterfaces = Fact(GrowthObstacleKind.InterfaceLimit, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.AddressLimit when target is { } full:
                _interfaces[full] = Fact(GrowthObstacleKind.AddressLimit, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.NotFound or CloudErrorKind.Conflict when target is { } changed:
                _interfaces[changed] = Fact(GrowthObstacleKind.CloudFailure, PoolLimits.FirstBackoff);
                break;
            case CloudErrorKind.NotPermitted:
                _everything = Fact(GrowthObstacleKind.NotPermitted, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.Disabled:
                // Told by an operator; tried again soon, as the operator may tell otherwise at any time.
                _everything = Fact(GrowthObstacleKind.ProvisioningDisabled, PoolLimits.LongestBackoff);
                break;
            case CloudErrorKind.AddressLimit:
                _newInterfaces = Fact(GrowthObstacleKind.AddressLimit, PoolLimits.FactBackoff);
                break;
            case CloudErrorKind.Throttled when failure.RetryAfter is { } tokensReturn && target is null:
                // Our own budget, which knows when. Making an interface costs more than filling one, which may still be affordable.
                _newInterfaces = Fact(GrowthObstacleKind.Throttled, tokensReturn);
                break;
            case CloudErrorKind.Throttled when failure.RetryAfter is { } tokensReturn:
                _everything = Fact(GrowthObstacleKind.Throttled, tokensReturn);
                break;
            case CloudErrorKind.Throttled:
                _everything = Fact(GrowthObstacleKind.Throttled, Exponential());
                break;
            case CloudErrorKind.NotFound or CloudErrorKind.Conflict or CloudErrorKind.Transient or CloudErrorKind.Invalid or CloudErrorKind.Unknown:
                _everything = Fact(GrowthObstacleKind.CloudFailure, Exponential());
                break;
            default:
                throw new InvalidOperationException($"unnamed error kind {failure.Kind}");
        }
    }

    /// <summary>Blocks were added.</summary>
    public void Succeeded(NetworkInterfaceId? target, string subnetId, BlockRequest blocks)
    {
        lock (_lock)
        {
            _consecutive = 0;
            _everything = null;
            if (target is { } id) _interfaces.Remove(id);
            else _newInterfaces = null;
            if (blocks.Kind == BlockKind.Ipv4Prefix) _prefixes.Remove(subnetId);
        }
    }

    private static GrowthObstacle? InForce(GrowthObstacle? obstacle, DateTimeOffset now) => obstacle is { Until: { } until } && until <= now ? null : obstacle;

    /// <summary>Half fixed, half random: nodes that failed together do not come back together, and none comes back at once. Failures that come while a pause runs do not lengthen it.</summary>
    private TimeSpan Exponential()
    {
        if (InForce(_everything, time.GetUtcNow()) is { Until: { } until }) return until - time.GetUtcNow();
        _consecutive++;
        var ceiling = Math.Min(PoolLimits.FirstBackoff.TotalSeconds * Math.Pow(2, Math.Min(_consecutive - 1, 10)), PoolLimits.LongestBackoff.TotalSeconds);
        return TimeSpan.FromSeconds((ceiling / 2) + (random.NextDouble() * ceiling / 2));
    }
}
