// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Events;

/// <summary>Why an ADD failed, apart from obstacles to growth.</summary>
internal enum AddFailureKind
{
    /// <summary>No address was free in time, or none can become free.</summary>
    NoAddress,

    /// <summary>The attachment's address is on no interface of this node.</summary>
    Orphaned,

    /// <summary>The attachment has an address whose interface is not known yet.</summary>
    NotObserved,

    /// <summary>The client gave up or was cut off.</summary>
    ClientGone,

    /// <summary>The checkpoint could not be written.</summary>
    NotDurable,
}

/// <summary>Outcome of a note about a DEL that the plugin executed while the daemon was away.</summary>
internal enum MissedDelOutcome
{
    /// <summary>The address was released.</summary>
    Released,

    /// <summary>There was no attachment: the daemon had executed the DEL before it stopped.</summary>
    Unknown,

    /// <summary>The address has been assigned again since, and stays.</summary>
    Outdated,

    /// <summary>The note is from before the last boot.</summary>
    OtherBoot,

    /// <summary>The file is not a note, or incomplete.</summary>
    Unusable,
}

/// <summary>
/// A certain event of the pool, published once. Metrics count events, <c>ipamd explain</c> records them, some are reported to the cluster,
/// and some wake the reconciler of the host's network. Nothing in the pool depends on them.
/// </summary>
/// <param name="At">Time of the event.</param>
internal abstract record PoolEvent(DateTimeOffset At)
{
    /// <summary>An ADD found no free address and was queued.</summary>
    /// <param name="At">When it was queued.</param>
    /// <param name="Key">The attachment.</param>
    /// <param name="Pod">The pod.</param>
    /// <param name="Ahead">Number of ADDs ahead in the queue.</param>
    /// <param name="Deadline">When it expires.</param>
    internal sealed record AddQueued(DateTimeOffset At, AttachmentKey Key, PodReference Pod, int Ahead, DateTimeOffset Deadline)
        : PoolEvent(At);

    /// <summary>An ADD was answered with addresses.</summary>
    /// <param name="At">When the answer was ready.</param>
    /// <param name="Attachment">The attachment.</param>
    /// <param name="IsNew">Whether it is new; false for a repeated ADD.</param>
    /// <param name="Waited">Time in the queue; zero when an address was free.</param>
    /// <param name="Took">Time from the request to the answer, the write to disk included.</param>
    /// <param name="ReusedAfter">Time since the first address was last released; null when this daemon has no record of that.</param>
    internal sealed record AddServed(
        DateTimeOffset At,
        Attachment Attachment,
        bool IsNew,
        TimeSpan Waited,
        TimeSpan Took,
        TimeSpan? ReusedAfter
    ) : PoolEvent(At)
    {
        /// <summary>Time from the assignment until it was on disk, in a write shared with other ADDs; part of <see cref="Took"/>.</summary>
        public TimeSpan Durable { get; init; }
    }

    /// <summary>An ADD ended without an address.</summary>
    /// <param name="At">When it ended.</param>
    /// <param name="Key">The attachment.</param>
    /// <param name="Pod">The pod.</param>
    /// <param name="Kind">Kind of failure.</param>
    /// <param name="Obstacle">The obstacle to growth; null when there is none, or the failure has another cause.</param>
    /// <param name="Reason">One sentence for a person.</param>
    /// <param name="Took">Time from the request to the answer.</param>
    internal sealed record AddFailed(
        DateTimeOffset At,
        AttachmentKey Key,
        PodReference Pod,
        AddFailureKind Kind,
        GrowthObstacleKind? Obstacle,
        string Reason,
        TimeSpan Took
    ) : PoolEvent(At);

    /// <summary>A DEL was executed.</summary>
    /// <param name="At">When it was executed.</param>
    /// <param name="Key">The key of the request.</param>
    /// <param name="Released">The released attachment; null when the key had none.</param>
    /// <param name="Took">Time from the request to the answer.</param>
    internal sealed record Deleted(DateTimeOffset At, AttachmentKey Key, Attachment? Released, TimeSpan Took) : PoolEvent(At);

    /// <summary>A CHECK was answered.</summary>
    /// <param name="At">When it was answered.</param>
    /// <param name="Key">The key of the request.</param>
    /// <param name="Attachment">The key's attachment; null for none.</param>
    internal sealed record Checked(DateTimeOffset At, AttachmentKey Key, Attachment? Attachment) : PoolEvent(At);

    /// <summary>The kernel shows nothing of the attachment and no DEL came: it was released.</summary>
    internal sealed record LostDelete(DateTimeOffset At, Attachment Released) : PoolEvent(At);

    /// <summary>A note about a DEL that the daemon missed was processed.</summary>
    internal sealed record MissedDelete(DateTimeOffset At, MissedDelOutcome Outcome) : PoolEvent(At)
    {
        /// <summary>The released attachment; null for every other outcome.</summary>
        public Attachment? Released { get; init; }

        /// <summary>When the plugin executed the DEL; set with <see cref="Released"/>.</summary>
        public DateTimeOffset AskedAt { get; init; }
    }

    /// <summary>The kernel routes an unassigned address to a pod: it was reserved.</summary>
    internal sealed record Recovered(DateTimeOffset At, Attachment Attachment) : PoolEvent(At);

    /// <summary>The cluster identified the pod of a recovered attachment.</summary>
    internal sealed record Identified(DateTimeOffset At, Attachment Attachment) : PoolEvent(At);

    /// <summary>A plan has actions, or another obstacle than the previous plan.</summary>
    internal sealed record Planned(DateTimeOffset At, PoolPlan Plan) : PoolEvent(At);

    /// <summary>A change of the cloud began or was resumed. Later events of the change have the same number.</summary>
    internal sealed record ChangeBegan(DateTimeOffset At, Intent Intent, bool IsRepeated) : PoolEvent(At);

    /// <summary>A stage of a change was completed.</summary>
    internal sealed record ChangeAdvanced(DateTimeOffset At, Intent Intent) : PoolEvent(At);

    /// <summary>A change ended, or paused until it is resumed.</summary>
    /// <param name="At">When it ended.</param>
    /// <param name="Intent">The intent at its start.</param>
    /// <param name="Took">Time since it began or was resumed.</param>
    /// <param name="Failure">Why it failed or paused; null for success.</param>
    internal sealed record ChangeEnded(DateTimeOffset At, Intent Intent, TimeSpan Took, ChangeFailure? Failure) : PoolEvent(At);

    /// <summary>The attached interfaces were observed and the ledger updated.</summary>
    internal sealed record Observed(DateTimeOffset At, ObservationChanges Changes, TimeSpan Took) : PoolEvent(At);

    /// <summary>An observation found pods whose addresses are on no interface; published once per cause.</summary>
    internal sealed record AddressesLost(DateTimeOffset At, AddressLoss Loss) : PoolEvent(At);

    /// <summary>The attached interfaces could not be observed.</summary>
    internal sealed record ObserveFailed(DateTimeOffset At, CloudErrorKind Failure, string Reason) : PoolEvent(At);

    /// <summary>An interface's security groups were changed, or could not be and are retried.</summary>
    /// <param name="At">When the call ended.</param>
    /// <param name="Interface">The interface.</param>
    /// <param name="Before">Its groups as last described.</param>
    /// <param name="Groups">The desired groups.</param>
    /// <param name="Took">Duration of the call.</param>
    /// <param name="Failure">The kind of failure; null for success.</param>
    /// <param name="Reason">Cause of the failure; empty for success.</param>
    internal sealed record GroupsChanged(
        DateTimeOffset At,
        NetworkInterfaceId Interface,
        IReadOnlyList<string> Before,
        IReadOnlyList<string> Groups,
        TimeSpan Took,
        CloudErrorKind? Failure,
        string Reason
    ) : PoolEvent(At);

    /// <summary>The checkpoint was written, or could not be.</summary>
    /// <param name="At">When the write ended.</param>
    /// <param name="Took">Time for formatting, writing and flushing.</param>
    /// <param name="Failure">Cause of the failure; null for success.</param>
    internal sealed record CheckpointWritten(DateTimeOffset At, TimeSpan Took, string? Failure) : PoolEvent(At);

    /// <summary>A call of the cloud was answered.</summary>
    /// <param name="At">When it was answered.</param>
    /// <param name="Operation">The port's name of the call.</param>
    /// <param name="Failure">The kind of failure; null for success.</param>
    /// <param name="Took">Duration of the call, without the wait for the node's budget.</param>
    internal sealed record CloudCalled(DateTimeOffset At, string Operation, CloudErrorKind? Failure, TimeSpan Took) : PoolEvent(At);

    /// <summary>The address ranges of the virtual network were read, at the start or because they changed.</summary>
    internal sealed record RangesChanged(DateTimeOffset At) : PoolEvent(At);

    /// <summary>The host's network differed from the desired state and was repaired.</summary>
    internal sealed record HostRepaired(DateTimeOffset At, RepairsMade Repairs) : PoolEvent(At);
}
