// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>Result of one step.</summary>
/// <param name="Plan">The plan.</param>
/// <param name="Ledger">The ledger's state that it was made from.</param>
/// <param name="NextAt">When the next step is due without events.</param>
internal sealed record StepOutcome(PoolPlan Plan, LedgerView Ledger, DateTimeOffset NextAt);

/// <summary>The reconciler's collaborators besides the ledger.</summary>
internal sealed record ReconcilerParts(
    InterfaceSync Sync,
    InterfaceInventory Interfaces,
    KernelUsage Usage,
    ChangeExecution Changes,
    PendingAddQueue Waiting,
    GrowthBackoff Backoff,
    InterfacePlacement Placement,
    SecurityGroups Groups,
    SubnetSupply Supply,
    NodeConditions Conditions,
    PoolSignal Signal,
    PoolEvents Events
);

/// <summary>What the reconciler may change.</summary>
/// <param name="ProvisioningDisabled">Whether the cloud must not be changed.</param>
/// <param name="Access">Returns the permitted access to the control plane.</param>
/// <param name="ManagesUnschedulable">
/// AWS_MANAGE_ENIS_NON_SCHEDULABLE: whether the pool of an unschedulable node is kept like any other.
/// </param>
/// <param name="TargetChange">Whether the previous daemon run had other targets.</param>
internal sealed record ReconcilerRules(
    bool ProvisioningDisabled,
    Func<CloudAccess> Access,
    bool ManagesUnschedulable,
    TargetChange TargetChange
);

/// <summary>
/// Plans, and starts the plan's changes. A step never waits: changes run on their own, each raises the signal when it ends, and the next
/// plan counts those in flight. Keeps the little state between steps: time of the last release, backoff, and when to resume changes with an
/// unknown outcome.
/// </summary>
internal sealed partial class PoolReconciler(
    IpLedger ledger,
    ReconcilerParts parts,
    PoolTargets targets,
    PoolCapacity capacity,
    ReconcilerRules rules,
    TimeProvider time,
    ILogger<PoolReconciler> logger
)
{
    private volatile PoolSize _size = new(targets, capacity);

    private sealed record PoolSize(PoolTargets Targets, PoolCapacity Capacity);

    private static readonly GrowthObstacle Disabled = new(
        GrowthObstacleKind.ProvisioningDisabled,
        null,
        "DISABLE_NETWORK_RESOURCE_PROVISIONING or ENABLE_IMDS_ONLY_MODE is true, so this daemon changes nothing in the cloud"
    );

    private static readonly GrowthObstacle NoCalls = new(
        GrowthObstacleKind.ProvisioningDisabled,
        null,
        $"{CloudAccessText.Option} is {CloudAccessText.Of(CloudAccess.NoCalls)}, so the cloud is not called; `ipamd access full` ends that"
    );

    private readonly Lock _lock = new();
    private readonly List<Task> _running = [];
    private readonly Dictionary<long, (DateTimeOffset At, int Times)> _resume = [];
    private DateTimeOffset _mayReleaseAt = time.GetUtcNow() + PoolLimits.ReleaseInterval;
    private DateTimeOffset _lastNeededAt = time.GetUtcNow();
    private DateTimeOffset? _shortageSince;
    private DateTimeOffset? _observedAt;
    private int _failedReleases;

    /// <summary>The last plan; null before the first step.</summary>
    public PoolPlan? LastPlan { get; private set; }

    public InterfaceSync Sync => parts.Sync;

    /// <summary>What the node can carry, with what the cluster has reported until now.</summary>
    public PoolCapacity Capacity
    {
        get
        {
            var known = _size.Capacity;
            return known with { Pods = known.Pods with { Cluster = parts.Conditions.MaxPods } };
        }
    }

    public PoolTargets Targets => _size.Targets;

    /// <summary>Obstacle while the instance type's limits are unknown; null when they are known.</summary>
    public GrowthObstacle? LimitsUnknown { get; set; }

    /// <summary>Sets the limits of the instance type, learned after the start.</summary>
    public void SetLimits(PoolTargets targets, PoolCapacity capacity)
    {
        _size = new PoolSize(targets, capacity);
        LimitsUnknown = null;
        parts.Signal.Raise();
    }

    /// <summary>Whether the cloud may be changed: it is permitted, and the attached interfaces are known.</summary>
    private bool MayChange => !rules.ProvisioningDisabled && rules.Access() != CloudAccess.NoCalls && parts.Sync.NotObserved is null;

    /// <summary>All obstacles to growth now, whether growth is needed or not.</summary>
    public GrowthObstacles Obstacles =>
        rules.ProvisioningDisabled ? GrowthObstacles.None with { Everything = Disabled }
        : rules.Access() == CloudAccess.NoCalls ? GrowthObstacles.None with { Everything = NoCalls }
        : (parts.Sync.NotObserved ?? LimitsUnknown) is { } obstacle ? GrowthObstacles.None with { Everything = obstacle }
        : parts.Backoff.View();

    /// <summary>Whether pods may use addresses of the primary interface; false with custom networking.</summary>
    public bool UsesPrimary => parts.Placement.UsesPrimary;

    /// <summary>Subnets for new interfaces, with their last described free addresses less later changes.</summary>
    public IReadOnlyList<SubnetCandidate> SubnetCandidates =>
        [.. parts.Placement.Candidates(parts.Interfaces.PrimaryGroups).Select(parts.Supply.Correct)];

    /// <summary>Completes when no change and no observation is in flight.</summary>
    public Task IdleAsync()
    {
        lock (_lock)
            return Task.WhenAll([.. _running, parts.Sync.IdleAsync(), parts.Groups.IdleAsync()]);
    }

    public StepOutcome Step(CancellationToken cancellationToken)
    {
        ThrowIfDefect();
        parts.Sync.StartDue(cancellationToken);
        var groupsAt = MayChange ? parts.Groups.StartDue(cancellationToken) : null;
        var checkAt = CheckCooling();
        var resumeAt = ResumeDue(cancellationToken);
        parts.Waiting.Serve();
        var snapshot = Snapshot();
        var plan = PoolPlanner.Plan(snapshot, Targets, time.GetUtcNow());
        // The description may be old, and other nodes release addresses, too: ADDs stay queued while it is refreshed.
        if (
            plan.Obstacle is { Kind: GrowthObstacleKind.SubnetExhausted or GrowthObstacleKind.NoSubnet } exhausted
            && parts.Sync.RequestSubnets(PoolLimits.SubnetBackoff)
        )
            plan = plan with { Obstacle = exhausted with { MayEndAnyMoment = true } };
        if (plan.Changes.Count > 0 || plan.Obstacle?.Kind != LastPlan?.Obstacle?.Kind)
            parts.Events.Publish(new PoolEvent.Planned(time.GetUtcNow(), plan));
        LastPlan = plan;
        _shortageSince = plan.Shortage > 0 ? _shortageSince ?? time.GetUtcNow() : null;
        if (IsSettled(snapshot, plan))
            rules.TargetChange.Close();
        if (!plan.HasSpareInterface)
            _lastNeededAt = time.GetUtcNow();
        parts.Waiting.FailUnservable(plan.Unservable, plan.Obstacle);
        // A sandbox whose DEL was lost may have the addresses that they need.
        if (plan.Obstacle is not null && snapshot.Waiting.Count > 0)
            parts.Sync.RequestKernelCheck();
        foreach (var change in plan.Changes)
            Start(RunAsync(change, cancellationToken));
        return new StepOutcome(plan, snapshot.Ledger, Earliest(parts.Sync.NextAt, checkAt, resumeAt, groupsAt, plan.ReplanAt));
    }

    private PoolSnapshot Snapshot()
    {
        var placementObstacle = parts.Placement.Obstacle;
        if (parts.Sync.NotObserved is null)
            _observedAt ??= time.GetUtcNow();
        return new PoolSnapshot
        {
            Ledger = ledger.View(time.GetUtcNow()),
            Waiting = parts.Waiting.Waiting(),
            Capacity = Capacity,
            Subnets = SubnetCandidates,
            PlacementObstacle = placementObstacle,
            Obstacles = Obstacles,
            Awaited = parts.Sync.Awaited.Addresses,
            IsUnschedulable = parts.Conditions.IsUnschedulable && !rules.ManagesUnschedulable,
            ReleaseObstacle = ReleaseObstacle(placementObstacle),
            TargetsChangedAt = rules.TargetChange.IsOpen ? _observedAt : null,
            MayReleaseAt = MayReleaseAt(),
            LastNeededAt = _lastNeededAt,
            ShortageSince = _shortageSince,
        };
    }

    /// <summary>
    /// Whether the surplus of earlier targets is gone and the plan was free to find one. Waits for the cooldowns of the start, whose
    /// addresses may be surplus, too.
    /// </summary>
    private bool IsSettled(PoolSnapshot snapshot, PoolPlan plan) =>
        plan is { SurplusReport: null, Shortage: <= 0 }
        && snapshot is { IsUnschedulable: false, ReleaseObstacle: null, Waiting.Count: 0 }
        && snapshot.Ledger.Intents.All(open => open.Intent.IsGrowth)
        && time.GetUtcNow() - _observedAt > ledger.Cooldown;

    /// <summary>
    /// Nothing is released while it could not be assigned again, except with every subnet tagged as not for pods, which cannot be assigned
    /// again anyway.
    /// </summary>
    private string? ReleaseObstacle(GrowthObstacle? placementObstacle)
    {
        if (rules.ProvisioningDisabled)
            return Disabled.Detail;
        var access = rules.Access();
        if (access != CloudAccess.Full)
            return $"{CloudAccessText.Option} is {CloudAccessText.Of(access)}, so nothing is released; `ipamd access full` ends that";
        return (
            parts.Sync.NotObserved
            ?? LimitsUnknown
            ?? (placementObstacle is { Kind: not GrowthObstacleKind.NoSubnet } ? placementObstacle : null)
        )?.Detail;
    }

    private async Task RunAsync(PoolChange change, CancellationToken cancellationToken)
    {
        ChangeFailure? failure = null;
        if (!change.IsGrowth)
            BlockReleases();
        try
        {
            failure = await parts.Changes.RunAsync(change, cancellationToken);
            Report(change.Description, failure);
            if (change.IsGrowth)
                RecordOutcome(change, failure);
            RequestResync(failure);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The daemon stops; the intent is durable, and the next run resumes it.
        }
        finally
        {
            if (!change.IsGrowth)
                ScheduleNextRelease(failed: failure is not (null or ChangeFailure.Superseded));
            parts.Waiting.Serve();
            parts.Signal.Raise();
        }
    }

    private void Report(string change, ChangeFailure? failure)
    {
        if (failure is ChangeFailure.Superseded)
            Log.Superseded(logger, change, failure.Reason);
        else if (failure is not null)
            Log.ChangeFailed(logger, change, failure.Cause);
    }

    /// <summary>Has the next plans take the outcome of growth into account.</summary>
    private void RecordOutcome(PoolChange change, ChangeFailure? failure)
    {
        var (subnet, blocks) = change.Match(
            assign => (assign.SubnetId, assign.Blocks),
            add => (add.SubnetId, Refused(add, failure)),
            release => ("", default),
            remove => ("", default)
        );
        if (failure is null)
            parts.Backoff.Succeeded(change.InterfaceId, subnet, blocks);
        else
            parts.Backoff.Failed(failure, change.InterfaceId, subnet, blocks, parts.Sync.RequestSubnetsNow);
    }

    /// <summary>
    /// The request of a new interface that failed. It is created with blocks of both families in dual stack, and the adapter says which the
    /// cloud refused.
    /// </summary>
    private static BlockRequest Refused(PoolChange.AddInterface add, ChangeFailure? failure) =>
        failure is ChangeFailure.Cloud { Exception.Family: { } family }
        && add.Blocks.FirstOrDefault(request => request.Shape.Family == family) is { Count: > 0 } refused
            ? refused
            : add.Blocks[0];

    /// <summary>Resumes idle changes. Returns when the next one is due.</summary>
    private DateTimeOffset? ResumeDue(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        DateTimeOffset? next = null;
        var open = ledger.OpenIntents();
        foreach (var closedIntent in _resume.Keys.Except(open.Select(item => item.Intent.Number)).ToArray())
            _resume.Remove(closedIntent);
        if (!MayChange)
            return null;
        foreach (var (intent, isRunning, unknownSince) in open)
        {
            if (isRunning || unknownSince is not { } since)
                continue;
            if (intent.Change is PoolChange.AssignBlocks)
            {
                // Not repeatable: an observation resolves it.
                parts.Sync.RequestAt(since + IpLedger.OutcomeWindow);
                continue;
            }

            // If the call is never answered, a late enough observation resolves it.
            if (!intent.IsGrowth && intent.Stage != IntentStage.Detached)
                parts.Sync.RequestAt(since + IpLedger.ConsistencyWindow);

            // Changes left by a restart are resumed at once.
            if (!_resume.TryGetValue(intent.Number, out var due))
                _resume[intent.Number] = due = (since, 0);
            if (due.At <= now)
            {
                _resume[intent.Number] = due = (now + PoolLimits.Resumes.Ceiling(due.Times + 1), due.Times + 1);
                Start(ResumeAsync(intent, cancellationToken));
            }

            if (next is null || due.At < next)
                next = due.At;
        }

        return next;
    }

    private async Task ResumeAsync(Intent intent, CancellationToken cancellationToken)
    {
        try
        {
            if (await parts.Changes.ResumeAsync(intent, cancellationToken) is not { } failure)
                return;
            Log.ResumeFailed(logger, intent.Description, failure.Cause);
            RequestResync(failure);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // See RunAsync.
        }
        finally
        {
            parts.Waiting.Serve();
            parts.Signal.Raise();
        }
    }

    /// <summary>
    /// Requests an observation after failures that show that the ledger may be outdated: refusals based on the cloud's state, and
    /// unanswered calls.
    /// </summary>
    private void RequestResync(ChangeFailure? failure)
    {
        if (
            failure?.CloudKind
            is CloudErrorKind.AddressLimit
                or CloudErrorKind.InterfaceLimit
                or CloudErrorKind.NotFound
                or CloudErrorKind.Conflict
                or CloudErrorKind.Transient
        )
            parts.Sync.RequestAt(time.GetUtcNow());
        if (failure?.CloudKind == CloudErrorKind.SubnetExhausted)
            parts.Sync.RequestSubnets(PoolLimits.SubnetInterval);
    }

    /// <summary>
    /// Checks that addresses about to leave cooldown are not routed to a pod, whatever the DEL left behind. Returns when the next check is
    /// due.
    /// </summary>
    private DateTimeOffset? CheckCooling()
    {
        var now = time.GetUtcNow();
        var ends = ledger.CooldownEnds(now);
        if (ends.Count == 0)
            return null;
        try
        {
            if (ends[0] - now <= PoolLimits.KernelCheckLead)
                parts.Usage.ReserveInUse();
        }
        catch (HostNetworkException exception)
        {
            // An address is not assigned while it is unknown whether it is in use.
            Log.KernelCheckFailed(logger, exception);
            ledger.ExtendCooldowns(now + PoolLimits.KernelCheckLead);
            return now + PoolLimits.KernelCheckRetry;
        }

        return ends.Select(end => end - PoolLimits.KernelCheckLead).FirstOrDefault(check => check > now) is var next && next == default
            ? null
            : next;
    }

    /// <summary>Prevents further releases while one is running.</summary>
    private void BlockReleases()
    {
        lock (_lock)
            _mayReleaseAt = time.GetUtcNow() + PoolLimits.ReleasePauses.Longest;
    }

    private void ScheduleNextRelease(bool failed)
    {
        lock (_lock)
        {
            _failedReleases = failed ? _failedReleases + 1 : 0;
            _mayReleaseAt = time.GetUtcNow() + PoolLimits.ReleasePauses.Ceiling(_failedReleases + 1);
        }
    }

    private DateTimeOffset MayReleaseAt()
    {
        lock (_lock)
            return _mayReleaseAt;
    }

    private void Start(Task task)
    {
        lock (_lock)
            _running.Add(task);
    }

    /// <summary>
    /// Rethrows the exception of a change: changes end with an outcome, so an exception is a defect, which the loop reports.
    /// </summary>
    private void ThrowIfDefect()
    {
        Task? defect;
        lock (_lock)
        {
            defect = _running.Find(task => task.IsFaulted);
            _running.RemoveAll(task => task == defect || (task.IsCompleted && !task.IsFaulted));
        }

        defect?.GetAwaiter().GetResult();
    }

    private static DateTimeOffset Earliest(DateTimeOffset first, params ReadOnlySpan<DateTimeOffset?> others)
    {
        foreach (var other in others)
        {
            if (other < first)
                first = other.Value;
        }

        return first;
    }

    private static partial class Log
    {
        [LoggerMessage(41, LogLevel.Warning, "a change of the pool failed; the next plan takes it into account")]
        public static partial void ChangeFailed(ILogger logger, string change, Exception? exception);

        [LoggerMessage(39, LogLevel.Information, "a change of the pool was dropped; the next plan decides again")]
        public static partial void Superseded(ILogger logger, string change, string reason);

        [LoggerMessage(42, LogLevel.Warning, "the kernel's routes could not be read: addresses in use are checked again later")]
        public static partial void KernelCheckFailed(ILogger logger, Exception exception);

        [LoggerMessage(43, LogLevel.Warning, "a change with an unknown outcome could not be completed: retried later")]
        public static partial void ResumeFailed(ILogger logger, string change, Exception? exception);
    }
}
