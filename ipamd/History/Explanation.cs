// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.History;

/// <summary>Where a pod stands.</summary>
internal enum PodState
{
    /// <summary>It has its address.</summary>
    Holding,

    /// <summary>It has an address that no interface of this node carries.</summary>
    Orphaned,

    /// <summary>It stands in line.</summary>
    Waiting,

    /// <summary>Its last ADD ended without an address.</summary>
    Failed,

    /// <summary>It gave its address back.</summary>
    Gone,

    /// <summary>Nobody asked for an address in its name, as far as this daemon remembers.</summary>
    Unknown,
}

/// <summary>One thing that happened to a pod.</summary>
/// <param name="At">When.</param>
/// <param name="Kind">A word for programs.</param>
/// <param name="What">A sentence.</param>
internal sealed record ExplainedStep(DateTimeOffset At, string Kind, string What);

/// <summary>All that is known at one moment of what a pod's story depends on.</summary>
internal sealed record ExplainedFacts
{
    public required DateTimeOffset Now { get; init; }

    /// <summary>What the pod was called in the question.</summary>
    public required string Name { get; init; }

    /// <summary>Null when nothing is remembered.</summary>
    public required PodMemory? Memory { get; init; }

    /// <summary>What it holds.</summary>
    public required IReadOnlyList<Attachment> Attachments { get; init; }

    /// <summary>Who waits, first come first.</summary>
    public IReadOnlyList<QueuedAdd> Line { get; init; } = [];
    public required TimeSpan Cooldown { get; init; }

    /// <summary>Of the daemon: what it can remember.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>What stands against growth; null for nothing.</summary>
    public GrowthObstacle? Obstacle { get; init; }

    /// <summary>What is attached, cools and is under way.</summary>
    public required LedgerView View { get; init; }

    /// <summary>What the daemon's start waits for; null when it is over.</summary>
    public string? StartObstacle { get; init; }

    /// <summary>Pods with the same name, where this one is not known.</summary>
    public IReadOnlyList<PodReference> Namesakes { get; init; } = [];

    /// <summary>Pods whose names begin like that of a workload, where neither this one nor a namesake is known.</summary>
    public IReadOnlyList<PodReference> Similar { get; init; } = [];

    /// <summary>The question named no namespace, and several pods have the name.</summary>
    public bool IsAmbiguous { get; init; }
}

/// <summary>The answer to "why does this pod wait", "why did it fail" and "how did it get its address". Pure.</summary>
/// <param name="State">Where it stands.</param>
/// <param name="Summary">One sentence.</param>
/// <param name="Steps">Oldest first.</param>
/// <param name="Hints">What to look at, or to do, next.</param>
internal sealed record Explanation(PodState State, string Summary, IReadOnlyList<ExplainedStep> Steps, IReadOnlyList<string> Hints)
{
    public static Explanation Of(ExplainedFacts facts)
    {
        var steps = StoryOf(facts);
        var places = facts
            .Line.Select((place, index) => (Place: place, Ahead: index))
            .Where(item => facts.Memory is { } memory && PodOf(item.Place) == memory.Pod)
            .ToArray();
        if (places.Length > 0)
            return Waiting(facts, places[0].Place, places[0].Ahead, steps);
        if (facts.Attachments.Count > 0)
            return Holding(facts, steps);
        return facts.Memory?.Events.LastOrDefault(Decides) switch
        {
            PoolEvent.AddFailed failed => new Explanation(
                PodState.Failed,
                $"{facts.Name} failed {DurationText.Ago(facts.Now - failed.At)}: {failed.Reason}",
                steps,
                [.. History.Hints.OfFailure(failed), History.Hints.Retry]
            ),
            PoolEvent.MissedDelete missed => new Explanation(
                PodState.Gone,
                $"{facts.Name} holds nothing any more: DEL at {missed.AskedAt:HH:mm:ss}, while the daemon was away; "
                    + $"its address was given back {DurationText.Ago(facts.Now - missed.At)}",
                steps,
                []
            ),
            PoolEvent.Deleted or PoolEvent.LostDelete => new Explanation(
                PodState.Gone,
                $"{facts.Name} holds nothing any more: its address was given back "
                    + $"{DurationText.Ago(facts.Now - facts.Memory!.Events.Last(Decides).At)}",
                steps,
                []
            ),
            _ when facts.IsAmbiguous => new Explanation(
                PodState.Unknown,
                $"{facts.Namesakes.Count} pods are called {facts.Name}: name one with its namespace",
                steps,
                [History.Hints.Named(facts.Namesakes)]
            ),
            _ => new Explanation(
                PodState.Unknown,
                $"nobody asked this daemon for an address for {facts.Name} {Since(facts)}",
                steps,
                History.Hints.OfUnknown(facts)
            ),
        };
    }

    private static Explanation Holding(ExplainedFacts facts, IReadOnlyList<ExplainedStep> steps)
    {
        var held = string.Join(", ", facts.Attachments.SelectMany(attachment => attachment.Addresses).Select(PodTimeline.Place));
        var lost =
            facts.View.IsObserved
            && facts.Attachments.Any(attachment => !attachment.IsRecovered && attachment.Addresses.Any(address => address.Slot is null));
        var since = facts.Attachments.Min(attachment => attachment.AssignedAt);
        return new Explanation(
            lost ? PodState.Orphaned : PodState.Holding,
            $"{facts.Name} holds {held} since {since:yyyy-MM-dd HH:mm:ss}Z ({DurationText.Ago(facts.Now - since)})",
            steps,
            lost ? [global::VpcCni.Ipamd.History.Hints.Orphan] : []
        );
    }

    private static Explanation Waiting(ExplainedFacts facts, QueuedAdd place, int ahead, IReadOnlyList<ExplainedStep> steps)
    {
        var why =
            facts.StartObstacle is { } start ? $"the daemon is starting: {start}"
            : CooldownWait.EndFor(facts.View, ahead, place.Deadline, facts.Obstacle) is { } end
                ? $"{(facts.Obstacle is { } standing ? $"{standing.Detail}; " : "")}it gets the address that cools until {end:HH:mm:ss}Z"
            : facts.Obstacle?.Detail ?? "the pool is growing";
        return new Explanation(
            PodState.Waiting,
            $"{facts.Name} has waited for {DurationText.Of(facts.Now - place.Since)} {PodTimeline.Behind(ahead)} and gives up in "
                + $"{DurationText.Of(place.Deadline - facts.Now)}: {why}",
            steps,
            facts.Obstacle is { } known ? [global::VpcCni.Ipamd.History.Hints.Of(known.Kind)] : []
        );
    }

    private static List<ExplainedStep> StoryOf(ExplainedFacts facts)
    {
        List<ExplainedStep> steps = [];
        // What an earlier daemon did is known by its outcome only.
        foreach (var before in facts.Attachments.Where(attachment => attachment.AssignedAt < facts.Since))
            steps.Add(
                new ExplainedStep(
                    before.AssignedAt,
                    "answered",
                    $"{PodTimeline.Places(before)} was given to it by an earlier daemon, whose checkpoint says so"
                )
            );
        GrowthObstacleKind? told = null;
        foreach (var happened in facts.Memory?.Events ?? [])
        {
            // The same obstacle plan after plan is one step.
            var obstacle = (happened as PoolEvent.Planned)?.Plan.Obstacle?.Kind;
            if (obstacle is not null && obstacle == told)
                continue;
            told = obstacle ?? told;
            steps.AddRange(PodTimeline.Of(happened, facts.Cooldown));
        }

        return [.. steps.OrderBy(step => step.At)];
    }

    private static bool Decides(PoolEvent happened) =>
        happened
            is PoolEvent.AddFailed
                or PoolEvent.AddServed
                or PoolEvent.LostDelete
                or PoolEvent.MissedDelete
                or PoolEvent.Deleted { Released: not null };

    private static PodReference PodOf(QueuedAdd place) =>
        place.Pod.Name is { Length: > 0 } ? place.Pod : new PodReference("", place.Key.ContainerId);

    private static string Since(ExplainedFacts facts) =>
        $"since it started {DurationText.Ago(facts.Now - facts.Since)}, or it is longer ago than it remembers";
}
