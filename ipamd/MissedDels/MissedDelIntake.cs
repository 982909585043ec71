// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Planning;
using VpcCni.MissedDels;

namespace VpcCni.Ipamd.MissedDels;

/// <summary>
/// Processes the records that the plugin left of missed DELs: releases attachments assigned before the DEL, and removes a record once the
/// release is durable. Runs at the start, before any call of the cloud; then whenever a record arrives, and every 30 seconds in case a
/// notification was lost.
/// </summary>
internal sealed partial class MissedDelIntake(
    IMissedDels notes,
    IpLedger ledger,
    CheckpointWriter checkpoint,
    PendingAddQueue waiting,
    PoolSignal pool,
    PoolEvents events,
    TimeProvider time,
    string? bootId,
    ILogger<MissedDelIntake> logger
)
{
    internal static readonly TimeSpan RescanInterval = TimeSpan.FromSeconds(30);

    /// <summary>Pause after a failed read, write or removal.</summary>
    internal static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly PoolSignal _signal = SignalOf(notes);

    /// <summary>Processed entries that are not removed yet, and their records.</summary>
    private readonly Dictionary<string, MissedDel?> _done = new(StringComparer.Ordinal);

    private string? _reported;

    /// <summary>What prevents or disturbs the processing; null if nothing does.</summary>
    public string? Problem { get; private set; }

    /// <summary>Runs until cancelled. Processes the present records before it first awaits.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var wait = await TakeAsync(cancellationToken) ? RescanInterval : RetryAfter;
            if (Problem is { } problem && problem != _reported)
                Log.Problem(logger, problem);
            _reported = Problem;
            await _signal.WaitAsync(wait, time, cancellationToken);
        }
    }

    private static PoolSignal SignalOf(IMissedDels notes)
    {
        var signal = new PoolSignal();
        notes.Watch(signal.Raise);
        return signal;
    }

    /// <summary>Processes all records. Returns false if some could not be processed; <see cref="Problem"/> has the reason.</summary>
    private async Task<bool> TakeAsync(CancellationToken cancellationToken)
    {
        try
        {
            var reading = notes.Read();
            Forget(reading.Entries);
            if (reading.Entries.Count > 0)
            {
                Release(reading.Entries.Where(entry => !_done.TryGetValue(entry.Name, out var done) || done != entry.Del));
                // A record is removed only after its release is durable, whichever pass made the release.
                await checkpoint.PersistAsync(cancellationToken);
                Remove(reading.Entries);
            }

            if (reading.Problem is { } unread)
                throw new IOException(unread);
            Problem = reading.Foreign > 0 ? $"the folder of missed DELs has {reading.Foreign} foreign files: remove them" : null;
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Problem = $"some missed DELs cannot be processed: {exception.Message}";
            return false;
        }
    }

    private void Forget(IReadOnlyList<MissedDelEntry> present)
    {
        if (_done.Count == 0)
            return;
        var names = present.Select(entry => entry.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _done.Keys.Where(name => !names.Contains(name)).ToArray())
            _done.Remove(gone);
    }

    private void Release(IEnumerable<MissedDelEntry> entries)
    {
        List<PoolEvent.MissedDelete> happened = [];
        var clock = ClockReading.Of(time, bootId);
        var unusable = 0;
        foreach (var entry in entries)
        {
            _done[entry.Name] = entry.Del;
            var outcome = entry.Del is { } note ? Release(note, clock) : new PoolEvent.MissedDelete(clock.Now, MissedDelOutcome.Unusable);
            happened.Add(outcome);
            // One log line suffices for many.
            if (outcome.Outcome == MissedDelOutcome.Unusable && unusable++ == 0)
                Log.Unusable(logger, entry.Name, entry.Problem ?? "the boot id of this machine cannot be read");
        }

        if (happened.Count == 0)
            return;
        waiting.Serve();
        pool.Raise();
        foreach (var item in happened)
            events.Publish(item);
    }

    private PoolEvent.MissedDelete Release(MissedDel note, ClockReading clock)
    {
        if (clock.BootId is null)
            return new PoolEvent.MissedDelete(clock.Now, MissedDelOutcome.Unusable);
        // Attachments of another boot ended with that boot.
        if (note.BootId != clock.BootId)
            return new PoolEvent.MissedDelete(clock.Now, MissedDelOutcome.OtherBoot);
        var at = clock.Convert(note.At, new ClockReading(note.At, note.SinceBoot) { BootId = note.BootId });
        var key = new AttachmentKey(note.NetworkName, note.ContainerId, note.InterfaceName);
        var (attachment, isReleased) = ledger.ReleaseAssignedBefore(key, at, CoolsSince(at, clock.Now));
        if (attachment is null)
            (attachment, isReleased) = ledger.ReleaseAssignedBefore(AddressService.MigratedKey(key), at, CoolsSince(at, clock.Now));
        switch (attachment, isReleased)
        {
            case (null, _):
                // The daemon processed the DEL, but the plugin did not get the reply.
                Log.NothingHeld(logger, key, at);
                return new PoolEvent.MissedDelete(clock.Now, MissedDelOutcome.Unknown);
            case (_, false):
                Log.Outdated(logger, attachment.Pod, key, at, attachment.AssignedAt);
                return new PoolEvent.MissedDelete(clock.Now, MissedDelOutcome.Outdated);
            default:
                Log.Released(logger, attachment.Pod, key, attachment.Addresses[0].Address, at);
                return new PoolEvent.MissedDelete(clock.Now, MissedDelOutcome.Released) { Released = attachment, AskedAt = at };
        }
    }

    /// <summary>
    /// Returns the start of the cooldown: the time of the DEL, but late enough that the kernel's usage is read before the address is free,
    /// in case the plugin has not torn down everything.
    /// </summary>
    private DateTimeOffset CoolsSince(DateTimeOffset at, DateTimeOffset now)
    {
        var latest = now - ledger.Cooldown + (ledger.Cooldown < PoolLimits.KernelCheckLead ? ledger.Cooldown : PoolLimits.KernelCheckLead);
        return at > latest ? at : latest;
    }

    private void Remove(IReadOnlyList<MissedDelEntry> entries)
    {
        IOException? failure = null;
        foreach (var entry in entries)
        {
            try
            {
                notes.Remove(entry);
                _done.Remove(entry.Name);
            }
            catch (IOException exception)
            {
                // Continue with the other records.
                failure ??= exception;
            }
        }

        if (failure is not null)
            throw failure;
    }

    private static partial class Log
    {
        [LoggerMessage(151, LogLevel.Information, "address released by a missed DEL; it cools")]
        public static partial void Released(
            ILogger logger,
            PodReference pod,
            AttachmentKey attachment,
            System.Net.IPAddress ip,
            DateTimeOffset at
        );

        [LoggerMessage(152, LogLevel.Information, "a missed DEL is older than the ADD; the address stays assigned")]
        public static partial void Outdated(
            ILogger logger,
            PodReference pod,
            AttachmentKey attachment,
            DateTimeOffset at,
            DateTimeOffset since
        );

        [LoggerMessage(153, LogLevel.Debug, "a missed DEL names an unknown attachment")]
        public static partial void NothingHeld(ILogger logger, AttachmentKey attachment, DateTimeOffset at);

        [LoggerMessage(154, LogLevel.Warning, "a file in the folder of missed DELs is invalid and is removed")]
        public static partial void Unusable(ILogger logger, string file, string error);

        [LoggerMessage(155, LogLevel.Warning, "{Problem}")]
        public static partial void Problem(ILogger logger, string problem);
    }
}
