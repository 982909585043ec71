// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Gives the interfaces that pods use the security groups that they shall have: those of the primary interface, or, with custom networking,
/// those of the ENIConfig. Works on what was last described, calls only for interfaces that differ, one after the other, and tries again
/// with growing pauses. What is not managed, and the primary interface itself, is never touched.
/// </summary>
internal sealed partial class SecurityGroups(
    ICloud cloud,
    InterfaceInventory interfaces,
    PoolSignal signal,
    TimeProvider time,
    Random random,
    ILogger<SecurityGroups> logger
)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, (string Wanted, DateTimeOffset Until, int Failures)> _failed = [];
    private Task _running = Task.CompletedTask;

    /// <summary>Told of every change, and of every refusal.</summary>
    public required PoolEvents Events { get; init; }

    public Task IdleAsync()
    {
        lock (_lock)
            return _running;
    }

    /// <summary>Starts what is due, if nothing is under way. Never waits.</summary>
    /// <returns>When something will be due by time alone; null when only an event can make it so.</returns>
    public DateTimeOffset? StartDue(CancellationToken cancellationToken)
    {
        Task last;
        lock (_lock)
        {
            if (!_running.IsCompleted)
                return null;
            (last, _running) = (_running, Task.CompletedTask);
        }

        // Anything but success is a defect; the loop reports it.
        last.GetAwaiter().GetResult();
        var differing = interfaces.WithOtherGroups();
        lock (_lock)
        {
            foreach (var settled in _failed.Keys.Except(differing.Select(item => item.Id)).ToArray())
                _failed.Remove(settled);
        }

        var due = differing.Where(item => DueAt(item.Id, item.Groups) <= time.GetUtcNow()).ToArray();
        if (due.Length == 0)
            return differing.Count == 0 ? null : differing.Min(item => DueAt(item.Id, item.Groups));
        var running = RunAsync([.. due.Select(item => item.Id)], cancellationToken);
        lock (_lock)
            _running = running;
        return null;
    }

    private async Task RunAsync(IReadOnlyList<NetworkInterfaceId> due, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var id in due)
            {
                // Asked again: each call waits for its turn, and meanwhile it may be another list, or none, that it shall have.
                foreach (var (_, groups) in interfaces.WithOtherGroups().Where(item => item.Id == id))
                    await SetAsync(id, groups, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The daemon stops; the next one sees the same difference.
        }
        finally
        {
            signal.Raise();
        }
    }

    private async Task SetAsync(NetworkInterfaceId id, IReadOnlyList<string> groups, CancellationToken cancellationToken)
    {
        var before = interfaces.Find(id)?.SecurityGroupIds ?? [];
        var started = time.GetTimestamp();
        try
        {
            await cloud.SetSecurityGroupsAsync(id, groups, cancellationToken);
            interfaces.GroupsSet(id, groups);
            Log.Set(logger, id, string.Join(',', before), string.Join(',', groups));
            lock (_lock)
                _failed.Remove(id);
            Events.Publish(
                new PoolEvent.GroupsChanged(time.GetUtcNow(), id, before, groups, time.GetElapsedTime(started), Failure: null, "")
            );
        }
        catch (CloudException exception)
        {
            Log.NotSet(logger, id, string.Join(',', groups), exception);
            lock (_lock)
            {
                var failures = _failed.TryGetValue(id, out var last) && last.Wanted == Text(groups) ? last.Failures + 1 : 1;
                _failed[id] = (Text(groups), time.GetUtcNow() + Pause(failures), failures);
            }

            Events.Publish(
                new PoolEvent.GroupsChanged(
                    time.GetUtcNow(),
                    id,
                    before,
                    groups,
                    time.GetElapsedTime(started),
                    exception.Kind,
                    exception.Message
                )
            );
        }
    }

    /// <summary>Other groups than those that were refused are tried at once.</summary>
    private DateTimeOffset DueAt(NetworkInterfaceId id, IReadOnlyList<string> groups)
    {
        lock (_lock)
            return _failed.TryGetValue(id, out var failed) && failed.Wanted == Text(groups) ? failed.Until : DateTimeOffset.MinValue;
    }

    /// <summary>Half fixed, half random, so that nodes that were refused together do not come back together.</summary>
    private TimeSpan Pause(int failures)
    {
        var ceiling = PoolLimits.FirstGroupsRetry * Math.Pow(2, Math.Min(failures - 1, 10));
        if (ceiling > PoolLimits.LongestGroupsRetry)
            ceiling = PoolLimits.LongestGroupsRetry;
        return (ceiling / 2) + (ceiling * random.NextDouble() / 2);
    }

    private static string Text(IReadOnlyList<string> groups) => string.Join(',', groups);

    private static partial class Log
    {
        [LoggerMessage(110, LogLevel.Information, "the interface has other security groups now")]
        public static partial void Set(ILogger logger, NetworkInterfaceId eni, string before, string groups);

        [LoggerMessage(
            111,
            LogLevel.Warning,
            "the interface could not be given its security groups: its pods keep those that it has, tried again later"
        )]
        public static partial void NotSet(ILogger logger, NetworkInterfaceId eni, string groups, Exception exception);
    }
}
