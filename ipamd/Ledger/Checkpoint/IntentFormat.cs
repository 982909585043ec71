// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>Converts between an intent and its entry in the checkpoint. Pure.</summary>
internal static class IntentFormat
{
    private const string AddInterface = "addInterface";
    private const string AssignBlocks = "assignBlocks";
    private const string ReleaseBlocks = "releaseBlocks";
    private const string RemoveInterface = "removeInterface";

    public static CheckpointDocument.PendingIntent Write(Intent intent)
    {
        var entry = new CheckpointDocument.PendingIntent { Number = intent.Number, At = CheckpointFormat.ToNanoseconds(intent.At) };
        if (intent.Since != intent.At)
            entry.Since = CheckpointFormat.ToNanoseconds(intent.Since);
        switch (intent)
        {
            case Intent.AddInterface add:
                entry.Kind = AddInterface;
                (entry.Token, entry.SubnetId, entry.SecurityGroupIds, entry.DeviceIndex) = (
                    add.Token,
                    add.SubnetId,
                    [.. add.SecurityGroupIds],
                    add.DeviceIndex
                );
                (entry.BlockKind, entry.Count) = (add.Blocks.Kind.ToString(), add.Blocks.Count);
                (entry.Interface, entry.AttachmentId, entry.LastStage) = (add.Created?.Value, add.AttachmentId, add.IsUndoing);
                break;
            case Intent.AssignBlocks assign:
                entry.Kind = AssignBlocks;
                (entry.Interface, entry.BlockKind, entry.Count) = (
                    assign.Interface.Value,
                    assign.Blocks.Kind.ToString(),
                    assign.Blocks.Count
                );
                break;
            case Intent.ReleaseBlocks release:
                entry.Kind = ReleaseBlocks;
                (entry.Interface, entry.Blocks) = (release.Interface.Value, [.. release.Blocks.Select(range => range.ToString())]);
                break;
            case Intent.RemoveInterface remove:
                entry.Kind = RemoveInterface;
                (entry.Interface, entry.AttachmentId, entry.LastStage) = (remove.Interface.Value, remove.AttachmentId, remove.IsDetached);
                (entry.DeviceIndex, entry.NetworkCard, entry.PrimaryAddress) = (
                    remove.Slot.DeviceIndex,
                    remove.Slot.NetworkCard,
                    remove.PrimaryAddress.ToString()
                );
                break;
            default:
                throw new InvalidOperationException($"unknown intent {intent}");
        }

        return entry;
    }

    /// <exception cref="CheckpointFormatException">The entry is invalid; the message has the location and the reason.</exception>
    public static Intent Read(CheckpointDocument.PendingIntent entry, string where) =>
        entry.Since is { } since
            ? ReadChange(entry, where) with
            {
                Since = CheckpointFormat.FromNanoseconds(since),
            }
            : ReadChange(entry, where);

    private static Intent ReadChange(CheckpointDocument.PendingIntent entry, string where)
    {
        var at = CheckpointFormat.FromNanoseconds(entry.At);
        switch (entry.Kind)
        {
            case AddInterface:
                return new Intent.AddInterface(
                    entry.Number,
                    at,
                    Required(entry.Token, where, "token"),
                    Required(entry.SubnetId, where, "subnet"),
                    entry.SecurityGroupIds ?? [],
                    entry.DeviceIndex,
                    Request(entry, where)
                )
                {
                    Created = string.IsNullOrEmpty(entry.Interface) ? null : new NetworkInterfaceId(entry.Interface),
                    AttachmentId = entry.AttachmentId,
                    IsUndoing = entry.LastStage,
                };
            case AssignBlocks:
                return new Intent.AssignBlocks(entry.Number, at, Interface(entry, where), Request(entry, where));
            case ReleaseBlocks:
                return new Intent.ReleaseBlocks(
                    entry.Number,
                    at,
                    Interface(entry, where),
                    [.. (entry.Blocks ?? []).Select((range, index) => CheckpointFormat.ParseRange(range, $"{where}.blocks[{index}]"))]
                );
            case RemoveInterface:
                return new Intent.RemoveInterface(
                    entry.Number,
                    at,
                    Interface(entry, where),
                    Required(entry.AttachmentId, where, "attachment"),
                    new InterfaceSlot(Interface(entry, where), entry.DeviceIndex, entry.NetworkCard),
                    CheckpointFormat.ParseAddress(entry.PrimaryAddress, null, $"{where}.primaryAddress")
                )
                {
                    IsDetached = entry.LastStage,
                };
            default:
                throw new CheckpointFormatException(
                    $"{where}.kind is '{entry.Kind}', expected {AddInterface}, {AssignBlocks}, {ReleaseBlocks} or {RemoveInterface}"
                );
        }
    }

    private static NetworkInterfaceId Interface(CheckpointDocument.PendingIntent entry, string where) =>
        new(Required(entry.Interface, where, "interface"));

    private static BlockRequest Request(CheckpointDocument.PendingIntent entry, string where) =>
        Enum.TryParse<BlockKind>(entry.BlockKind, out var kind) && Enum.IsDefined(kind)
            ? new BlockRequest(kind, entry.Count)
            : throw new CheckpointFormatException(
                $"{where}.blockKind is '{entry.BlockKind}', expected one of {string.Join(", ", Enum.GetNames<BlockKind>())}"
            );

    private static string Required(string? text, string where, string name) =>
        string.IsNullOrEmpty(text) ? throw new CheckpointFormatException($"{where}.{name} is missing") : text;
}
