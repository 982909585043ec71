// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Notices that somebody changed the security groups of the primary interface, which those of the others follow. The instance metadata
/// shows them at no cost and only hints: a difference asks for an observation, and what that says counts. A hint that was refuted is
/// followed again only at growing intervals.
/// </summary>
internal sealed partial class SecurityGroupWatch(
    ICloud cloud,
    InterfaceInventory interfaces,
    InterfaceSync membership,
    PoolSignal signal,
    TimeProvider time,
    Random random,
    ILogger<SecurityGroupWatch> logger
)
{
    private bool _failed;
    private string? _followed;
    private DateTimeOffset _followAgainAt;
    private TimeSpan _pause;

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(PoolLimits.GroupsInterval * (0.9 + (random.NextDouble() * 0.2)), time, cancellationToken);
            await SyncAsync(cancellationToken);
        }
    }

    internal async Task SyncAsync(CancellationToken cancellationToken)
    {
        try
        {
            var hinted = await cloud.HintSecurityGroupsAsync(cancellationToken);
            _failed = false;
            if (interfaces.Primary is not { } primary || hinted.ToHashSet(StringComparer.Ordinal).SetEquals(primary.SecurityGroupIds))
            {
                _followed = null;
                return;
            }

            var hint = string.Join(',', hinted.Order(StringComparer.Ordinal));
            if (hint == _followed && time.GetUtcNow() < _followAgainAt)
                return;
            var twice = _pause * 2;
            _pause =
                hint != _followed ? PoolLimits.GroupsInterval
                : twice < PoolLimits.ResyncInterval ? twice
                : PoolLimits.ResyncInterval;
            (_followed, _followAgainAt) = (hint, time.GetUtcNow() + _pause);
            membership.RequestAt(time.GetUtcNow());
            signal.Raise();
        }
        catch (CloudException exception)
        {
            // Once: the next observation shows them all the same.
            if (!_failed)
                Log.NotRead(logger, exception);
            _failed = true;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(
            112,
            LogLevel.Warning,
            "the primary interface's security groups could not be read from the instance metadata: a change is found at the next "
                + "observation"
        )]
        public static partial void NotRead(ILogger logger, Exception exception);
    }
}
