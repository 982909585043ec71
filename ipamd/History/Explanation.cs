// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.History;

/// <summary>State of a pod's address.</summary>
internal enum PodState
{
    /// <summary>The pod has an address.</summary>
    Holding,

    /// <summary>The pod has an address, but no interface of this node has it.</summary>
    Orphaned,

    /// <summary>Its ADD is pending.</summary>
    Waiting,

    /// <summary>Its last ADD failed.</summary>
    Failed,

    /// <summary>Its address was released.</summary>
    Gone,

    /// <summary>The daemon has no record of an ADD.</summary>
    Unknown,
}

/// <summary>One step of a pod's timeline.</summary>
/// <param name="At">Time of the step.</param>
/// <param name="Kind">Kind, for programs.</param>
/// <param name="What">Description, for people.</param>
internal sealed record ExplainedStep(DateTimeOffset At, string Kind, string What);

/// <summary>Input of an explanation: a snapshot of all that it depends on.</summary>
internal sealed record ExplainedFacts
{
    public required DateTimeOffset Now { get; init; }

    /// <summary>Name of the pod as in the request.</summary>
    public required string Name { get; init; }

    /// <summary>The pod's events; null if there are none.</summary>
    public required PodHistory? History { get; init; }

    /// <summary>The pod's attachments.</summary>
    public required IReadOnlyList<Attachment> Attachments { get; init; }

    /// <summary>All pending ADDs, oldest first.</summary>
    public IReadOnlyList<QueuedAdd> PendingAdds { get; init; } = [];
    public required TimeSpan Cooldown { get; init; }

    /// <summary>Start of the daemon; it has no earlier events.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Obstacle to growth; null if there is none.</summary>
    public GrowthObstacle? Obstacle { get; init; }

    /// <summary>The ledger: blocks, cooldown, intents.</summary>
    public required LedgerView View { get; init; }

    /// <summary>What the daemon's start waits for; null after the start.</summary>
    public string? StartObstacle { get; init; }

    /// <summary>Pods of that name in other namespaces, if this one is unknown.</summary>
    public IReadOnlyList<PodReference> Namesakes { get; init; } = [];

    /// <summary>Pods whose names begin with this one, if neither it nor a namesake is known.</summary>
    public IReadOnlyList<PodReference> Similar { get; init; } = [];

    /// <summary>Whether the request has no namespace and several pods have the name.</summary>
    public bool IsAmbiguous { get; init; }
}

/// <summary>Explains why a pod waits, why its ADD failed, or how it got its address. Pure.</summary>
/// <param name="State">State of the pod's address.</param>
/// <param name="Summary">Summary; one sentence.</param>
/// <param name="Steps">Timeline, oldest first.</param>
/// <param name="Hints">What to check or do next.</param>
internal sealed record Explanation(PodState State, string Summary, IReadOnlyList<ExplainedStep> Steps, IReadOnlyList<string> Hints)
{
    public static Explanation Of(ExplainedFacts facts)
    {
        var steps = TimelineOf(facts);
        var waiting = facts
            .PendingAdds.Select((add, index) => (Add: add, Ahead: index))
            .Where(item => facts.History is { } history && PodOf(item.Add) == history.Pod)
            .ToArray();
        if (waiting.Length > 0)
            return Waiting(facts, waiting[0].Add, waiting[0].Ahead, steps);
        if (facts.Attachments.Count > 0)
            return Holding(facts, steps);
        return facts.History?.Events.LastOrDefault(Decides) switch
        {
            PoolEvent.AddFailed failed => new Explanation(
                PodState.Failed,
                $"{facts.Name} failed {DurationText.Ago(facts.Now - failed.At)}: {failed.Reason}",
                steps,
                [.. History.Hints.OfFailure(failed), History.Hints.Retry]
            ),
            PoolEvent.MissedDelete missed => new Explanation(
                PodState.Gone,
                $"{facts.Name} has no address: DEL at {missed.AskedAt:HH:mm:ss}, while the daemon was down; "
                    + $"released {DurationText.Ago(facts.Now - missed.At)}",
                steps,
                []
            ),
            PoolEvent.Deleted or PoolEvent.LostDelete => new Explanation(
                PodState.Gone,
                $"{facts.Name} has no address: it was released "
                    + $"{DurationText.Ago(facts.Now - facts.History!.Events.Last(Decides).At)}",
                steps,
                []
            ),
            _ when facts.IsAmbiguous => new Explanation(
                PodState.Unknown,
                $"{facts.Namesakes.Count} pods have the name {facts.Name}; add the namespace",
                steps,
                [History.Hints.Named(facts.Namesakes)]
            ),
            _ => new Explanation(
                PodState.Unknown,
                $"this daemon has no record of {facts.Name}: no ADD {Since(facts)}",
                steps,
                History.Hints.OfUnknown(facts)
            ),
        };
    }

    private static Explanation Holding(ExplainedFacts facts, IReadOnlyList<ExplainedStep> steps)
    {
        var held = string.Join(", ", facts.Attachments.SelectMany(attachment => attachment.Addresses).Select(PodTimeline.AddressOf));
        var lost =
            facts.View.IsObserved
            && facts.Attachments.Any(attachment => !attachment.IsRecovered && attachment.Addresses.Any(address => address.Slot is null));
        var since = facts.Attachments.Min(attachment => attachment.AssignedAt);
        return new Explanation(
            lost ? PodState.Orphaned : PodState.Holding,
            $"{facts.Name} has {held} since {since:yyyy-MM-dd HH:mm:ss}Z ({DurationText.Ago(facts.Now - since)})",
            steps,
            lost ? [global::VpcCni.Ipamd.History.Hints.Orphan] : []
        );
    }

    private static Explanation Waiting(ExplainedFacts facts, QueuedAdd add, int ahead, IReadOnlyList<ExplainedStep> steps)
    {
        var why =
            facts.StartObstacle is { } start ? $"the daemon is starting: {start}"
            : CooldownWait.EndFor(facts.View, ahead, add.Deadline, facts.Obstacle) is { } end
                ? $"{(facts.Obstacle is { } standing ? $"{standing.Detail}; " : "")}it gets an address that cools until {end:HH:mm:ss}Z"
            : facts.Obstacle?.Detail ?? "the pool is growing";
        return new Explanation(
            PodState.Waiting,
            $"{facts.Name} has waited for {DurationText.Of(facts.Now - add.Since)} {PodTimeline.QueuePosition(ahead)} and times out in "
                + $"{DurationText.Of(add.Deadline - facts.Now)}: {why}",
            steps,
            facts.Obstacle is { } known ? [global::VpcCni.Ipamd.History.Hints.Of(known.Kind)] : []
        );
    }

    private static List<ExplainedStep> TimelineOf(ExplainedFacts facts)
    {
        List<ExplainedStep> steps = [];
        // Of an earlier daemon only the outcome is known.
        foreach (var before in facts.Attachments.Where(attachment => attachment.AssignedAt < facts.Since))
            steps.Add(
                new ExplainedStep(
                    before.AssignedAt,
                    "answered",
                    $"{PodTimeline.AddressesOf(before)} was assigned by an earlier daemon, according to the checkpoint"
                )
            );
        GrowthObstacleKind? last = null;
        foreach (var poolEvent in facts.History?.Events ?? [])
        {
            // The same obstacle in consecutive plans is one step.
            var obstacle = (poolEvent as PoolEvent.Planned)?.Plan.Obstacle?.Kind;
            if (obstacle is not null && obstacle == last)
                continue;
            last = obstacle ?? last;
            steps.AddRange(PodTimeline.Of(poolEvent, facts.Cooldown));
        }

        return [.. steps.OrderBy(step => step.At)];
    }

    private static bool Decides(PoolEvent poolEvent) =>
        poolEvent
            is PoolEvent.AddFailed
                or PoolEvent.AddServed
                or PoolEvent.LostDelete
                or PoolEvent.MissedDelete
                or PoolEvent.Deleted { Released: not null };

    private static PodReference PodOf(QueuedAdd add) =>
        add.Pod.Name is { Length: > 0 } ? add.Pod : new PodReference("", add.Key.ContainerId);

    private static string Since(ExplainedFacts facts) =>
        $"since it started {DurationText.Ago(facts.Now - facts.Since)}, or an ADD so long ago that it was dropped";
}
