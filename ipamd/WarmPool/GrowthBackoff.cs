// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cloud;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// What the last failures of the cloud mean for growth: which obstacle there is and until when. Exponential with full jitter where the failure is of the moment
/// (throttling, no answer), a fixed pause where it is a fact (no address in the subnet, a limit, a permission).
/// </summary>
internal sealed class GrowthBackoff(TimeProvider time, Random random)
{
    private GrowthObstacle? _obstacle;
    private int _consecutive;

    /// <summary>The obstacle in force, null when growth may be tried.</summary>
    public GrowthObstacle? Current => _obstacle is { Until: { } until } && time.GetUtcNow() >= until ? null : _obstacle;

    /// <summary>The failures of one step: they count as one, and the longest pause wins.</summary>
    public void Failed(IEnumerable<CloudException> failures)
    {
        _consecutive++;
        _obstacle = failures.Select(ToObstacle).MaxBy(obstacle => obstacle.Until);
    }

    private GrowthObstacle ToObstacle(CloudException exception)
    {
        var (kind, pause) = exception.Kind switch
        {
            CloudErrorKind.SubnetExhausted => (GrowthObstacleKind.SubnetExhausted, PoolLimits.SubnetBackoff),
            CloudErrorKind.InterfaceLimit => (GrowthObstacleKind.InterfaceLimit, PoolLimits.FactBackoff),
            CloudErrorKind.AddressLimit => (GrowthObstacleKind.AddressLimit, PoolLimits.FactBackoff),
            CloudErrorKind.NotPermitted => (GrowthObstacleKind.NotPermitted, PoolLimits.FactBackoff),
            CloudErrorKind.Disabled => (GrowthObstacleKind.ProvisioningDisabled, PoolLimits.FactBackoff),
            CloudErrorKind.Throttled => (GrowthObstacleKind.Throttled, Exponential()),
            CloudErrorKind.NotFound or CloudErrorKind.Conflict or CloudErrorKind.Transient or CloudErrorKind.Invalid or CloudErrorKind.Unknown
                => (GrowthObstacleKind.CloudFailure, Exponential()),
            _ => throw new InvalidOperationException($"unnamed error kind {exception.Kind}"),
        };
        return new GrowthObstacle(kind, time.GetUtcNow() + pause, exception.Message);
    }

    public void Succeeded()
    {
        _consecutive = 0;
        _obstacle = null;
    }

    /// <summary>Half fixed, half random: nodes that failed together do not come back together, and none comes back at once.</summary>
    private TimeSpan Exponential()
    {
        var ceiling = Math.Min(PoolLimits.FirstBackoff.TotalSeconds * Math.Pow(2, Math.Min(_consecutive - 1, 10)), PoolLimits.LongestBackoff.TotalSeconds);
        return TimeSpan.FromSeconds((ceiling / 2) + (random.NextDouble() * ceiling / 2));
    }
}
