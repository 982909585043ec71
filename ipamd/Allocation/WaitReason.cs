// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Allocation;

/// <summary>
/// What the ADDs that wait are waiting for: an obstacle that stands, a call that waits for this node's budget, or one that the cloud has
/// not answered. The error of an ADD, <c>ipamd status</c> and <c>ipamd explain</c> name the same.
/// </summary>
internal sealed class WaitReason(IpLedger ledger, PendingAddQueue waiting, ApiRateLimiter budget, TimeProvider time)
{
    /// <summary>Null when nothing is known to hold them up.</summary>
    public GrowthObstacle? Current()
    {
        var standing = waiting.Obstacle;
        // While calls are throttled no growth begins, whatever is under way.
        if (standing?.Kind == GrowthObstacleKind.Throttled)
            return standing;
        var running = ledger
            .OpenIntents()
            .Where(open => open.IsRunning)
            .Select(open => open.Intent)
            .Where(intent => intent is Intent.AssignBlocks or Intent.AddInterface { IsUndoing: false })
            .OrderBy(intent => intent.Since)
            .ToArray();
        if (running.Length == 0)
            return standing;
        if (budget.GrowthWait() is not { } wait || running.FirstOrDefault(intent => Needs(intent) == wait.Kind) is not { } held)
            return new GrowthObstacle(GrowthObstacleKind.CloudFailure, null, UnderWay(running[0]));
        var until = time.GetUtcNow() + wait.TokensIn;
        return new GrowthObstacle(GrowthObstacleKind.Throttled, until, $"to {held.Description} {wait.Sentence}") { IsLocalBudget = true };
    }

    private static CallKind Needs(Intent intent) => intent is Intent.AssignBlocks ? CallKind.Assign : CallKind.Mutate;

    private string UnderWay(Intent intent)
    {
        var stage = intent switch
        {
            Intent.AddInterface { AttachmentId: not null } => "the interface is attached and not wired yet",
            Intent.AddInterface { Created: not null } => "the cloud has not attached the interface yet",
            _ => "the cloud has not answered yet",
        };
        var lasts = time.GetUtcNow() - intent.Since;
        return $"{stage}: to {intent.Description} is in flight since {intent.Since:HH:mm:ss}Z ({lasts.TotalSeconds:0.0} s)";
    }
}
