// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Allocation;

/// <summary>How an ADD ended.</summary>
internal abstract record AddOutcome
{
    private AddOutcome() { }

    /// <summary>The addresses, each with its place, durable.</summary>
    internal sealed record Held(Attachment Attachment) : AddOutcome;

    /// <summary>No address in time.</summary>
    /// <param name="Reason">A sentence that says why and what is known about when.</param>
    /// <param name="Kind">What stands against growth; null when the wait was simply too short.</param>
    internal sealed record NoAddress(string Reason, GrowthObstacleKind? Kind) : AddOutcome;

    /// <summary>The attachment holds an address that no interface of this node carries any more.</summary>
    internal sealed record Orphaned(Attachment Attachment) : AddOutcome;

    /// <summary>The attachment holds an address, and which interface carries it is not known yet: the daemon is starting.</summary>
    /// <param name="Attachment">What it holds.</param>
    /// <param name="Reason">What the start waits for.</param>
    internal sealed record NotObserved(Attachment Attachment, string Reason) : AddOutcome;
}

/// <summary>
/// ADD and DEL: the hot path. Memory and one grouped write to disk, nothing else; when the pool is empty, a bounded wait in which the
/// demand is part of the pool's plan.
/// </summary>
internal sealed partial class AddressService(
    IpLedger ledger,
    CheckpointWriter checkpoint,
    PendingAddQueue waiting,
    KernelUsage evidence,
    PoolSignal signal,
    TimeProvider time,
    TimeSpan addWait
)
{
    private readonly KeyedLock _turns = new();

    /// <summary>Completed when membership has been observed once: from then on the place of every address is known that has one.</summary>
    public required Task Observed { get; init; }
    public required ILogger<AddressService> Logger { get; init; }

    /// <summary>Told how every ADD and DEL ended.</summary>
    public PoolEvents Events { get; init; } = new();

    /// <summary>What the start waits for; null when the daemon has started.</summary>
    public Func<string?> StartObstacle { get; init; } = () => null;

    /// <summary>What holds up those who wait; null when nothing is known to.</summary>
    public Func<GrowthObstacle?> HeldUpBy { get; init; } = () => waiting.Obstacle;

    /// <exception cref="OperationCanceledException">The client went away; it holds nothing that it did not hold before.</exception>
    /// <exception cref="IOException">The checkpoint could not be written; nothing is held.</exception>
    public async Task<AddOutcome> AddAsync(AttachmentKey key, PodReference pod, string netnsPath, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        try
        {
            var (outcome, timing) = await AddInTurnAsync(key, pod, netnsPath, cancellationToken);
            Tell(outcome, key, pod, timing with { Took = time.GetElapsedTime(started) });
            return outcome;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            var (kind, reason) =
                exception is OperationCanceledException
                    ? (AddFailureKind.ClientGone, "the client went away before it was answered")
                    : (AddFailureKind.NotDurable, $"the checkpoint could not be written: {exception.Message}");
            Events.Publish(new PoolEvent.AddFailed(time.GetUtcNow(), key, pod, kind, Obstacle: null, reason, time.GetElapsedTime(started)));
            throw;
        }
    }

    private async Task<(AddOutcome Outcome, AddTiming Timing)> AddInTurnAsync(
        AttachmentKey key,
        PodReference pod,
        string netnsPath,
        CancellationToken cancellationToken
    )
    {
        using var turn = await _turns.EnterAsync(key, cancellationToken);
        var waited = TimeSpan.Zero;
        var request = new AddRequest(key, pod, netnsPath, [AddressFamily.InterNetwork]);
        WaitOutcome outcome;
        // Whoever holds an address already gets it again at once; everybody else stands in line behind those who wait.
        if (ledger.Renew(key, time.GetUtcNow()) is { } known)
        {
            outcome = new WaitOutcome.Served(known, IsNew: false);
        }
        else if (waiting.Demand == 0 && ledger.Assign(key, pod, netnsPath, request.Families, time.GetUtcNow()) is AssignOutcome.Held held)
        {
            outcome = new WaitOutcome.Served(held.Attachment, held.IsNew, held.ReusedAfter);
        }
        else
        {
            var began = time.GetTimestamp();
            outcome = await WaitAsync(request, cancellationToken);
            waited = time.GetElapsedTime(began);
            if (outcome is not WaitOutcome.Served)
                return (ToNoAddress(outcome), new AddTiming { Waited = waited });
        }

        // The pool has less than before: the plan may want more.
        signal.Raise();
        var served = (WaitOutcome.Served)outcome;
        var assigned = time.GetTimestamp();
        await MakeDurableAsync(served, cancellationToken);
        var durable = time.GetElapsedTime(assigned);
        var attachment = await WithPlacesAsync(served.Attachment, cancellationToken);
        AddOutcome answer =
            attachment.Addresses.All(item => item.Place is not null) ? new AddOutcome.Held(attachment)
            : Observed.IsCompleted ? new AddOutcome.Orphaned(attachment)
            : new AddOutcome.NotObserved(
                attachment,
                $"it holds {attachment.Addresses[0].Address}, and which interface carries it is not known before EC2 has "
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

    private void Tell(AddOutcome outcome, AttachmentKey key, PodReference pod, AddTiming timing)
    {
        var now = time.GetUtcNow();
        switch (outcome)
        {
            case AddOutcome.Held { Attachment: var attachment }:
                Log.Added(
                    Logger,
                    pod,
                    key,
                    attachment.Addresses[0].Address,
                    attachment.Addresses[0].Place!.Value.Id,
                    timing.IsNew,
                    timing.Took.TotalMilliseconds
                );
                Events.Publish(
                    new PoolEvent.AddServed(now, attachment, timing.IsNew, timing.Waited, timing.Took, timing.ReusedAfter)
                    {
                        Durable = timing.Durable,
                    }
                );
                break;
            case AddOutcome.NoAddress failed:
                Log.Refused(Logger, pod, key, failed.Reason, failed.Kind, timing.Waited.TotalMilliseconds);
                Events.Publish(new PoolEvent.AddFailed(now, key, pod, AddFailureKind.NoAddress, failed.Kind, failed.Reason, timing.Took));
                break;
            case AddOutcome.NotObserved unknown:
                Log.RefusedUnobserved(Logger, pod, key, unknown.Reason);
                Events.Publish(
                    new PoolEvent.AddFailed(now, key, pod, AddFailureKind.NotObserved, Obstacle: null, unknown.Reason, timing.Took)
                );
                break;
            case AddOutcome.Orphaned { Attachment: var orphaned }:
                Log.RefusedOrphan(Logger, pod, key, orphaned.Addresses[0].Address);
                Events.Publish(
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
                throw new InvalidOperationException($"unnamed outcome {outcome}");
        }
    }

    /// <summary>
    /// Releases the addresses. Null when the key holds nothing, and nothing was recovered from the kernel for that pod. A checkpoint that
    /// cannot be written does not stop it: a file that still shows the attachment after a crash holds too much, never too little, and the
    /// kernel's evidence corrects it.
    /// </summary>
    public async Task<Attachment?> DeleteAsync(AttachmentKey key, PodReference pod, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        using var turn = await _turns.EnterAsync(key, cancellationToken);
        if (
            (ledger.Release(key, time.GetUtcNow()) ?? ledger.Release(MigratedKey(key), time.GetUtcNow()) ?? evidence.ReleaseRecovered(pod))
            is not { } released
        )
        {
            Events.Publish(new PoolEvent.Deleted(time.GetUtcNow(), key, Released: null, time.GetElapsedTime(started)));
            return null;
        }

        try
        {
            await checkpoint.PersistAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.DeleteNotDurable(Logger, key, exception);
        }
        finally
        {
            // Also when the client is gone: the addresses are on their way back all the same.
            waiting.Serve();
            signal.Raise();
            Events.Publish(new PoolEvent.Deleted(time.GetUtcNow(), key, released, time.GetElapsedTime(started)));
        }

        Log.Deleted(Logger, released.Pod, key, released.Addresses[0].Address);
        return released;
    }

    /// <summary>
    /// How the reference recorded pods that it took over from a runtime without knowing network and interface; their DEL comes with the
    /// real ones.
    /// </summary>
    internal static AttachmentKey MigratedKey(AttachmentKey key) => new("_migrated-from-cri", key.ContainerId, "unknown");

    private async Task<WaitOutcome> WaitAsync(AddRequest request, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(addWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var deadline = time.GetUtcNow() + addWait;
        try
        {
            Events.Publish(new PoolEvent.AddWaits(time.GetUtcNow(), request.Key, request.Pod, waiting.Demand, deadline));
            var turn = waiting.WaitAsync(request, deadline, either.Token);
            signal.Raise();
            return await turn;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // An address may have left cooldown since the pool's last step. Whoever came before has timed out before, so that nobody is
            // passed over.
            return ledger.Assign(request.Key, request.Pod, request.NetnsPath, request.Families, time.GetUtcNow()) is AssignOutcome.Held held
                ? new WaitOutcome.Served(held.Attachment, held.IsNew, held.ReusedAfter)
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
            // Nobody was told: the addresses go straight back. A repeated ADD keeps what it held before.
            if (served.IsNew)
            {
                ledger.Rollback(served.Attachment.Key);
                waiting.Serve();
            }

            throw;
        }
    }

    private async Task<Attachment> WithPlacesAsync(Attachment attachment, CancellationToken cancellationToken)
    {
        if (attachment.Addresses.All(item => item.Place is not null))
            return attachment;
        try
        {
            await Observed.WaitAsync(addWait, time, cancellationToken);
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
        var soonest =
            view.CooldownEnds.Count > 0
                ? $", the first of them until {Math.Max(Math.Ceiling((view.CooldownEnds[0] - time.GetUtcNow()).TotalSeconds), 0):0} "
                    + "s from now"
                : "";
        var pool = $"no free address: {view.Total} attached, {view.Assigned} assigned, {view.Cooling} cooling{soonest}";
        return outcome switch
        {
            WaitOutcome.TimedOut => new AddOutcome.NoAddress(
                $"{pool}; none became free within {addWait.TotalSeconds:0.#} s{Because()}",
                HeldUpBy()?.Kind
            ),
            WaitOutcome.Refused => new AddOutcome.NoAddress($"{pool}; {PoolLimits.MaxWaiting} pods wait already", null),
            WaitOutcome.Unservable { Obstacle: var obstacle } => new AddOutcome.NoAddress($"{pool}; {Sentence(obstacle)}", obstacle.Kind),
            _ => throw new InvalidOperationException($"{outcome} is not a failure"),
        };
    }

    private string Because() =>
        StartObstacle() is { } start ? $"; the daemon is starting: {start}"
        : HeldUpBy() is { } obstacle ? $"; {Sentence(obstacle)}"
        : "";

    private static string Sentence(GrowthObstacle obstacle) =>
        $"{(obstacle.IsLocalBudget ? "this node's budget of calls is used up" : Words(obstacle.Kind))}: {obstacle.Detail}"
        + (obstacle.Until is { } until ? $"; tried again at {until:HH:mm:ss}Z" : "");

    private static string Words(GrowthObstacleKind kind) =>
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
            GrowthObstacleKind.NoSubnet => "no subnet is for pods",
            GrowthObstacleKind.EniConfig => "custom networking has no network for this node's pods",
            _ => throw new InvalidOperationException($"unnamed obstacle {kind}"),
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

        [LoggerMessage(5, LogLevel.Warning, "the pod holds an address that no interface of this node carries any more: delete the pod")]
        public static partial void RefusedOrphan(ILogger logger, PodReference pod, AttachmentKey attachment, System.Net.IPAddress ip);

        [LoggerMessage(6, LogLevel.Warning, "the pod's address cannot be given out yet: the daemon is starting")]
        public static partial void RefusedUnobserved(ILogger logger, PodReference pod, AttachmentKey attachment, string error);

        [LoggerMessage(2, LogLevel.Information, "address released, it cools")]
        public static partial void Deleted(ILogger logger, PodReference pod, AttachmentKey attachment, System.Net.IPAddress ip);

        [LoggerMessage(3, LogLevel.Error, "the address is released, but the checkpoint still shows it because it could not be written")]
        public static partial void DeleteNotDurable(ILogger logger, AttachmentKey attachment, Exception exception);
    }
}
