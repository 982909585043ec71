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

    private static readonly (IntentStage Stage, string Name)[] StageNames =
    [
        (IntentStage.Created, "created"),
        (IntentStage.Attached, "attached"),
        (IntentStage.Undoing, "undoing"),
        (IntentStage.Detached, "detached"),
    ];

    public static CheckpointDocument.PendingIntent Write(Intent intent)
    {
        var entry = new CheckpointDocument.PendingIntent
        {
            Number = intent.Number,
            At = CheckpointFormat.ToNanoseconds(intent.At),
            Token = intent.Token.Length > 0 ? intent.Token : null,
            Interface = intent.InterfaceId?.Value,
            Progress = intent.Progress,
            Stage = StageNames.FirstOrDefault(pair => pair.Stage == intent.Stage).Name,
            LastStage = intent.Stage is IntentStage.Undoing or IntentStage.Detached,
            Requests = intent.Change.Requests.Count > 0 ? [.. intent.Change.Requests.Select(ToEntry)] : null,
            Blocks = intent.Change.Releases.Count > 0 ? [.. intent.Change.Releases.Select(range => range.ToString())] : null,
        };
        if (intent.Since != intent.At)
            entry.Since = CheckpointFormat.ToNanoseconds(intent.Since);
        entry.Kind = intent.Change.Match(
            assign =>
            {
                entry.SubnetId = assign.SubnetId.Length > 0 ? assign.SubnetId : null;
                return AssignBlocks;
            },
            add =>
            {
                (entry.SubnetId, entry.SecurityGroupIds) = (add.SubnetId, [.. add.SecurityGroupIds]);
                (entry.DeviceIndex, entry.NetworkCard) = (add.Slot.DeviceIndex, add.Slot.NetworkCard);
                return AddInterface;
            },
            release => ReleaseBlocks,
            remove =>
            {
                (entry.DeviceIndex, entry.NetworkCard) = (remove.Slot.DeviceIndex, remove.Slot.NetworkCard);
                entry.PrimaryAddress = remove.PrimaryAddress.ToString();
                return RemoveInterface;
            }
        );
        return entry;
    }

    /// <exception cref="CheckpointFormatException">The entry is invalid; the message has the location and the reason.</exception>
    public static Intent Read(CheckpointDocument.PendingIntent entry, string where)
    {
        var at = CheckpointFormat.FromNanoseconds(entry.At);
        var change = ReadChange(entry, where);
        var isAddition = change is PoolChange.AddInterface;
        return new Intent(entry.Number, at, isAddition ? Required(entry.Token, where, "token") : entry.Token ?? "", change)
        {
            Since = entry.Since is { } since ? CheckpointFormat.FromNanoseconds(since) : at,
            Stage = entry.Stage is { } stage ? ReadStage(stage, where) : EarlierStage(entry, change),
            Created = isAddition && entry.Interface is { Length: > 0 } created ? new NetworkInterfaceId(created) : null,
            Progress = entry.Progress,
        };
    }

    private static IntentStage ReadStage(string name, string where) =>
        StageNames.FirstOrDefault(pair => pair.Name == name) is { Name: not null } known
            ? known.Stage
            : throw new CheckpointFormatException(
                $"{where}.stage is '{name}', expected {string.Join(", ", StageNames.Select(pair => pair.Name))}"
            );

    /// <summary>The stage of an entry that an earlier version wrote: an addition was attached when it had an attachment.</summary>
    private static IntentStage EarlierStage(CheckpointDocument.PendingIntent entry, PoolChange change) =>
        change.Match(
            assign => IntentStage.Begun,
            add =>
                entry.LastStage ? IntentStage.Undoing
                : string.IsNullOrEmpty(entry.Interface) ? IntentStage.Begun
                : entry.Progress is null ? IntentStage.Created
                : IntentStage.Attached,
            release => IntentStage.Begun,
            remove => entry.LastStage ? IntentStage.Detached : IntentStage.Begun
        );

    private static PoolChange ReadChange(CheckpointDocument.PendingIntent entry, string where) =>
        entry.Kind switch
        {
            AddInterface => new PoolChange.AddInterface(
                new Slot(entry.NetworkCard, entry.DeviceIndex),
                Required(entry.SubnetId, where, "subnet"),
                entry.SecurityGroupIds ?? [],
                Requests(entry, where)
            ),
            AssignBlocks => new PoolChange.AssignBlocks(Interface(entry, where), entry.SubnetId ?? "", Requests(entry, where)[0]),
            ReleaseBlocks => new PoolChange.ReleaseBlocks(
                Interface(entry, where),
                [.. (entry.Blocks ?? []).Select((range, index) => CheckpointFormat.ParseRange(range, $"{where}.blocks[{index}]"))]
            ),
            RemoveInterface => new PoolChange.RemoveInterface(
                Interface(entry, where),
                new Slot(entry.NetworkCard, entry.DeviceIndex),
                CheckpointFormat.ParseAddress(entry.PrimaryAddress, null, $"{where}.primaryAddress")
            ),
            _ => throw new CheckpointFormatException(
                $"{where}.kind is '{entry.Kind}', expected {AddInterface}, {AssignBlocks}, {ReleaseBlocks} or {RemoveInterface}"
            ),
        };

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
