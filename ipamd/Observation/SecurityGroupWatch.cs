// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Detects changes of the primary interface's security groups, which the other interfaces follow. The instance metadata shows them at no
/// cost but is only a hint: a difference requests an observation, whose result counts. A refuted hint is followed again only at growing
/// intervals.
/// </summary>
internal sealed partial class SecurityGroupWatch(
    ISecurityGroups port,
    InterfaceInventory interfaces,
    InterfaceSync sync,
    PoolSignal signal,
    TimeProvider time,
    Random random,
    ILogger<SecurityGroupWatch> logger
)
{
    private bool _failed;
    private string? _followed;
    private DateTimeOffset _followAgainAt;
    private int _followedTimes;

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Jitter.Around(PoolLimits.GroupsInterval, random), time, cancellationToken);
            await SyncAsync(cancellationToken);
        }
    }

    internal async Task SyncAsync(CancellationToken cancellationToken)
    {
        try
        {
            var hinted = await port.HintSecurityGroupsAsync(cancellationToken);
            _failed = false;
            if (interfaces.Primary is not { } primary || hinted.ToHashSet(StringComparer.Ordinal).SetEquals(primary.SecurityGroupIds))
            {
                _followed = null;
                return;
            }

            var hint = string.Join(',', hinted.Order(StringComparer.Ordinal));
            if (hint == _followed && time.GetUtcNow() < _followAgainAt)
                return;
            _followedTimes = hint == _followed ? _followedTimes + 1 : 1;
            (_followed, _followAgainAt) = (hint, time.GetUtcNow() + PoolLimits.RefutedGroups.Ceiling(_followedTimes));
            sync.RequestAt(time.GetUtcNow());
            signal.Raise();
        }
        catch (CloudException exception)
        {
            // Logged once: the next observation shows the groups anyway.
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
