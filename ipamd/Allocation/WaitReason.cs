// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Allocation;

/// <summary>
/// What pending ADDs wait for: an obstacle, a call delayed by this node's budget, or a call that the cloud has not answered. The error of
/// an ADD, <c>ipamd status</c> and <c>ipamd explain</c> report the same reason.
/// </summary>
internal sealed class WaitReason(IpLedger ledger, PendingAddQueue pending, ApiRateLimiter budget, TimeProvider time)
{
    /// <summary>Returns the current reason; null when none is known.</summary>
    public GrowthObstacle? Current()
    {
        var obstacle = pending.Obstacle;
        // While calls are throttled no growth starts, whatever is in flight.
        if (obstacle?.Kind == GrowthObstacleKind.Throttled)
            return obstacle;
        var running = ledger
            .OpenIntents()
            .Where(open => open.IsRunning)
            .Select(open => open.Intent)
            .Where(intent => intent.IsAdding)
            .OrderBy(intent => intent.Since)
            .ToArray();
        if (running.Length == 0)
            return obstacle;
        if (budget.GrowthWait() is not { } wait || running.FirstOrDefault(intent => KindOf(intent) == wait.Kind) is not { } delayed)
            return new GrowthObstacle(GrowthObstacleKind.CloudFailure, null, InFlight(running[0]));
        var until = time.GetUtcNow() + wait.TokensIn;
        return new GrowthObstacle(GrowthObstacleKind.Throttled, until, $"to {delayed.Description} {wait.Sentence}")
        {
            IsLocalBudget = true,
        };
    }

    private static CallKind KindOf(Intent intent) => intent.Change is PoolChange.AssignBlocks ? CallKind.Assign : CallKind.Mutate;

    private string InFlight(Intent intent)
    {
        var stage = intent.Stage switch
        {
            IntentStage.Attached => "the interface is attached and its link is not configured yet",
            IntentStage.Created => "the cloud has not attached the interface yet",
            _ => "the cloud has not answered yet",
        };
        var elapsed = time.GetUtcNow() - intent.Since;
        return $"{stage}: to {intent.Description} is in flight since {intent.Since:HH:mm:ss}Z ({elapsed.TotalSeconds:0.0} s)";
    }
}
