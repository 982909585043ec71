// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.History;

/// <summary>Converts events of the pool to steps of a pod's timeline.</summary>
internal static class PodTimeline
{
    public static IEnumerable<ExplainedStep> Of(PoolEvent poolEvent, TimeSpan cooldown)
    {
        var at = poolEvent.At;
        switch (poolEvent)
        {
            case PoolEvent.AddQueued waits:
                yield return new ExplainedStep(
                    at,
                    "waits",
                    $"ADD (sandbox {Short(waits.Key)}): no address was free; {QueuePosition(waits.Ahead)}, until "
                        + $"{waits.Deadline:HH:mm:ss} at most"
                );
                break;
            case PoolEvent.AddServed { IsNew: false } served:
                yield return new ExplainedStep(
                    at,
                    "answered",
                    $"repeated ADD (sandbox {Short(served.Attachment.Key)}): replied with the pod's address "
                        + $"{AddressesOf(served.Attachment)}"
                );
                break;
            case PoolEvent.AddServed served:
                if (served.Waited == TimeSpan.Zero)
                    yield return new ExplainedStep(at - served.Took, "asked", $"ADD (sandbox {Short(served.Attachment.Key)})");
                var how = served.Waited > TimeSpan.Zero ? $"became free after {DurationText.Of(served.Waited)} in the queue" : "was free";
                var before = served.ReusedAfter is { } reused ? $"; its last pod released it {DurationText.Of(reused)} before" : "";
                yield return new ExplainedStep(at - served.Durable, "chosen", $"{AddressesOf(served.Attachment)} {how}{before}");
                yield return new ExplainedStep(
                    at,
                    "answered",
                    $"on disk after {DurationText.Of(served.Durable)}; replied {DurationText.Of(served.Took)} after the request"
                );
                break;
            case PoolEvent.AddFailed failed:
                yield return new ExplainedStep(
                    at,
                    "failed",
                    $"failed {DurationText.Of(failed.Took)} after the request (sandbox {Short(failed.Key)}): " + $"{failed.Reason}"
                );
                break;
            case PoolEvent.Planned { Plan.Obstacle: { } obstacle }:
                yield return new ExplainedStep(
                    at,
                    "obstacle",
                    $"the pool cannot grow: {obstacle.Detail}{(obstacle.Until is { } until ? $"; retry at {until:HH:mm:ss}" : "")}"
                );
                break;
            case PoolEvent.ChangeBegan began:
                yield return new ExplainedStep(at, "growth", $"{(began.IsRepeated ? "retried" : "started")}: {began.Intent.Description}");
                break;
            case PoolEvent.ChangeAdvanced advanced:
                yield return new ExplainedStep(at, "growth", Stage(advanced.Intent));
                break;
            case PoolEvent.ChangeEnded { Failure: null } ended:
                yield return new ExplainedStep(at, "growth", $"done in {DurationText.Of(ended.Took)}: {ended.Intent.Description}");
                break;
            case PoolEvent.ChangeEnded { Failure: { } failure } ended:
                yield return new ExplainedStep(
                    at,
                    "growth",
                    $"failed after {DurationText.Of(ended.Took)}: {ended.Intent.Description}: {failure.Reason}"
                );
                break;
            case PoolEvent.Checked held:
                yield return new ExplainedStep(
                    at,
                    "checked",
                    held.Attachment is null ? "CHECK: no address" : $"CHECK: {AddressesOf(held.Attachment)}"
                );
                break;
            case PoolEvent.Deleted { Released: { } released }:
                yield return new ExplainedStep(
                    at,
                    "deleted",
                    $"DEL (sandbox {Short(released.Key)}): {AddressesOf(released)} was released; it cools until "
                        + $"{at + cooldown:HH:mm:ss} and may then go to another pod"
                );
                break;
            case PoolEvent.Deleted deleted:
                yield return new ExplainedStep(at, "deleted", $"DEL (sandbox {Short(deleted.Key)}): there was nothing to release");
                break;
            case PoolEvent.LostDelete { Released: var lost }:
                yield return new ExplainedStep(
                    at,
                    "lost-delete",
                    $"no DEL came, but the kernel no longer uses {AddressesOf(lost)}: it was released and cools until "
                        + $"{at + cooldown:HH:mm:ss}"
                );
                break;
            case PoolEvent.MissedDelete { Released: { } missed } note:
                // The cooldown's end is not given: an address released longer ago than its cooldown cools only until the kernel's usage was
                // read.
                yield return new ExplainedStep(
                    at,
                    "missed-delete",
                    $"DEL at {note.AskedAt:HH:mm:ss} (sandbox {Short(missed.Key)}), while the daemon was down: {AddressesOf(missed)} was "
                        + "released and cools"
                );
                break;
            case PoolEvent.AddressesLost { Loss: var loss }:
                yield return new ExplainedStep(loss.Since ?? at, "lost", $"the pod lost its address: {loss.Description}");
                break;
            case PoolEvent.Recovered { Attachment: var recovered }:
                yield return new ExplainedStep(
                    at,
                    "recovered",
                    $"the kernel routes {AddressesOf(recovered)} to {recovered.Key.ContainerId}, and no attachment has it: reserved "
                        + "while the route exists"
                );
                break;
            case PoolEvent.Identified { Attachment: var named }:
                yield return new ExplainedStep(
                    at,
                    "recovered",
                    $"after the loss of the checkpoint, the kernel routes {AddressesOf(named)} to {named.Key.ContainerId}, which is this "
                        + "pod's link: reserved while the route exists"
                );
                break;
            default:
                throw new InvalidOperationException($"{poolEvent} has no step");
        }
    }

    public static string QueuePosition(int ahead) =>
        ahead == 0 ? "first in the queue" : $"in the queue behind {ahead} {(ahead == 1 ? "other" : "others")}";

    public static string AddressesOf(Attachment attachment) => string.Join(", ", attachment.Addresses.Select(AddressOf));

    public static string AddressOf(AttachmentAddress held) =>
        held.Slot is { } place ? $"{held.Address} on {place.Id} ({place.Slot})" : $"{held.Address} (on no known interface)";

    private static string Stage(Intent intent) =>
        intent switch
        {
            { Stage: IntentStage.Undoing } => $"{intent.Created} cannot be used and is deleted",
            { Stage: IntentStage.Attached, Change: PoolChange.AddInterface add } =>
                $"{intent.Created} is attached as {add.Slot}; the daemon waits for its link",
            { Stage: IntentStage.Created } => $"{intent.Created} is created; it is being attached",
            _ => intent.Description,
        };

    private static string Short(AttachmentKey key) => key.ContainerId.Length > 12 ? key.ContainerId[..12] : key.ContainerId;
}
