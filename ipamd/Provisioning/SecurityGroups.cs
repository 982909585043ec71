// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Sets the security groups of the interfaces that pods use: those of the primary interface, or with custom networking those of the
/// ENIConfig. Compares with the last description, calls only for interfaces that differ, one after the other, and retries with growing
/// pauses. Never changes unmanaged interfaces or the primary interface itself. Publishes every change and every rejection.
/// </summary>
internal sealed partial class SecurityGroups(
    ISecurityGroups port,
    InterfaceInventory interfaces,
    PoolSignal signal,
    PoolEvents events,
    TimeProvider time,
    Random random,
    ILogger<SecurityGroups> logger
)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, (string Wanted, DateTimeOffset Until, int Failures)> _failed = [];
    private Task _running = Task.CompletedTask;

    public Task IdleAsync()
    {
        lock (_lock)
            return _running;
    }

    /// <summary>Starts due changes unless some are running. Never waits.</summary>
    /// <returns>When the next change is due; null when only an event can make one due.</returns>
    public DateTimeOffset? StartDue(CancellationToken cancellationToken)
    {
        Task last;
        lock (_lock)
        {
            if (!_running.IsCompleted)
                return null;
            (last, _running) = (_running, Task.CompletedTask);
        }

        // An exception is a defect; the loop reports it.
        last.GetAwaiter().GetResult();
        var differing = interfaces.WithOutdatedGroups();
        lock (_lock)
        {
            foreach (var matching in _failed.Keys.Except(differing.Select(item => item.Id)).ToArray())
                _failed.Remove(matching);
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
                // Checked again: each call waits for the rate limiter, and the groups may have changed meanwhile.
                foreach (var (_, groups) in interfaces.WithOutdatedGroups().Where(item => item.Id == id))
                    await SetAsync(id, groups, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The daemon stops; the next run finds the same difference.
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
            await port.SetSecurityGroupsAsync(id, groups, cancellationToken);
            interfaces.GroupsSet(id, groups);
            Log.Set(logger, id, string.Join(',', before), string.Join(',', groups));
            lock (_lock)
                _failed.Remove(id);
            events.Publish(
                new PoolEvent.GroupsChanged(time.GetUtcNow(), id, before, groups, time.GetElapsedTime(started), Failure: null, "")
            );
        }
        catch (CloudException exception)
        {
            Log.NotSet(logger, id, string.Join(',', groups), exception);
            lock (_lock)
            {
                var failures = _failed.TryGetValue(id, out var last) && last.Wanted == Text(groups) ? last.Failures + 1 : 1;
                _failed[id] = (Text(groups), time.GetUtcNow() + PoolLimits.GroupsRetries.Pause(failures, random), failures);
            }

            events.Publish(
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

    /// <summary>When to set the groups: at once unless the same groups were rejected before.</summary>
    private DateTimeOffset DueAt(NetworkInterfaceId id, IReadOnlyList<string> groups)
    {
        lock (_lock)
            return _failed.TryGetValue(id, out var failed) && failed.Wanted == Text(groups) ? failed.Until : DateTimeOffset.MinValue;
    }

    private static string Text(IReadOnlyList<string> groups) => string.Join(',', groups);

    private static partial class Log
    {
        [LoggerMessage(110, LogLevel.Information, "the interface's security groups were changed")]
        public static partial void Set(ILogger logger, NetworkInterfaceId eni, string before, string groups);

        [LoggerMessage(
            111,
            LogLevel.Warning,
            "the interface's security groups could not be set: its pods keep the current ones; retried later"
        )]
        public static partial void NotSet(ILogger logger, NetworkInterfaceId eni, string groups, Exception exception);
    }
}
