// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Events;

/// <summary>How an ADD ended without an address, apart from what stands against growth.</summary>
internal enum AddFailureKind
{
    /// <summary>None was free in time, or none can come.</summary>
    NoAddress,

    /// <summary>The attachment's address is on no interface of this node.</summary>
    Orphaned,

    /// <summary>It holds an address, and the daemon does not know yet which interface carries it.</summary>
    NotObserved,

    /// <summary>The client gave up or was cut off.</summary>
    ClientGone,

    /// <summary>The checkpoint could not be written.</summary>
    NotDurable,
}

/// <summary>What came of a note of a DEL that came while the daemon was away.</summary>
internal enum MissedDelOutcome
{
    /// <summary>The address was given back.</summary>
    Released,

    /// <summary>Nothing was held: the daemon had carried the DEL out before it went away.</summary>
    Unknown,

    /// <summary>The address was handed out again since then, and stays.</summary>
    Outdated,

    /// <summary>Of a time before the machine was started.</summary>
    OtherBoot,

    /// <summary>No note, or half of one.</summary>
    Unusable,
}

/// <summary>
/// Something that happened in the pool, told once, when it is certain. Metrics count these, <c>ipamd explain</c> remembers them and the
/// cluster is told of some; nothing in the pool depends on them.
/// </summary>
/// <param name="At">When.</param>
internal abstract record PoolEvent(DateTimeOffset At)
{
    /// <summary>An ADD found no free address and stands in line.</summary>
    /// <param name="At">When it began to wait.</param>
    /// <param name="Key">The attachment.</param>
    /// <param name="Pod">Its pod.</param>
    /// <param name="Ahead">How many stood there already.</param>
    /// <param name="Deadline">When it gives up.</param>
    internal sealed record AddWaits(DateTimeOffset At, AttachmentKey Key, PodReference Pod, int Ahead, DateTimeOffset Deadline)
        : PoolEvent(At);

    /// <summary>An ADD was answered with addresses.</summary>
    /// <param name="At">When the answer was ready.</param>
    /// <param name="Attachment">What it holds.</param>
    /// <param name="IsNew">False when it held them before: the same ADD again.</param>
    /// <param name="Waited">Time in the line; zero when an address was free.</param>
    /// <param name="Took">From the request to the answer, the write to disk included.</param>
    /// <param name="ReusedAfter">
    /// Since the first of the addresses was given back by its holder before; null when it had none in this daemon's memory.
    /// </param>
    internal sealed record AddServed(
        DateTimeOffset At,
        Attachment Attachment,
        bool IsNew,
        TimeSpan Waited,
        TimeSpan Took,
        TimeSpan? ReusedAfter
    ) : PoolEvent(At)
    {
        /// <summary>
        /// From holding the addresses to their being on disk, which was shared with other ADDs; part of <see cref="Took"/>.
        /// </summary>
        public TimeSpan Durable { get; init; }
    }

    /// <summary>An ADD ended without an address.</summary>
    /// <param name="At">When.</param>
    /// <param name="Key">The attachment.</param>
    /// <param name="Pod">Its pod.</param>
    /// <param name="Kind">How it ended.</param>
    /// <param name="Obstacle">What stands against growth; null when nothing does, or it is not about growth.</param>
    /// <param name="Reason">A sentence for a person.</param>
    /// <param name="Took">From the request to the answer.</param>
    internal sealed record AddFailed(
        DateTimeOffset At,
        AttachmentKey Key,
        PodReference Pod,
        AddFailureKind Kind,
        GrowthObstacleKind? Obstacle,
        string Reason,
        TimeSpan Took
    ) : PoolEvent(At);

    /// <summary>A DEL was carried out.</summary>
    /// <param name="At">When.</param>
    /// <param name="Key">What it named.</param>
    /// <param name="Released">What was given back; null when the key held nothing.</param>
    /// <param name="Took">From the request to the answer.</param>
    internal sealed record Deleted(DateTimeOffset At, AttachmentKey Key, Attachment? Released, TimeSpan Took) : PoolEvent(At);

    /// <summary>A CHECK was answered.</summary>
    /// <param name="At">When.</param>
    /// <param name="Key">What it named.</param>
    /// <param name="Held">What it holds; null for nothing.</param>
    internal sealed record Checked(DateTimeOffset At, AttachmentKey Key, Attachment? Held) : PoolEvent(At);

    /// <summary>Nothing of this attachment is left in the kernel, and no DEL came: given back.</summary>
    internal sealed record LostDelete(DateTimeOffset At, Attachment Released) : PoolEvent(At);

    /// <summary>A note of a DEL that came while the daemon was away was dealt with.</summary>
    internal sealed record MissedDelete(DateTimeOffset At, MissedDelOutcome Outcome) : PoolEvent(At)
    {
        /// <summary>What was given back; null for every other outcome.</summary>
        public Attachment? Released { get; init; }

        /// <summary>When the plugin carried the DEL out; with <see cref="Released"/>.</summary>
        public DateTimeOffset AskedAt { get; init; }
    }

    /// <summary>The kernel routes this address to a pod, and nobody held it: held from now on.</summary>
    internal sealed record Recovered(DateTimeOffset At, Attachment Attachment) : PoolEvent(At);

    /// <summary>The cluster says which pod a recovered attachment is of.</summary>
    internal sealed record Identified(DateTimeOffset At, Attachment Attachment) : PoolEvent(At);

    /// <summary>A plan that does something, or names another obstacle than the one before.</summary>
    internal sealed record Planned(DateTimeOffset At, PoolPlan Plan) : PoolEvent(At);

    /// <summary>
    /// A change of the cloud begins, or is gone on with. Told by its number again when a stage is certain and when it ends.
    /// </summary>
    internal sealed record ChangeBegan(DateTimeOffset At, Intent Intent, bool IsRepeated) : PoolEvent(At);

    /// <summary>A stage of a change is certain.</summary>
    internal sealed record ChangeAdvanced(DateTimeOffset At, Intent Intent) : PoolEvent(At);

    /// <summary>A change ended, or stopped until somebody goes on with it.</summary>
    /// <param name="At">When.</param>
    /// <param name="Intent">As it began.</param>
    /// <param name="Took">Since it began or was gone on with.</param>
    /// <param name="Failure">
    /// Null for success; <see cref="CloudErrorKind.Unknown"/> when the cloud had no part in it (the kernel did not follow, the daemon
    /// stops).
    /// </param>
    /// <param name="Reason">What went wrong; empty for success.</param>
    internal sealed record ChangeEnded(DateTimeOffset At, Intent Intent, TimeSpan Took, CloudErrorKind? Failure, string Reason)
        : PoolEvent(At);

    /// <summary>What is attached was described, and the ledger holds it now.</summary>
    internal sealed record Observed(DateTimeOffset At, ObservationChanges Changes, TimeSpan Took) : PoolEvent(At);

    /// <summary>An observation found pods whose addresses no interface carries any more; told once for each cause.</summary>
    internal sealed record AddressesLost(DateTimeOffset At, AddressLoss Loss) : PoolEvent(At);

    /// <summary>What is attached could not be described.</summary>
    internal sealed record ObserveFailed(DateTimeOffset At, CloudErrorKind Failure, string Reason) : PoolEvent(At);

    /// <summary>An interface was given other security groups, or could not be; it is tried again then.</summary>
    /// <param name="At">When.</param>
    /// <param name="Interface">Which.</param>
    /// <param name="Before">As it was last described.</param>
    /// <param name="Groups">Those that it shall have.</param>
    /// <param name="Took">The call.</param>
    /// <param name="Failure">Null for success.</param>
    /// <param name="Reason">What went wrong; empty for success.</param>
    internal sealed record GroupsChanged(
        DateTimeOffset At,
        NetworkInterfaceId Interface,
        IReadOnlyList<string> Before,
        IReadOnlyList<string> Groups,
        TimeSpan Took,
        CloudErrorKind? Failure,
        string Reason
    ) : PoolEvent(At);

    /// <summary>The checkpoint was written, or not.</summary>
    /// <param name="At">When.</param>
    /// <param name="Took">Formatting, writing and flushing.</param>
    /// <param name="Failure">Null for success.</param>
    internal sealed record CheckpointWritten(DateTimeOffset At, TimeSpan Took, string? Failure) : PoolEvent(At);

    /// <summary>Something of the host's network was not as it must be, and was put right.</summary>
    internal sealed record HostRepaired(DateTimeOffset At, RepairsMade Repairs) : PoolEvent(At);
}
