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
    RecoveredAddresses recovered,
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
        PoolPlan plan;
        var round = 0;
        do
        {
            waiting.Serve();
            plan = PoolPlanner.Plan(Snapshot(), targets, time.GetUtcNow());
            LastPlan = plan;
            if (plan.Hopeless > 0) waiting.GiveUp(plan.Hopeless, plan.Obstacle ?? throw new InvalidOperationException("hopeless without an obstacle"));
        }
        while (plan.Actions.Count > 0 && await ActAsync(plan.Actions, cancellationToken) && ++round < PoolLimits.MaxPlansPerStep);

        var next = _resyncAt;
        if (plan.ReplanAt is { } replanAt && replanAt < next) next = replanAt;
        // The plan was made before its actions failed; the pause that they earned ends earlier than anything it knew of.
        if (plan.Short > 0 && backoff.Current?.Until is { } until && until < next) next = until;
        if (round == PoolLimits.MaxPlansPerStep) next = time.GetUtcNow();
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
            recovered.Release();
        }
        catch (CloudException exception)
        {
            // Serving goes on from what is known; the age of the last observation is visible to the operator.
            _resyncAt = NextResync();
            Log.ObserveFailed(Logger, exception.Kind, exception);
        }
    }

    private PoolSnapshot Snapshot() => new()
    {
        Ledger = ledger.View(time.GetUtcNow()),
        Waiting = waiting.Demand,
        Capacity = capacity,
        Obstacle = provisioningDisabled ? Disabled : backoff.Current,
        LastReleaseAt = _lastReleaseAt,
    };

    /// <summary>Runs the plan's actions side by side. True when all succeeded, so that planning again makes sense at once.</summary>
    private async Task<bool> ActAsync(IReadOnlyList<PoolAction> planned, CancellationToken cancellationToken)
    {
        var failures = await Task.WhenAll(planned.Select(action => TryAsync(action, cancellationToken)));
        if (planned.Any(action => action is PoolAction.ReleaseBlocks or PoolAction.RemoveInterface)) _lastReleaseAt = time.GetUtcNow();
        var succeeded = true;
        for (var index = 0; index < planned.Count; index++)
        {
            if (failures[index] is not { } failure) continue;
            succeeded = false;
            backoff.Failed(failure);
            // What the cloud refused on the ground of its own state, or may have done without saying so, shows that ours is out of date.
            if (failure.Kind is CloudErrorKind.AddressLimit or CloudErrorKind.InterfaceLimit or CloudErrorKind.NotFound or CloudErrorKind.Conflict or CloudErrorKind.Transient) _resyncAt = time.GetUtcNow();
            Log.ActionFailed(Logger, planned[index], failure.Kind, backoff.Last?.Until, failure);
        }

        if (succeeded && planned.Any(action => action is PoolAction.AssignBlocks or PoolAction.AddInterface)) backoff.Succeeded();
        return succeeded;
    }

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

        [LoggerMessage(41, LogLevel.Warning, "{Action} failed ({Kind}); not tried again before {Until:O}")]
        public static partial void ActionFailed(ILogger logger, PoolAction action, CloudErrorKind kind, DateTimeOffset? until, Exception exception);
    }
}
