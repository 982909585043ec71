// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Allocation;

/// <summary>Outcome of an ADD.</summary>
internal abstract record AddOutcome
{
    private AddOutcome() { }

    /// <summary>The attachment has its addresses, each on a known interface, recorded in the checkpoint.</summary>
    internal sealed record Assigned(Attachment Attachment) : AddOutcome;

    /// <summary>No address in time.</summary>
    /// <param name="Reason">One sentence: the cause, and when to expect an address if known.</param>
    /// <param name="Kind">The obstacle to growth; null when the wait was too short.</param>
    internal sealed record NoAddress(string Reason, GrowthObstacleKind? Kind) : AddOutcome;

    /// <summary>The attachment has an address that no interface of this node carries.</summary>
    internal sealed record Orphaned(Attachment Attachment) : AddOutcome;

    /// <summary>The attachment has an address whose interface is still unknown, because the daemon is starting.</summary>
    /// <param name="Attachment">The attachment.</param>
    /// <param name="Reason">What the start waits for.</param>
    internal sealed record NotObserved(Attachment Attachment, string Reason) : AddOutcome;
}

/// <summary>What an ADD may have to wait for, besides an address.</summary>
/// <param name="Observed">
/// Completes with the first observation of the attached interfaces. From then on every attached address has a known interface.
/// </param>
/// <param name="Start">Returns what the start waits for; null when the daemon has started.</param>
/// <param name="Growth">Returns the obstacle that delays the pending ADDs; null when none is known.</param>
internal sealed record AddressObstacles(Task Observed, Func<string?> Start, Func<GrowthObstacle?> Growth);

/// <summary>
/// ADD and DEL, the hot path: memory and one grouped write to disk. When the pool is empty, an ADD waits for a bounded time, and the
/// planner counts it as demand. Publishes the outcome of every ADD and DEL.
/// </summary>
internal sealed partial class AddressService(
    IpLedger ledger,
    CheckpointWriter checkpoint,
    PendingAddQueue pending,
    KernelUsage usage,
    PoolSignal signal,
    PoolEvents events,
    AddressObstacles obstacles,
    TimeSpan addWait,
    TimeProvider time,
    ILogger<AddressService> logger
)
{
    private readonly KeyedLock _attachmentLock = new();

    /// <exception cref="OperationCanceledException">The client went away. A new assignment is rolled back.</exception>
    /// <exception cref="IOException">The checkpoint could not be written. A new assignment is rolled back.</exception>
    public async Task<AddOutcome> AddAsync(AttachmentKey key, PodReference pod, string netnsPath, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        try
        {
            var (outcome, timing) = await AddSerializedAsync(key, pod, netnsPath, cancellationToken);
            Report(outcome, key, pod, timing with { Took = time.GetElapsedTime(started) });
            return outcome;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            var (kind, reason) =
                exception is OperationCanceledException
                    ? (AddFailureKind.ClientGone, "the client went away before it was answered")
                    : (AddFailureKind.NotDurable, $"the checkpoint could not be written: {exception.Message}");
            events.Publish(new PoolEvent.AddFailed(time.GetUtcNow(), key, pod, kind, Obstacle: null, reason, time.GetElapsedTime(started)));
            throw;
        }
    }

    private async Task<(AddOutcome Outcome, AddTiming Timing)> AddSerializedAsync(
        AttachmentKey key,
        PodReference pod,
        string netnsPath,
        CancellationToken cancellationToken
    )
    {
        using var entry = await _attachmentLock.EnterAsync(key, cancellationToken);
        var waited = TimeSpan.Zero;
        var request = new AddRequest(key, pod, netnsPath);
        WaitOutcome outcome;
        // An attachment that has an address gets it again at once; any other ADD queues behind the pending ones.
        if (ledger.Renew(key, time.GetUtcNow()) is { } known)
        {
            outcome = new WaitOutcome.Served(known, IsNew: false);
        }
        else if (pending.Demand == 0 && ledger.Assign(key, pod, netnsPath, time.GetUtcNow()) is AssignOutcome.Assigned assigned)
        {
            outcome = new WaitOutcome.Served(assigned.Attachment, assigned.IsNew, assigned.ReusedAfter);
        }
        else
        {
            var began = time.GetTimestamp();
            outcome = await WaitAsync(request, cancellationToken);
            waited = time.GetElapsedTime(began);
            if (outcome is not WaitOutcome.Served)
                return (ToNoAddress(outcome), new AddTiming { Waited = waited });
        }

        // The pool has fewer free addresses than before, so the plan may change.
        signal.Raise();
        var served = (WaitOutcome.Served)outcome;
        var assignedAt = time.GetTimestamp();
        await MakeDurableAsync(served, cancellationToken);
        var durable = time.GetElapsedTime(assignedAt);
        var attachment = await WithInterfacesAsync(served.Attachment, cancellationToken);
        AddOutcome answer =
            attachment.Addresses.All(item => item.Slot is not null) ? new AddOutcome.Assigned(attachment)
            : obstacles.Observed.IsCompleted ? new AddOutcome.Orphaned(attachment)
            : new AddOutcome.NotObserved(
                attachment,
                $"it holds {attachment.Addresses[0].Address}, and the interface of that address is unknown until the cloud has "
                    + $"answered{Because()}"
            );
        return (
            answer,
            new AddTiming
            {
                Waited = waited,
                Durable = durable,
                ReusedAfter = served.ReusedAfter,
                IsNew = served.IsNew,
            }
        );
    }

    private void Report(AddOutcome outcome, AttachmentKey key, PodReference pod, AddTiming timing)
    {
        var now = time.GetUtcNow();
        switch (outcome)
        {
            case AddOutcome.Assigned { Attachment: var attachment }:
                Log.Added(
                    logger,
                    pod,
                    key,
                    attachment.Addresses[0].Address,
                    attachment.Addresses[0].Slot!.Value.Id,
                    timing.IsNew,
                    timing.Took.TotalMilliseconds
                );
                events.Publish(
                    new PoolEvent.AddServed(now, attachment, timing.IsNew, timing.Waited, timing.Took, timing.ReusedAfter)
                    {
                        Durable = timing.Durable,
                    }
                );
                break;
            case AddOutcome.NoAddress failed:
                Log.Refused(logger, pod, key, failed.Reason, failed.Kind, timing.Waited.TotalMilliseconds);
                events.Publish(new PoolEvent.AddFailed(now, key, pod, AddFailureKind.NoAddress, failed.Kind, failed.Reason, timing.Took));
                break;
            case AddOutcome.NotObserved unknown:
                Log.RefusedUnobserved(logger, pod, key, unknown.Reason);
                events.Publish(
                    new PoolEvent.AddFailed(now, key, pod, AddFailureKind.NotObserved, Obstacle: null, unknown.Reason, timing.Took)
                );
                break;
            case AddOutcome.Orphaned { Attachment: var orphaned }:
                Log.RefusedOrphan(logger, pod, key, orphaned.Addresses[0].Address);
                events.Publish(
                    new PoolEvent.AddFailed(
                        now,
                        key,
                        pod,
                        AddFailureKind.Orphaned,
                        Obstacle: null,
                        $"it holds {orphaned.Addresses[0].Address}, which is on no interface of this node",
                        timing.Took
                    )
                );
                break;
            default:
                throw new InvalidOperationException($"unknown outcome {outcome}");
        }
    }

    /// <summary>
    /// Releases the addresses of an attachment. Returns null when the key has none and nothing was recovered from the kernel for the pod. A
    /// failed checkpoint write does not undo the release: after a crash the file shows an attachment too many, never one too few, and
    /// kernel usage corrects it.
    /// </summary>
    public async Task<Attachment?> DeleteAsync(AttachmentKey key, PodReference pod, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        using var entry = await _attachmentLock.EnterAsync(key, cancellationToken);
        if (
            (ledger.Release(key, time.GetUtcNow()) ?? ledger.Release(MigratedKey(key), time.GetUtcNow()) ?? usage.ReleaseRecovered(pod))
            is not { } released
        )
        {
            events.Publish(new PoolEvent.Deleted(time.GetUtcNow(), key, Released: null, time.GetElapsedTime(started)));
            return null;
        }

        try
        {
            await checkpoint.PersistAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.DeleteNotDurable(logger, key, exception);
        }
        finally
        {
            // Also when the client went away: the addresses are released regardless.
            pending.Serve();
            signal.Raise();
            events.Publish(new PoolEvent.Deleted(time.GetUtcNow(), key, released, time.GetElapsedTime(started)));
        }

        Log.Deleted(logger, released.Pod, key, released.Addresses[0].Address);
        return released;
    }

    /// <summary>
    /// The key under which the reference recorded pods that it adopted from a runtime without knowing network and interface. Their DEL
    /// carries the real ones.
    /// </summary>
    internal static AttachmentKey MigratedKey(AttachmentKey key) => new("_migrated-from-cri", key.ContainerId, "unknown");

    private async Task<WaitOutcome> WaitAsync(AddRequest request, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(addWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var deadline = time.GetUtcNow() + addWait;
        try
        {
            events.Publish(new PoolEvent.AddQueued(time.GetUtcNow(), request.Key, request.Pod, pending.Demand, deadline));
            var wait = pending.WaitAsync(request, deadline, either.Token);
            signal.Raise();
            return await wait;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // An address may have left cooldown since the pool's last step. Earlier ADDs have timed out already, so this one skips none of
            // them.
            return ledger.Assign(request.Key, request.Pod, request.NetnsPath, time.GetUtcNow()) is AssignOutcome.Assigned assigned
                ? new WaitOutcome.Served(assigned.Attachment, assigned.IsNew, assigned.ReusedAfter)
                : new WaitOutcome.TimedOut();
        }
    }

    private async Task MakeDurableAsync(WaitOutcome.Served served, CancellationToken cancellationToken)
    {
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            await checkpoint.PersistAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            // No client has received the addresses: roll back. A repeated ADD keeps what it had before.
            if (served.IsNew)
            {
                ledger.Rollback(served.Attachment.Key);
                pending.Serve();
            }

            throw;
        }
    }

    private async Task<Attachment> WithInterfacesAsync(Attachment attachment, CancellationToken cancellationToken)
    {
        if (attachment.Addresses.All(item => item.Slot is not null))
            return attachment;
        try
        {
            await obstacles.Observed.WaitAsync(addWait, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            return attachment;
        }

        return ledger.Find(attachment.Key) ?? attachment;
    }

    private AddOutcome.NoAddress ToNoAddress(WaitOutcome outcome)
    {
        var view = ledger.View(time.GetUtcNow());
        var firstCooldown =
            view.CooldownEnds.Count > 0
                ? $", the first of them for another {Math.Max(Math.Ceiling((view.CooldownEnds[0] - time.GetUtcNow()).TotalSeconds), 0):0} "
                    + "s"
                : "";
        var pool = $"no free address: {view.Total} attached, {view.Assigned} assigned, {view.Cooling} cooling{firstCooldown}";
        return outcome switch
        {
            WaitOutcome.TimedOut => new AddOutcome.NoAddress(
                $"{pool}; none became free within {addWait.TotalSeconds:0.#} s{Because()}",
                obstacles.Growth()?.Kind
            ),
            WaitOutcome.Refused => new AddOutcome.NoAddress($"{pool}; {PoolLimits.MaxWaiting} ADDs are already pending", null),
            WaitOutcome.Unservable { Obstacle: var obstacle } => new AddOutcome.NoAddress($"{pool}; {Describe(obstacle)}", obstacle.Kind),
            _ => throw new InvalidOperationException($"{outcome} is not a failure"),
        };
    }

    private string Because() =>
        obstacles.Start() is { } start ? $"; the daemon is starting: {start}"
        : obstacles.Growth() is { } obstacle ? $"; {Describe(obstacle)}"
        : "";

    private static string Describe(GrowthObstacle obstacle) =>
        $"{(obstacle.IsLocalBudget ? "this node's budget of calls is used up" : Describe(obstacle.Kind))}: {obstacle.Detail}"
        + (obstacle.Until is { } until ? $"; tried again at {until:HH:mm:ss}Z" : "");

    private static string Describe(GrowthObstacleKind kind) =>
        kind switch
        {
            GrowthObstacleKind.InterfaceLimit => "interface limit reached",
            GrowthObstacleKind.AddressLimit => "address limit reached",
            GrowthObstacleKind.MaxPods => "max pods reached",
            GrowthObstacleKind.SubnetExhausted => "the subnet has no free address",
            GrowthObstacleKind.Throttled => "the cloud throttles this account",
            GrowthObstacleKind.NotPermitted => "not permitted",
            GrowthObstacleKind.ProvisioningDisabled => "provisioning is disabled",
            GrowthObstacleKind.CloudFailure => "could not grow in time",
            GrowthObstacleKind.HostNetwork => "the link of a new interface could not be configured",
            GrowthObstacleKind.Disk => "the checkpoint could not be written",
            GrowthObstacleKind.NoSubnet => "no subnet is available to pods",
            GrowthObstacleKind.EniConfig => "custom networking has no usable ENIConfig for this node",
            _ => throw new InvalidOperationException($"unknown obstacle {kind}"),
        };

    private readonly record struct AddTiming(TimeSpan Took, TimeSpan Waited, TimeSpan Durable, TimeSpan? ReusedAfter, bool IsNew);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "address assigned")]
        public static partial void Added(
            ILogger logger,
            PodReference pod,
            AttachmentKey attachment,
            System.Net.IPAddress ip,
            NetworkInterfaceId eni,
            bool isNew,
            double durationMs
        );

        [LoggerMessage(4, LogLevel.Warning, "no address for the pod")]
        public static partial void Refused(
            ILogger logger,
            PodReference pod,
            AttachmentKey attachment,
            string error,
            GrowthObstacleKind? kind,
            double waitedMs
        );

        [LoggerMessage(5, LogLevel.Warning, "the pod has an address that no interface of this node carries: delete the pod")]
        public static partial void RefusedOrphan(ILogger logger, PodReference pod, AttachmentKey attachment, System.Net.IPAddress ip);

        [LoggerMessage(6, LogLevel.Warning, "the interface of the pod's address is not known yet: the daemon is starting")]
        public static partial void RefusedUnobserved(ILogger logger, PodReference pod, AttachmentKey attachment, string error);

        [LoggerMessage(2, LogLevel.Information, "address released, cooldown started")]
        public static partial void Deleted(ILogger logger, PodReference pod, AttachmentKey attachment, System.Net.IPAddress ip);

        [LoggerMessage(3, LogLevel.Error, "the address is released, but the checkpoint still shows it because it could not be written")]
        public static partial void DeleteNotDurable(ILogger logger, AttachmentKey attachment, Exception exception);
    }
}
