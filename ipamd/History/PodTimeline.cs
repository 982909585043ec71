// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.History;

/// <summary>Events of the pool as steps of one pod's story.</summary>
internal static class PodTimeline
{
    public static IEnumerable<ExplainedStep> Of(PoolEvent happened, TimeSpan cooldown)
    {
        var at = happened.At;
        switch (happened)
        {
            case PoolEvent.AddQueued waits:
                yield return new ExplainedStep(
                    at,
                    "waits",
                    $"the runtime asked for an address (sandbox {Short(waits.Key)}) and none was free: {Behind(waits.Ahead)}, until "
                        + $"{waits.Deadline:HH:mm:ss} at most"
                );
                break;
            case PoolEvent.AddServed { IsNew: false } served:
                yield return new ExplainedStep(
                    at,
                    "answered",
                    $"the runtime asked again (sandbox {Short(served.Attachment.Key)}): answered with {Places(served.Attachment)}, "
                        + "which it holds"
                );
                break;
            case PoolEvent.AddServed served:
                if (served.Waited == TimeSpan.Zero)
                    yield return new ExplainedStep(
                        at - served.Took,
                        "asked",
                        $"the runtime asked for an address (sandbox {Short(served.Attachment.Key)})"
                    );
                var how = served.Waited > TimeSpan.Zero ? $"came free after {DurationText.Of(served.Waited)} in line" : "was free";
                var before = served.ReusedAfter is { } reused ? $"; its last holder gave it back {DurationText.Of(reused)} before" : "";
                yield return new ExplainedStep(at - served.Durable, "chosen", $"{Places(served.Attachment)} {how}{before}");
                yield return new ExplainedStep(
                    at,
                    "answered",
                    $"on disk after {DurationText.Of(served.Durable)}; answered, {DurationText.Of(served.Took)} after the request"
                );
                break;
            case PoolEvent.AddFailed failed:
                yield return new ExplainedStep(
                    at,
                    "failed",
                    $"answered with a failure, {DurationText.Of(failed.Took)} after the request (sandbox {Short(failed.Key)}): "
                        + $"{failed.Reason}"
                );
                break;
            case PoolEvent.Planned { Plan.Obstacle: { } obstacle }:
                yield return new ExplainedStep(
                    at,
                    "obstacle",
                    $"growth is held up: {obstacle.Detail}{(obstacle.Until is { } until ? $"; tried again at {until:HH:mm:ss}" : "")}"
                );
                break;
            case PoolEvent.ChangeBegan began:
                yield return new ExplainedStep(
                    at,
                    "growth",
                    $"{(began.IsRepeated ? "EC2 is asked again to" : "EC2 is asked to")} {began.Intent.Description}"
                );
                break;
            case PoolEvent.ChangeAdvanced advanced:
                yield return new ExplainedStep(at, "growth", Stage(advanced.Intent));
                break;
            case PoolEvent.ChangeEnded { Failure: null } ended:
                yield return new ExplainedStep(at, "growth", $"done in {DurationText.Of(ended.Took)}: {ended.Intent.Description}");
                break;
            case PoolEvent.ChangeEnded ended:
                yield return new ExplainedStep(
                    at,
                    "growth",
                    $"failed after {DurationText.Of(ended.Took)}: {ended.Intent.Description}: {ended.Reason}"
                );
                break;
            case PoolEvent.Checked held:
                yield return new ExplainedStep(
                    at,
                    "checked",
                    held.Attachment is null ? "CHECK: it holds nothing" : $"CHECK: it holds {Places(held.Attachment)}"
                );
                break;
            case PoolEvent.Deleted { Released: { } released }:
                yield return new ExplainedStep(
                    at,
                    "deleted",
                    $"DEL (sandbox {Short(released.Key)}): {Places(released)} was given back; it cools until "
                        + $"{at + cooldown:HH:mm:ss} and may go to another pod then"
                );
                break;
            case PoolEvent.Deleted deleted:
                yield return new ExplainedStep(at, "deleted", $"DEL (sandbox {Short(deleted.Key)}): there was nothing to give back");
                break;
            case PoolEvent.LostDelete { Released: var lost }:
                yield return new ExplainedStep(
                    at,
                    "lost-delete",
                    $"nothing of it is left in the kernel and no DEL came: {Places(lost)} was given back; it cools until "
                        + $"{at + cooldown:HH:mm:ss}"
                );
                break;
            case PoolEvent.MissedDelete { Released: { } missed } note:
                // An address that was away for longer than its cooldown cools a moment more: the kernel is asked.
                yield return new ExplainedStep(
                    at,
                    "missed-delete",
                    $"DEL at {note.AskedAt:HH:mm:ss} (sandbox {Short(missed.Key)}), while the daemon was away: {Places(missed)} was "
                        + "given back and cools"
                );
                break;
            case PoolEvent.AddressesLost { Loss: var loss }:
                yield return new ExplainedStep(loss.Since ?? at, "lost", $"its address was lost: {loss.Description}");
                break;
            case PoolEvent.Recovered { Attachment: var recovered }:
                yield return new ExplainedStep(
                    at,
                    "recovered",
                    $"the kernel routes {Places(recovered)} to {recovered.Key.ContainerId} and no record has it: held as long as the "
                        + "route is there"
                );
                break;
            case PoolEvent.Identified { Attachment: var named }:
                yield return new ExplainedStep(
                    at,
                    "recovered",
                    $"after a lost checkpoint the kernel routes {Places(named)} to {named.Key.ContainerId}, which is this pod's "
                        + "link: held as long as it is there"
                );
                break;
            default:
                throw new InvalidOperationException($"{happened} is nobody's story");
        }
    }

    public static string Behind(int ahead) => ahead == 0 ? "first in line" : $"in line behind {ahead} {(ahead == 1 ? "other" : "others")}";

    public static string Places(Attachment attachment) => string.Join(", ", attachment.Addresses.Select(Place));

    public static string Place(AttachmentAddress held) =>
        held.Slot is { } place
            ? $"{held.Address} on {place.Id} (device {place.DeviceIndex})"
            : $"{held.Address} (on no interface that is known)";

    private static string Stage(Intent intent) =>
        intent switch
        {
            Intent.AddInterface { IsUndoing: true } add => $"it is of no use and is taken back: {add.Created}",
            Intent.AddInterface { AttachmentId: { }, Created: { } id } add =>
                $"{id} is attached as device {add.DeviceIndex}; its link is awaited and wired",
            Intent.AddInterface { Created: { } id } => $"{id} is created; it is being attached",
            _ => intent.Description,
        };

    private static string Short(AttachmentKey key) => key.ContainerId.Length > 12 ? key.ContainerId[..12] : key.ContainerId;
}
