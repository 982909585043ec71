// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Netlink;

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
                (entry.Token, entry.SubnetId, entry.SecurityGroupIds) = (add.Token, add.SubnetId, [.. add.SecurityGroupIds]);
                (entry.DeviceIndex, entry.NetworkCard) = (add.Slot.DeviceIndex, add.Slot.NetworkCard);
                entry.Requests = [.. add.Blocks.Select(ToEntry)];
                (entry.Interface, entry.AttachmentId, entry.LastStage) = (add.Created?.Value, add.AttachmentId, add.IsUndoing);
                break;
            case Intent.AssignBlocks assign:
                entry.Kind = AssignBlocks;
                (entry.Interface, entry.Requests) = (assign.Interface.Value, [ToEntry(assign.Blocks)]);
                break;
            case Intent.ReleaseBlocks release:
                entry.Kind = ReleaseBlocks;
                (entry.Interface, entry.Blocks) = (release.Interface.Value, [.. release.Blocks.Select(range => range.ToString())]);
                break;
            case Intent.RemoveInterface remove:
                entry.Kind = RemoveInterface;
                (entry.Interface, entry.AttachmentId, entry.LastStage) = (remove.Interface.Value, remove.AttachmentId, remove.IsDetached);
                (entry.DeviceIndex, entry.NetworkCard, entry.PrimaryAddress) = (
                    remove.Slot.Slot.DeviceIndex,
                    remove.Slot.Slot.NetworkCard,
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
                    new Slot(entry.NetworkCard, entry.DeviceIndex),
                    Requests(entry, where)
                )
                {
                    Created = string.IsNullOrEmpty(entry.Interface) ? null : new NetworkInterfaceId(entry.Interface),
                    AttachmentId = entry.AttachmentId,
                    IsUndoing = entry.LastStage,
                };
            case AssignBlocks:
                return new Intent.AssignBlocks(entry.Number, at, Interface(entry, where), Requests(entry, where)[0]);
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
                    new InterfaceSlot(Interface(entry, where), new Slot(entry.NetworkCard, entry.DeviceIndex)),
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

    private static CheckpointDocument.BlockRequestEntry ToEntry(BlockRequest request) =>
        new()
        {
            IpVersion = request.Shape.Family == IpFamily.V6 ? 6 : 4,
            PrefixLength = request.Shape.PrefixLength,
            Count = request.Count,
        };

    /// <summary>Reads the requests, at least one.</summary>
    private static BlockRequest[] Requests(CheckpointDocument.PendingIntent entry, string where)
    {
        if (entry.Requests is null)
            return [new BlockRequest(EarlierShape(entry, where), entry.Count ?? 0)];
        BlockRequest[] requests = [.. entry.Requests.Select((item, index) => ToRequest(item, $"{where}.requests[{index}]"))];
        return requests.Length > 0 ? requests : throw new CheckpointFormatException($"{where}.requests is empty");
    }

    private static BlockRequest ToRequest(CheckpointDocument.BlockRequestEntry entry, string where)
    {
        var family = entry.IpVersion switch
        {
            4 => IpFamily.V4,
            6 => IpFamily.V6,
            _ => throw new CheckpointFormatException($"{where}.ipVersion is {entry.IpVersion}, expected 4 or 6"),
        };
        return entry.PrefixLength >= 0 && entry.PrefixLength <= IpFamily.Bits(family) && entry.Count >= 0
            ? new BlockRequest(new BlockShape(family, entry.PrefixLength), entry.Count)
            : throw new CheckpointFormatException($"{where} has the prefix length {entry.PrefixLength} and the count {entry.Count}");
    }

    private static BlockShape EarlierShape(CheckpointDocument.PendingIntent entry, string where) =>
        entry.BlockKind switch
        {
            "Ipv4Address" => BlockShape.Single(IpFamily.V4),
            "Ipv4Prefix" => new BlockShape(IpFamily.V4, 28),
            "Ipv6Address" => BlockShape.Single(IpFamily.V6),
            "Ipv6Prefix" => new BlockShape(IpFamily.V6, 80),
            _ => throw new CheckpointFormatException(
                $"{where}.blockKind is '{entry.BlockKind}', expected Ipv4Address, Ipv4Prefix, Ipv6Address or Ipv6Prefix"
            ),
        };

    private static string Required(string? text, string where, string name) =>
        string.IsNullOrEmpty(text) ? throw new CheckpointFormatException($"{where}.{name} is missing") : text;
}
