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

/// <summary>What one step left behind, and when time alone asks for the next one.</summary>
/// <param name="Plan">What was decided.</param>
/// <param name="Ledger">What it was decided on.</param>
/// <param name="NextAt">When the next step is due, events aside.</param>
internal sealed record StepOutcome(PoolPlan Plan, LedgerView Ledger, DateTimeOffset NextAt);

/// <summary>What the reconciler is made of besides the ledger.</summary>
internal sealed record ReconcilerParts(
    InterfaceSync Membership,
    KernelUsage Evidence,
    PoolActions Actions,
    PendingAddQueue Waiting,
    GrowthBackoff Backoff,
    InterfacePlacement Placement,
    SecurityGroups Groups,
    NodeConditions Conditions,
    PoolSignal Signal
)
{
    /// <summary>What the subnets have left.</summary>
    public required SubnetSupply Supply { get; init; }
}

/// <summary>What it may do.</summary>
/// <param name="ProvisioningDisabled">Nothing is changed in the cloud.</param>
/// <param name="Access">How much of the control plane may be used now.</param>
/// <param name="ManagesUnschedulable">
/// AWS_MANAGE_ENIS_NON_SCHEDULABLE: the pool is kept on a node that takes no new pods as on any other.
/// </param>
/// <param name="TargetChange">Whether the daemon before this one had other targets.</param>
internal sealed record ReconcilerRules(
    bool ProvisioningDisabled,
    Func<CloudAccess> Access,
    bool ManagesUnschedulable,
    TargetChange TargetChange
);

/// <summary>
/// Plans, and starts what the plan says. A step never waits: changes run on their own, each raises the signal when it ends, and the next
/// plan sees what is under way. Holds the little state that lies between steps: when something was last given back, what the cloud refused,
/// when a change in doubt is gone on with.
/// </summary>
internal sealed partial class PoolReconciler(
    IpLedger ledger,
    ReconcilerParts parts,
    PoolTargets targets,
    PoolCapacity capacity,
    ReconcilerRules rules,
    TimeProvider time
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
    private readonly Dictionary<long, (DateTimeOffset At, TimeSpan Pause)> _resume = [];
    private DateTimeOffset _mayReleaseAt = time.GetUtcNow() + PoolLimits.ReleaseInterval;
    private DateTimeOffset _neededAt = time.GetUtcNow();
    private DateTimeOffset? _shortSince;
    private DateTimeOffset? _observedAt;
    private int _failedReleases;

    /// <summary>Told of every plan that does something.</summary>
    public PoolEvents Events { get; init; } = new();

    public required ILogger<PoolReconciler> Logger { get; init; }

    /// <summary>The last plan; null before the first step.</summary>
    public PoolPlan? LastPlan { get; private set; }

    public InterfaceSync Membership => parts.Membership;

    /// <summary>With what the cluster says of the node, where it says something.</summary>
    public PoolCapacity Capacity =>
        _size is var (targets, capacity) && targets.MaxPods is null && parts.Conditions.MaxPods is { } pods
            ? capacity with
            {
                MaxPods = pods,
            }
            : _size.Capacity;
    public PoolTargets Targets => _size.Targets;

    /// <summary>Why nothing may be added: the limits of the instance type are not known. Null when they are.</summary>
    public GrowthObstacle? LimitsUnknown { get; set; }

    /// <summary>The limits of the instance type have been learned after the start.</summary>
    public void LimitsLearned(PoolTargets targets, PoolCapacity capacity)
    {
        _size = new PoolSize(targets, capacity);
        LimitsUnknown = null;
        parts.Signal.Raise();
    }

    /// <summary>Changes may be made in the cloud: nothing forbids it, and what is attached is known.</summary>
    private bool MayChange => !rules.ProvisioningDisabled && rules.Access() != CloudAccess.NoCalls && parts.Membership.NotObserved is null;

    /// <summary>All that stands against growth now, whether anything has to grow or not.</summary>
    public GrowthObstacles Obstacles =>
        rules.ProvisioningDisabled ? GrowthObstacles.None with { Everything = Disabled }
        : rules.Access() == CloudAccess.NoCalls ? GrowthObstacles.None with { Everything = NoCalls }
        : (parts.Membership.NotObserved ?? LimitsUnknown) is { } obstacle ? GrowthObstacles.None with { Everything = obstacle }
        : parts.Backoff.View();

    /// <summary>Pods may have addresses of the primary interface; false under custom networking.</summary>
    public bool UsesPrimary => parts.Placement.UsesPrimary;

    /// <summary>Subnets that a new interface may be created in, with what is left of what was described last.</summary>
    public IReadOnlyList<SubnetCandidate> SubnetCandidates => [.. parts.Placement.Candidates().Select(parts.Supply.Correct)];

    /// <summary>Completed when no change and no observation is under way.</summary>
    public Task IdleAsync()
    {
        lock (_lock)
            return Task.WhenAll([.. _running, parts.Membership.IdleAsync(), parts.Groups.IdleAsync()]);
    }

    public StepOutcome Step(CancellationToken cancellationToken)
    {
        ThrowIfDefect();
        parts.Membership.StartDue(cancellationToken);
        var groupsAt = MayChange ? parts.Groups.StartDue(cancellationToken) : null;
        var checkAt = CheckCooling();
        var resumeAt = ResumeDue(cancellationToken);
        parts.Waiting.Serve();
        var snapshot = Snapshot();
        var plan = PoolPlanner.Plan(snapshot, Targets, time.GetUtcNow());
        // The description may be old, and others give addresses back, too: whoever waits goes on waiting while it is renewed.
        if (
            plan.Obstacle is { Kind: GrowthObstacleKind.SubnetExhausted or GrowthObstacleKind.NoSubnet } exhausted
            && parts.Membership.RequestSubnets(PoolLimits.SubnetBackoff)
        )
            plan = plan with { Obstacle = exhausted with { MayEndAnyMoment = true } };
        if (plan.Actions.Count > 0 || plan.Obstacle?.Kind != LastPlan?.Obstacle?.Kind)
            Events.Publish(new PoolEvent.Planned(time.GetUtcNow(), plan));
        LastPlan = plan;
        _shortSince = plan.Shortage > 0 ? _shortSince ?? time.GetUtcNow() : null;
        if (IsSettled(snapshot, plan))
            rules.TargetChange.Close();
        if (!plan.HasSpareInterface)
            _neededAt = time.GetUtcNow();
        parts.Waiting.FailUnservable(plan.Unservable, plan.Obstacle);
        // A sandbox whose DEL never came may hold what they wait for.
        if (plan.Obstacle is not null && snapshot.Waiting.Count > 0)
            parts.Membership.RequestKernelLook();
        foreach (var action in plan.Actions)
            Start(RunAsync(action, cancellationToken));
        return new StepOutcome(plan, snapshot.Ledger, Earliest(parts.Membership.NextAt, checkAt, resumeAt, groupsAt, plan.ReplanAt));
    }

    private PoolSnapshot Snapshot()
    {
        var noPlace = parts.Placement.Obstacle;
        if (parts.Membership.NotObserved is null)
            _observedAt ??= time.GetUtcNow();
        return new PoolSnapshot
        {
            Ledger = ledger.View(time.GetUtcNow()),
            Waiting = parts.Waiting.Waiting(),
            Capacity = Capacity,
            Subnets = SubnetCandidates,
            NoPlace = noPlace,
            Obstacles = Obstacles,
            Awaited = parts.Membership.Awaited.Addresses,
            IsUnschedulable = parts.Conditions.IsUnschedulable && !rules.ManagesUnschedulable,
            ReleaseObstacle = ReleaseObstacle(noPlace),
            TargetsChangedAt = rules.TargetChange.IsOpen ? _observedAt : null,
            MayReleaseAt = MayReleaseAt(),
            LastNeededAt = _neededAt,
            ShortSince = _shortSince,
        };
    }

    /// <summary>
    /// Nothing is left that the targets do not ask for, and the plan was free to find it. What cooled at the start may be a surplus, too.
    /// </summary>
    private bool IsSettled(PoolSnapshot snapshot, PoolPlan plan) =>
        plan is { SurplusReport: null, Shortage: <= 0 }
        && snapshot is { IsUnschedulable: false, ReleaseObstacle: null, Waiting.Count: 0 }
        && snapshot.Ledger.Intents.All(open => open.Intent.IsGrowth)
        && time.GetUtcNow() - _observedAt > ledger.Cooldown;

    /// <summary>
    /// What could not be had again is kept; but of a subnet that somebody tagged as not for pods nothing is to be had again.
    /// </summary>
    private string? ReleaseObstacle(GrowthObstacle? noPlace)
    {
        if (rules.ProvisioningDisabled)
            return Disabled.Detail;
        var access = rules.Access();
        if (access != CloudAccess.Full)
            return $"{CloudAccessText.Option} is {CloudAccessText.Of(access)}, so nothing is released; `ipamd access full` ends that";
        return (
            parts.Membership.NotObserved ?? LimitsUnknown ?? (noPlace is { Kind: not GrowthObstacleKind.NoSubnet } ? noPlace : null)
        )?.Detail;
    }

    private async Task RunAsync(PoolAction action, CancellationToken cancellationToken)
    {
        var (target, subnet, blocks) = action switch
        {
            PoolAction.AssignBlocks assign => (assign.Interface, assign.SubnetId, assign.Blocks),
            PoolAction.AddInterface add => (null, add.SubnetId, add.Blocks),
            _ => ((NetworkInterfaceId?)null, "", default(BlockRequest)),
        };
        var grows = blocks.Count > 0;
        var failed = false;
        if (!grows)
            HoldReleases();
        try
        {
            await parts.Actions.RunAsync(action, cancellationToken);
            if (grows)
                parts.Backoff.Succeeded(target, subnet, blocks);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The daemon stops; the intent is durable, and the next one goes on with it.
        }
        catch (Exception exception) when (exception is CloudException or HostNetworkException)
        {
            var failure =
                exception as CloudException
                ?? new CloudException(
                    CloudErrorKind.Unknown,
                    "EnsureInterface",
                    "HostNetwork",
                    exception.Message,
                    innerException: exception
                );
            Log.ActionFailed(Logger, action.Description, failure);
            failed = true;
            if (grows)
                parts.Backoff.Failed(failure, target, subnet, blocks, parts.Membership.RequestSubnetsNow);
            RequestResync(failure);
        }
        finally
        {
            if (!grows)
                ReleasedNow(failed);
            parts.Waiting.Serve();
            parts.Signal.Raise();
        }
    }

    /// <summary>Goes on with changes that nobody carries out. Returns when the next one is due.</summary>
    private DateTimeOffset? ResumeDue(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        DateTimeOffset? next = null;
        var open = ledger.OpenIntents();
        foreach (var closed in _resume.Keys.Except(open.Select(item => item.Intent.Number)).ToArray())
            _resume.Remove(closed);
        if (!MayChange)
            return null;
        foreach (var (intent, isRunning, doubtSince) in open)
        {
            if (isRunning || doubtSince is not { } since)
                continue;
            if (intent is Intent.AssignBlocks)
            {
                // Not repeatable: the truth decides.
                parts.Membership.RequestAt(since + IpLedger.DoubtWindow);
                continue;
            }

            // Should it never be answered, an observation that is late enough decides.
            if (intent is Intent.ReleaseBlocks or Intent.RemoveInterface { IsDetached: false })
                parts.Membership.RequestAt(since + IpLedger.ConsistencyWindow);

            // What a restart left is gone on with at once.
            if (!_resume.TryGetValue(intent.Number, out var due))
                _resume[intent.Number] = due = (since, PoolLimits.FirstResume);
            if (due.At <= now)
            {
                var pause = due.Pause * 2 < PoolLimits.LongestResume ? due.Pause * 2 : PoolLimits.LongestResume;
                _resume[intent.Number] = due = (now + due.Pause, pause);
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
            await parts.Actions.ResumeAsync(intent, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // As above.
        }
        catch (Exception exception) when (exception is CloudException or HostNetworkException)
        {
            Log.ResumeFailed(Logger, intent.Description, exception);
            if (exception is CloudException failure)
                RequestResync(failure);
        }
        finally
        {
            parts.Waiting.Serve();
            parts.Signal.Raise();
        }
    }

    /// <summary>
    /// What the cloud refused on the ground of its own state, or may have done without saying so, shows that ours is out of date.
    /// </summary>
    private void RequestResync(CloudException failure)
    {
        if (
            failure.Kind
            is CloudErrorKind.AddressLimit
                or CloudErrorKind.InterfaceLimit
                or CloudErrorKind.NotFound
                or CloudErrorKind.Conflict
                or CloudErrorKind.Transient
        )
            parts.Membership.RequestAt(time.GetUtcNow());
        if (failure.Kind == CloudErrorKind.SubnetExhausted)
            parts.Membership.RequestSubnets(PoolLimits.SubnetInterval);
    }

    /// <summary>
    /// An address that is about to leave cooldown must not be routed to a pod any more, whatever the DEL that released it managed to tear
    /// down. Returns when the next one is to be checked.
    /// </summary>
    private DateTimeOffset? CheckCooling()
    {
        var now = time.GetUtcNow();
        var ends = ledger.CooldownEnds(now);
        if (ends.Count == 0)
            return null;
        try
        {
            if (ends[0] - now <= PoolLimits.EvidenceLead)
                parts.Evidence.ReserveInUse();
        }
        catch (HostNetworkException exception)
        {
            // Nobody gets an address of which nobody knows whether it is still in use.
            Log.KernelNotAsked(Logger, exception);
            ledger.ProlongCooling(now + PoolLimits.EvidenceLead);
            return now + PoolLimits.EvidenceRetry;
        }

        return ends.Select(end => end - PoolLimits.EvidenceLead).FirstOrDefault(check => check > now) is var next && next == default
            ? null
            : next;
    }

    /// <summary>None is begun while one is under way.</summary>
    private void HoldReleases()
    {
        lock (_lock)
            _mayReleaseAt = time.GetUtcNow() + PoolLimits.LongestReleasePause;
    }

    private void ReleasedNow(bool failed)
    {
        lock (_lock)
        {
            _failedReleases = failed ? _failedReleases + 1 : 0;
            var pause = PoolLimits.ReleaseInterval * Math.Pow(2, Math.Min(_failedReleases, 10));
            _mayReleaseAt = time.GetUtcNow() + (pause < PoolLimits.LongestReleasePause ? pause : PoolLimits.LongestReleasePause);
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

    /// <summary>Changes end with an outcome; one that ends with an exception is a defect, and the loop reports it.</summary>
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
        [LoggerMessage(41, LogLevel.Warning, "a change of the pool failed; it is planned anew")]
        public static partial void ActionFailed(ILogger logger, string action, Exception exception);

        [LoggerMessage(42, LogLevel.Warning, "the kernel's routes could not be read: what it shows in use is checked again later")]
        public static partial void KernelNotAsked(ILogger logger, Exception exception);

        [LoggerMessage(43, LogLevel.Warning, "a change in doubt could not be finished: tried again later")]
        public static partial void ResumeFailed(ILogger logger, string change, Exception exception);
    }
}
