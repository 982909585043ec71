// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Ledger;

/// <summary>What came of asking the ledger for an address.</summary>
internal abstract record AssignOutcome
{
    private AssignOutcome() { }

    /// <summary>The attachment holds this address now.</summary>
    /// <param name="Attachment">What it holds.</param>
    /// <param name="IsNew">False when it held it before: the same ADD again.</param>
    /// <param name="ReusedAfter">
    /// Since the first of the addresses was given back; null when nobody of this ledger's memory had it before.
    /// </param>
    internal sealed record Held(Attachment Attachment, bool IsNew, TimeSpan? ReusedAfter) : AssignOutcome;

    /// <summary>No address is free now.</summary>
    internal sealed record NoAddress : AssignOutcome;
}

/// <summary>How an observation differed from what the ledger held.</summary>
internal sealed record ObservationChanges
{
    public static readonly ObservationChanges None = new()
    {
        InterfacesAdded = [],
        InterfacesLost = [],
        BlocksAdded = 0,
        BlocksLost = 0,
        Orphaned = [],
    };

    public required IReadOnlyList<NetworkInterfaceId> InterfacesAdded { get; init; }
    public required IReadOnlyList<NetworkInterfaceId> InterfacesLost { get; init; }
    public required int BlocksAdded { get; init; }
    public required int BlocksLost { get; init; }

    /// <summary>
    /// Attachments that this observation found without an interface that carries their address: somebody took it away under a live pod.
    /// </summary>
    public required IReadOnlyList<Orphan> Orphaned { get; init; }

    /// <summary>The same by their cause.</summary>
    public IReadOnlyList<AddressLoss> Losses { get; init; } = [];

    public bool Any => InterfacesAdded.Count + InterfacesLost.Count + BlocksAdded + BlocksLost + Orphaned.Count > 0;
}

/// <summary>An address on its way back to the pool.</summary>
internal readonly record struct CoolingAddress(IPAddress Address, DateTimeOffset ReleasedAt);

/// <summary>
/// Two clocks read at one moment. Times in a checkpoint are those of the daemon that wrote it; the time since boot, which nobody sets, says
/// how long ago that was, also when the wall clock was set in between.
/// </summary>
/// <param name="Now">The daemon's clock.</param>
/// <param name="SinceBoot">CLOCK_MONOTONIC: the same for every process until the next boot.</param>
internal readonly record struct ClockReading(DateTimeOffset Now, TimeSpan SinceBoot)
{
    public static ClockReading Of(TimeProvider time, string? bootId = null) =>
        new(time.GetUtcNow(), time.GetElapsedTime(0)) { BootId = bootId };

    /// <summary>/proc/sys/kernel/random/boot_id: another after each boot; null when unknown.</summary>
    public string? BootId { get; init; }

    /// <summary>Certainly of another boot than the earlier reading: no process, namespace, link or route of then is left.</summary>
    public bool IsAfterRebootSince(ClockReading earlier) => BootId is not null && earlier.BootId is not null && BootId != earlier.BootId;

    /// <summary>When the kernel started, by the clock now.</summary>
    public DateTimeOffset BootedAt => Now - SinceBoot;

    /// <summary>
    /// A time of an earlier reading's clock as one of this reading's: what happened so long ago then happened that and the time in between
    /// ago now. After a reboot the time in between is not known and counted too short rather than too long. Never in the future.
    /// </summary>
    public DateTimeOffset Carry(DateTimeOffset at, ClockReading writtenAt)
    {
        var between = SinceBoot >= writtenAt.SinceBoot && !IsAfterRebootSince(writtenAt) ? SinceBoot - writtenAt.SinceBoot : SinceBoot;
        var carried = Now - (writtenAt.Now - at) - between;
        return carried < Now ? carried : Now;
    }
}

/// <summary>An address of a pod that no interface of this node carries any more.</summary>
/// <param name="Address">The pod's.</param>
/// <param name="LastPlace">The interface that carried it last; null when none is known.</param>
/// <param name="Since">When it was found missing.</param>
internal readonly record struct LostAddress(IPAddress Address, InterfaceSlot? LastPlace, DateTimeOffset Since);

/// <summary>The pool's targets, as the daemon that wrote the checkpoint was set.</summary>
/// <param name="Words">NAME=VALUE, separated by spaces.</param>
/// <param name="IsChanging">A surplus that other targets left may still have been there.</param>
internal sealed record RecordedTargets(string Words, bool IsChanging);

/// <summary>What must survive a restart. The rest of the ledger is observed anew.</summary>
internal sealed record LedgerRecord(IReadOnlyList<Attachment> Attachments, IReadOnlyList<CoolingAddress> Cooling)
{
    /// <summary>When it was written; null in a file of another daemon.</summary>
    public ClockReading? WrittenAt { get; init; }

    /// <summary>The pool's targets; null in a file of another daemon.</summary>
    public RecordedTargets? Targets { get; init; }

    /// <summary>
    /// Intents that could not be read, as another version wrote them: where, and why. What they were about is found out by observing.
    /// </summary>
    public IReadOnlyList<string> UnreadableIntents { get; init; } = [];

    /// <summary>Changes of the cloud without a certain outcome.</summary>
    public IReadOnlyList<Intent> Intents { get; init; } = [];

    /// <summary>Interfaces that carried pods' addresses, by the last observation and the changes since.</summary>
    public IReadOnlyList<KnownInterface> Interfaces { get; init; } = [];

    /// <summary>Blocks that were given back a moment ago, and when: a description that still shows them is late.</summary>
    public IReadOnlyList<(IPNetwork Range, DateTimeOffset At)> RecentlyReleased { get; init; } = [];

    /// <summary>Addresses that are held and on no interface: the interface that carried each last, and since when it has not.</summary>
    public IReadOnlyList<LostAddress> Lost { get; init; } = [];

    /// <summary>Interfaces that were removed a moment ago, and when.</summary>
    public IReadOnlyList<(NetworkInterfaceId Interface, DateTimeOffset At)> RecentlyDetached { get; init; } = [];

    public static readonly LedgerRecord Empty = new([], []);
}
