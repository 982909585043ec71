// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>What one step left behind, and when time alone asks for the next one.</summary>
internal sealed record StepOutcome(PoolPlan Plan, DateTimeOffset NextAt);

/// <summary>
/// Observe, plan, act: one step at a time, never two at once. Holds the little state that lies between steps: when it last observed, when it last gave something back,
/// and what the cloud refused.
/// </summary>
internal sealed partial class PoolReconciler(
    IpLedger ledger,
    NodeInterfaces interfaces,
    KernelEvidence evidence,
    PoolActions actions,
    WaitingAdds waiting,
    GrowthBackoff backoff,
    PoolTargets targets,
    PoolCapacity capacity,
    bool provisioningDisabled,
    TimeProvider time,
    Random random)
{
    private static readonly GrowthObstacle Disabled = new(
        GrowthObstacleKind.ProvisioningDisabled, null, "DISABLE_NETWORK_RESOURCE_PROVISIONING is true, so this daemon changes nothing in the cloud");

    private DateTimeOffset _resyncAt = time.GetUtcNow();
    private DateTimeOffset _lastReleaseAt = time.GetUtcNow();

    public required ILogger<PoolReconciler> Logger { get; init; }

    /// <summary>The last plan; null before the first step.</summary>
    public PoolPlan? LastPlan { get; private set; }

    /// <summary>When the cloud was last observed with success.</summary>
    public DateTimeOffset? LastObservedAt { get; private set; }

    public PoolCapacity Capacity => capacity;
    public PoolTargets Targets => targets;

    public async Task<StepOutcome> StepAsync(CancellationToken cancellationToken)
    {
        if (time.GetUtcNow() >= _resyncAt) await ResyncAsync(cancellationToken);
        var checkAt = CheckCooling();
        PoolPlan plan;
        var round = 0;
        while (true)
        {
            waiting.Serve();
            plan = PoolPlanner.Plan(Snapshot(), targets, time.GetUtcNow());
            LastPlan = plan;
            if (plan.Hopeless > 0) waiting.GiveUp(plan.Hopeless, plan.Obstacle ?? throw new InvalidOperationException("hopeless without an obstacle"));
            if (plan.Actions.Count == 0 || round++ == PoolLimits.MaxPlansPerStep) break;
            // Also after a failure: it became an obstacle, which the next plan tells to those whom it dooms, or a pause between releases.
            await ActAsync(plan.Actions, cancellationToken);
        }

        var next = checkAt is { } check && check < _resyncAt ? check : _resyncAt;
        if (plan.ReplanAt is { } replanAt && replanAt < next) next = replanAt;
        if (round > PoolLimits.MaxPlansPerStep) next = time.GetUtcNow();
        return new StepOutcome(plan, next);
    }

    /// <summary>The start's observation has just been made.</summary>
    public void ObservedNow()
    {
        LastObservedAt = time.GetUtcNow();
        _resyncAt = NextResync();
    }

    private async Task ResyncAsync(CancellationToken cancellationToken)
    {
        try
        {
            await interfaces.ObserveAsync(cancellationToken);
            ObservedNow();
            evidence.HoldRouted();
            evidence.ReleaseUnused();
        }
        catch (CloudException exception)
        {
            // Serving goes on from what is known; the age of the last observation is visible to the operator.
            _resyncAt = NextResync();
            Log.ObserveFailed(Logger, exception.Kind, exception);
        }
        catch (HostNetworkException exception)
        {
            _resyncAt = NextResync();
            Log.KernelNotAsked(Logger, exception);
        }
    }

    /// <summary>
    /// An address that is about to leave cooldown must not be routed to a pod any more, whatever the DEL that released it managed to tear down. Returns when the next one is to be checked.
    /// </summary>
    private DateTimeOffset? CheckCooling()
    {
        var now = time.GetUtcNow();
        var ends = ledger.View(now).CooldownEnds;
        if (ends.Count == 0) return null;
        try
        {
            if (ends[0] - now <= PoolLimits.EvidenceLead) evidence.HoldRouted();
        }
        catch (HostNetworkException exception)
        {
            Log.KernelNotAsked(Logger, exception);
        }

        return ends.Select(end => end - PoolLimits.EvidenceLead).FirstOrDefault(check => check > now) is var next && next == default ? null : next;
    }

    private PoolSnapshot Snapshot() => new()
    {
        Ledger = ledger.View(time.GetUtcNow()),
        Waiting = waiting.Demand,
        Capacity = capacity,
        Obstacle = provisioningDisabled ? Disabled : backoff.Current,
        LastReleaseAt = _lastReleaseAt,
    };

    /// <summary>Runs the plan's actions side by side. Failures of growth stop growth for a while; a release that failed is tried again after the usual interval.</summary>
    private async Task ActAsync(IReadOnlyList<PoolAction> planned, CancellationToken cancellationToken)
    {
        var failures = await Task.WhenAll(planned.Select(action => TryAsync(action, cancellationToken)));
        if (!planned.All(IsGrowth)) _lastReleaseAt = time.GetUtcNow();
        List<CloudException> growthFailures = [];
        for (var index = 0; index < planned.Count; index++)
        {
            if (failures[index] is not { } failure) continue;
            if (IsGrowth(planned[index])) growthFailures.Add(failure);
            // What the cloud refused on the ground of its own state, or may have done without saying so, shows that ours is out of date.
            if (failure.Kind is CloudErrorKind.AddressLimit or CloudErrorKind.InterfaceLimit or CloudErrorKind.NotFound or CloudErrorKind.Conflict or CloudErrorKind.Transient) _resyncAt = time.GetUtcNow();
            Log.ActionFailed(Logger, planned[index], failure.Kind, failure);
        }

        if (growthFailures.Count > 0) backoff.Failed(growthFailures);
        else if (planned.Any(IsGrowth)) backoff.Succeeded();
    }

    private static bool IsGrowth(PoolAction action) => action is PoolAction.AssignBlocks or PoolAction.AddInterface;

    private async Task<CloudException?> TryAsync(PoolAction action, CancellationToken cancellationToken)
    {
        try
        {
            await actions.RunAsync(action, cancellationToken);
            // At once, not after the slowest action of the plan.
            waiting.Serve();
            return null;
        }
        catch (CloudException exception)
        {
            return exception;
        }
        catch (HostNetworkException exception)
        {
            return new CloudException(CloudErrorKind.Unknown, "EnsureInterface", "HostNetwork", exception.Message, innerException: exception);
        }
    }

    /// <summary>A tenth earlier or later, so that the nodes of a cluster do not ask at the same moment.</summary>
    private DateTimeOffset NextResync() => time.GetUtcNow() + (PoolLimits.ResyncInterval * (0.9 + (random.NextDouble() * 0.2)));

    private static partial class Log
    {
        [LoggerMessage(40, LogLevel.Warning, "the cloud could not be observed ({Kind}); serving goes on from what is known")]
        public static partial void ObserveFailed(ILogger logger, CloudErrorKind kind, Exception exception);

        [LoggerMessage(42, LogLevel.Warning, "the kernel's routes could not be read; what it shows in use is checked again later")]
        public static partial void KernelNotAsked(ILogger logger, Exception exception);

        [LoggerMessage(41, LogLevel.Warning, "{Action} failed ({Kind})")]
        public static partial void ActionFailed(ILogger logger, PoolAction action, CloudErrorKind kind, Exception exception);
    }
}
