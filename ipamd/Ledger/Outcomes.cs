// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Ledger;

/// <summary>Result of <see cref="IpLedger.Assign"/>.</summary>
internal abstract record AssignOutcome
{
    private AssignOutcome() { }

    /// <summary>The attachment has its addresses.</summary>
    /// <param name="Attachment">The attachment.</param>
    /// <param name="IsNew">Whether it is new; false for a repeated ADD.</param>
    /// <param name="ReusedAfter">Time since the first address was last released; null when this ledger has no record of that.</param>
    internal sealed record Assigned(Attachment Attachment, bool IsNew, TimeSpan? ReusedAfter) : AssignOutcome;

    /// <summary>No address is free now.</summary>
    internal sealed record NoAddress : AssignOutcome;
}

/// <summary>How an observation differed from the ledger.</summary>
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

    /// <summary>Attachments whose address this observation no longer showed on an interface: it was taken from a live pod.</summary>
    public required IReadOnlyList<Orphan> Orphaned { get; init; }

    /// <summary>The same, grouped by cause.</summary>
    public IReadOnlyList<AddressLoss> Losses { get; init; } = [];

    public bool Any => InterfacesAdded.Count + InterfacesLost.Count + BlocksAdded + BlocksLost + Orphaned.Count > 0;
}

/// <summary>A released address in cooldown.</summary>
internal readonly record struct CoolingAddress(IPAddress Address, DateTimeOffset ReleasedAt);

/// <summary>
/// Two clocks read at one moment. Times in a checkpoint are on the clock of the daemon run that wrote it. The time since boot, which cannot
/// be set, shows how long ago that was, even when the wall clock was set in between.
/// </summary>
/// <param name="Now">The daemon's clock.</param>
/// <param name="SinceBoot">CLOCK_MONOTONIC: the same for every process until the next boot.</param>
internal readonly record struct ClockReading(DateTimeOffset Now, TimeSpan SinceBoot)
{
    public static ClockReading Of(TimeProvider time, string? bootId = null) =>
        new(time.GetUtcNow(), time.GetElapsedTime(0)) { BootId = bootId };

    /// <summary>/proc/sys/kernel/random/boot_id, which changes with each boot; null when unknown.</summary>
    public string? BootId { get; init; }

    /// <summary>
    /// Whether the node certainly rebooted since the earlier reading: no process, namespace, link or route of that boot is left.
    /// </summary>
    public bool IsAfterRebootSince(ClockReading earlier) => BootId is not null && earlier.BootId is not null && BootId != earlier.BootId;

    /// <summary>When the kernel started, on the clock of this reading.</summary>
    public DateTimeOffset BootedAt => Now - SinceBoot;

    /// <summary>
    /// Converts a time of an earlier reading's clock to this reading's clock, so that its age is the age then plus the time between the
    /// readings. After a reboot that time is unknown and counted too short rather than too long. Never in the future.
    /// </summary>
    public DateTimeOffset Convert(DateTimeOffset at, ClockReading writtenAt)
    {
        var elapsed = SinceBoot >= writtenAt.SinceBoot && !IsAfterRebootSince(writtenAt) ? SinceBoot - writtenAt.SinceBoot : SinceBoot;
        var converted = Now - (writtenAt.Now - at) - elapsed;
        return converted < Now ? converted : Now;
    }
}

/// <summary>A pod's address that no interface of this node carries.</summary>
/// <param name="Address">The address.</param>
/// <param name="LastSlot">The interface that carried it last; null when unknown.</param>
/// <param name="Since">When it was found missing.</param>
internal readonly record struct LostAddress(IPAddress Address, InterfaceSlot? LastSlot, DateTimeOffset Since);

/// <summary>The pool's targets of the daemon run that wrote the checkpoint.</summary>
/// <param name="Settings">NAME=VALUE pairs, separated by spaces.</param>
/// <param name="IsChanging">Whether a surplus from earlier targets may still have been attached.</param>
internal sealed record RecordedTargets(string Settings, bool IsChanging);

/// <summary>The state that must survive a restart. The rest of the ledger is observed anew.</summary>
internal sealed record LedgerRecord(IReadOnlyList<Attachment> Attachments, IReadOnlyList<CoolingAddress> Cooling)
{
    /// <summary>When it was written; null in a file of another daemon.</summary>
    public ClockReading? WrittenAt { get; init; }

    /// <summary>The pool's targets; null in a file of another daemon.</summary>
    public RecordedTargets? Targets { get; init; }

    /// <summary>
    /// Location and reason of each intent that could not be parsed, written by another version. Observations show what became of them.
    /// </summary>
    public IReadOnlyList<string> UnreadableIntents { get; init; } = [];

    /// <summary>Changes of the cloud without a certain outcome.</summary>
    public IReadOnlyList<Intent> Intents { get; init; } = [];

    /// <summary>Interfaces for pods, by the last observation and later changes.</summary>
    public IReadOnlyList<KnownInterface> Interfaces { get; init; } = [];

    /// <summary>Recently released blocks and when: a description that still shows one is late.</summary>
    public IReadOnlyList<(IPNetwork Range, DateTimeOffset At)> RecentlyReleased { get; init; } = [];

    /// <summary>Pod addresses on no interface, the interface that carried each last, and when it was found missing.</summary>
    public IReadOnlyList<LostAddress> LostAddresses { get; init; } = [];

    /// <summary>Recently detached interfaces and when.</summary>
    public IReadOnlyList<(NetworkInterfaceId Interface, DateTimeOffset At)> RecentlyDetached { get; init; } = [];

    public static readonly LedgerRecord Empty = new([], []);
}
