// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Planning;
using VpcCni.MissedDels;

namespace VpcCni.Ipamd.MissedDels;

/// <summary>
/// Takes the notes that the plugin left of DELs: releases what was held before the DEL, and removes a note when that is durable. At the
/// start, before the cloud is asked for anything; then whenever one arrives, and every half minute in case that was not announced.
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

    /// <summary>After a look, a write or a removal that failed.</summary>
    internal static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly PoolSignal _signal = new();

    /// <summary>Entries that were dealt with and are not removed yet, and the note that each was.</summary>
    private readonly Dictionary<string, MissedDel?> _done = new(StringComparer.Ordinal);

    private string? _reported;

    /// <summary>What keeps DELs from being taken, or lies in their way; null when nothing does.</summary>
    public string? Problem { get; private set; }

    /// <summary>Runs until cancelled. The notes that are there are taken before this returns its task.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        notes.Arrived = _signal.Raise;
        while (true)
        {
            var wait = await TakeAsync(cancellationToken) ? RescanInterval : RetryAfter;
            if (Problem is { } problem && problem != _reported)
                Log.Problem(logger, problem);
            _reported = Problem;
            await _signal.WaitAsync(wait, time, cancellationToken);
        }
    }

    /// <summary>Takes what is there. False: not all of it could be; <see cref="Problem"/> says why.</summary>
    private async Task<bool> TakeAsync(CancellationToken cancellationToken)
    {
        try
        {
            var reading = notes.Read();
            Forget(reading.Entries);
            if (reading.Entries.Count > 0)
            {
                Release(reading.Entries.Where(entry => !_done.TryGetValue(entry.Name, out var done) || done != entry.Note));
                // A note goes when nothing that it brought about can be lost any more, whichever of the looks released it.
                await checkpoint.PersistAsync(cancellationToken);
                Remove(reading.Entries);
            }

            if (reading.Problem is { } unread)
                throw new IOException(unread);
            Problem = reading.Foreign > 0 ? $"the folder of missed DELs has {reading.Foreign} files that are none: remove them" : null;
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Problem = $"DELs that came while the daemon was away cannot all be taken: {exception.Message}";
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
            _done[entry.Name] = entry.Note;
            var outcome = entry.Note is { } note ? Release(note, clock) : new PoolEvent.MissedDelete(clock.Now, MissedDelOutcome.Unusable);
            happened.Add(outcome);
            // The first of many says enough.
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
        // What held an address then ended with that boot.
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
                // The daemon had carried it out, and the plugin did not hear of it.
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
    /// The cooldown began with the DEL; but so much of it is kept that the kernel is asked first whether the plugin has torn everything
    /// down.
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
                // The others must not stay for it.
                failure ??= exception;
            }
        }

        if (failure is not null)
            throw failure;
    }

    private static partial class Log
    {
        [LoggerMessage(151, LogLevel.Information, "address released by a DEL that came while the daemon was away, it cools")]
        public static partial void Released(
            ILogger logger,
            PodReference pod,
            AttachmentKey attachment,
            System.Net.IPAddress ip,
            DateTimeOffset at
        );

        [LoggerMessage(152, LogLevel.Information, "a DEL that came while the daemon was away is older than the ADD: the address stays")]
        public static partial void Outdated(
            ILogger logger,
            PodReference pod,
            AttachmentKey attachment,
            DateTimeOffset at,
            DateTimeOffset since
        );

        [LoggerMessage(153, LogLevel.Debug, "a DEL that came while the daemon was away names nothing that holds an address")]
        public static partial void NothingHeld(ILogger logger, AttachmentKey attachment, DateTimeOffset at);

        [LoggerMessage(154, LogLevel.Warning, "what lies in the folder of missed DELs is none: it is removed")]
        public static partial void Unusable(ILogger logger, string file, string error);

        [LoggerMessage(155, LogLevel.Warning, "{Problem}")]
        public static partial void Problem(ILogger logger, string problem);
    }
}
