// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using VpcCni.Datapath;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>The checkpoint cannot be used: not JSON, of another version, or contradictory. The message says where.</summary>
internal sealed class CheckpointFormatException(string message, Exception? innerException = null)
    : Exception(Truncate.Of(message, Truncate.LongestMessage), innerException),
        IExpectedFailure
{
    string IExpectedFailure.FailureKind => "CheckpointFormat";

    string? IExpectedFailure.RequestId => null;

    public override string ToString() => Truncate.Of(this, Message);
}

/// <summary>Converts between the ledger's record and the checkpoint's bytes. Pure.</summary>
internal static class CheckpointFormat
{
    // .NET ticks are 100 ns; the file has nanoseconds.
    private const long NanosecondsPerTick = 100;

    public static byte[] Write(LedgerRecord record)
    {
        var document = new CheckpointDocument
        {
            Version = CheckpointDocument.SupportedVersion,
            Allocations = [.. record.Attachments.Select(ToAllocation)],
            Extension =
                record.WrittenAt is null
                && record.Targets is null
                && record.Cooling.Count
                    + record.Interfaces.Count
                    + record.Intents.Count
                    + record.RecentlyReleased.Count
                    + record.RecentlyDetached.Count
                    + record.LostAddresses.Count
                    == 0
                    ? null
                    : new CheckpointDocument.DocumentExtension
                    {
                        WrittenAt = record.WrittenAt is { } written ? ToNanoseconds(written.Now) : null,
                        BootId = record.WrittenAt?.BootId,
                        Targets = record.Targets?.Settings,
                        TargetsChanging = record.Targets is { IsChanging: true } ? true : null,
                        SinceBoot = record.WrittenAt is { } reading ? reading.SinceBoot.Ticks * NanosecondsPerTick : null,
                        Cooling = OrNull([
                            .. record.Cooling.Select(item => new CheckpointDocument.Cooling
                            {
                                Address = item.Address.ToString(),
                                ReleasedAt = ToNanoseconds(item.ReleasedAt),
                            }),
                        ]),
                        Lost = OrNull([
                            .. record.LostAddresses.Select(item => new CheckpointDocument.Lost
                            {
                                Address = item.Address.ToString(),
                                Slot = item.LastSlot is { } slot ? ToEntry(slot) : null,
                                At = ToNanoseconds(item.Since),
                            }),
                        ]),
                        Interfaces = OrNull([
                            .. record.Interfaces.Select(item => new CheckpointDocument.Interface
                            {
                                Id = item.Id.Value,
                                DeviceIndex = item.Slot.DeviceIndex,
                                NetworkCard = item.Slot.NetworkCard,
                                IsExcluded = item.IsExcluded,
                                Blocks = [.. item.Blocks.Select(range => range.ToString())],
                            }),
                        ]),
                        Intents = OrNull([.. record.Intents.Select(IntentFormat.Write)]),
                        RecentlyReleased = OrNull([
                            .. record.RecentlyReleased.Select(item => new CheckpointDocument.RecentChange
                            {
                                Name = item.Range.ToString(),
                                At = ToNanoseconds(item.At),
                            }),
                        ]),
                        RecentlyDetached = OrNull([
                            .. record.RecentlyDetached.Select(item => new CheckpointDocument.RecentChange
                            {
                                Name = item.Interface.Value,
                                At = ToNanoseconds(item.At),
                            }),
                        ]),
                    },
        };
        return JsonSerializer.SerializeToUtf8Bytes(document, CheckpointJson.Default.CheckpointDocument);
    }

    /// <exception cref="CheckpointFormatException">The content is invalid; the message has the location and the reason.</exception>
    public static LedgerRecord Read(ReadOnlySpan<byte> content)
    {
        CheckpointDocument? document;
        try
        {
            document = JsonSerializer.Deserialize(content, CheckpointJson.Default.CheckpointDocument);
        }
        catch (JsonException exception)
        {
            throw new CheckpointFormatException($"not a checkpoint: {exception.Message}", exception);
        }

        if (document is null)
            throw new CheckpointFormatException("not a checkpoint: the content is null");
        if (document.Version != CheckpointDocument.SupportedVersion)
        {
            throw new CheckpointFormatException($"version '{document.Version}', expected '{CheckpointDocument.SupportedVersion}'");
        }

        var attachments = (document.Allocations ?? []).Select(ToAttachment).ToArray();
        var cooling = (document.Extension?.Cooling ?? [])
            .Select(
                (item, index) =>
                    new CoolingAddress(
                        ParseAddress(item.Address, null, $"vpccni.cooling[{index}].address"),
                        FromNanoseconds(item.ReleasedAt)
                    )
            )
            .ToArray();
        var (intents, unreadable) = ToIntents(document.Extension?.Intents ?? []);
        return new LedgerRecord(attachments, cooling)
        {
            WrittenAt = document.Extension is { WrittenAt: { } writtenAt, SinceBoot: { } sinceBoot }
                ? new ClockReading(FromNanoseconds(writtenAt), TimeSpan.FromTicks(sinceBoot / NanosecondsPerTick))
                {
                    BootId = document.Extension.BootId,
                }
                : null,
            Interfaces =
            [
                .. (document.Extension?.Interfaces ?? []).Select(
                    (item, index) =>
                        new KnownInterface(
                            new NetworkInterfaceId(item.Id ?? ""),
                            new Slot(item.NetworkCard, item.DeviceIndex),
                            item.IsExcluded,
                            [
                                .. (item.Blocks ?? []).Select(
                                    (range, block) => ParseRange(range, $"vpccni.interfaces[{index}].blocks[{block}]")
                                ),
                            ]
                        )
                ),
            ],
            Targets = document.Extension is { Targets: { } settings } extension
                ? new RecordedTargets(settings, extension.TargetsChanging ?? false)
                : null,
            Intents = intents,
            UnreadableIntents = unreadable,
            RecentlyReleased =
            [
                .. (document.Extension?.RecentlyReleased ?? []).Select(
                    (item, index) => (ParseRange(item.Name, $"vpccni.givenBack[{index}].name"), FromNanoseconds(item.At))
                ),
            ],
            LostAddresses =
            [
                .. (document.Extension?.Lost ?? []).Select(
                    (item, index) =>
                        new LostAddress(
                            ParseAddress(item.Address, null, $"vpccni.lost[{index}].address"),
                            ToSlot(item.Slot),
                            FromNanoseconds(item.At)
                        )
                ),
            ],
            RecentlyDetached =
            [
                .. (document.Extension?.RecentlyDetached ?? []).Select(item =>
                    (new NetworkInterfaceId(item.Name ?? ""), FromNanoseconds(item.At))
                ),
            ],
        };
    }

    /// <summary>
    /// Converts intents and skips unreadable ones: an intent of another version must not cost the record of every pod's address.
    /// </summary>
    private static (List<Intent> Intents, List<string> Unreadable) ToIntents(List<CheckpointDocument.PendingIntent> entries)
    {
        List<Intent> intents = [];
        List<string> unreadable = [];
        for (var index = 0; index < entries.Count; index++)
        {
            try
            {
                intents.Add(IntentFormat.Read(entries[index], $"vpccni.intents[{index}]"));
            }
            catch (CheckpointFormatException exception)
            {
                unreadable.Add(exception.Message);
            }
        }

        return (intents, unreadable);
    }

    private static CheckpointDocument.Allocation ToAllocation(Attachment attachment)
    {
        var first = attachment.Interfaces[0];
        return new CheckpointDocument.Allocation
        {
            NetworkName = attachment.Key.NetworkName,
            ContainerId = attachment.Key.ContainerId,
            InterfaceName = attachment.Key.InterfaceName,
            Ipv4 = first.Find(IpFamily.V4)?.ToString(),
            Ipv6 = first.Find(IpFamily.V6)?.ToString(),
            AllocationTimestamp = ToNanoseconds(attachment.AssignedAt),
            Metadata =
                attachment.Pod == default
                    ? null
                    : new CheckpointDocument.Metadata
                    {
                        PodNamespace = attachment.Pod.Namespace,
                        PodName = attachment.Pod.Name,
                        InterfacesCount = attachment.Interfaces.Count,
                    },
            Extension = new CheckpointDocument.AllocationExtension
            {
                NetnsPath = attachment.NetnsPath.Length == 0 ? null : attachment.NetnsPath,
                Slots = first.Slot is { } slot ? [.. first.Addresses.Select(_ => ToEntry(slot))] : null,
                UnusedSince = attachment.UnusedSince is { } unused ? ToNanoseconds(unused) : null,
                MoreInterfaces = OrNull([
                    .. attachment
                        .Interfaces.Skip(1)
                        .Select(item => new CheckpointDocument.PodInterfaceEntry
                        {
                            Name = item.Name,
                            Addresses = [.. item.Addresses.Select(address => address.ToString())],
                            Slot = item.Slot is { } other ? ToEntry(other) : null,
                        }),
                ]),
            },
        };
    }

    private static Attachment ToAttachment(CheckpointDocument.Allocation allocation, int index)
    {
        var where = $"allocations[{index}]";
        if (string.IsNullOrEmpty(allocation.ContainerId))
            throw new CheckpointFormatException($"{where}.containerID is missing");
        List<IPAddress> addresses = [];
        if (!string.IsNullOrEmpty(allocation.Ipv4))
            addresses.Add(ParseAddress(allocation.Ipv4, IpFamily.V4, $"{where}.ipv4"));
        if (!string.IsNullOrEmpty(allocation.Ipv6))
            addresses.Add(ParseAddress(allocation.Ipv6, IpFamily.V6, $"{where}.ipv6"));
        if (addresses.Count == 0)
            throw new CheckpointFormatException($"{where} has neither ipv4 nor ipv6");
        return new Attachment
        {
            Key = new AttachmentKey(allocation.NetworkName ?? "", allocation.ContainerId, allocation.InterfaceName ?? ""),
            Pod = allocation.Metadata is { } metadata ? new PodReference(metadata.PodNamespace ?? "", metadata.PodName ?? "") : default,
            Interfaces =
            [
                new AttachmentInterface(allocation.InterfaceName ?? "", addresses, ToSlot(allocation.Extension?.Slots?.FirstOrDefault())),
                .. (allocation.Extension?.MoreInterfaces ?? []).Select(
                    (item, number) => ToInterface(item, $"{where}.vpccni.moreInterfaces[{number}]")
                ),
            ],
            NetnsPath = allocation.Extension?.NetnsPath ?? "",
            UnusedSince = allocation.Extension?.UnusedSince is { } unused ? FromNanoseconds(unused) : null,
            AssignedAt = FromNanoseconds(allocation.AllocationTimestamp),
        };
    }

    private static AttachmentInterface ToInterface(CheckpointDocument.PodInterfaceEntry entry, string where) =>
        entry is { Name.Length: > 0, Addresses.Count: > 0 }
            ? new AttachmentInterface(
                entry.Name,
                [.. entry.Addresses.Select((text, index) => ParseAddress(text, null, $"{where}.addresses[{index}]"))],
                ToSlot(entry.Slot)
            )
            : throw new CheckpointFormatException($"{where} has no name or no address");

    private static CheckpointDocument.SlotEntry ToEntry(InterfaceSlot slot) =>
        new()
        {
            Interface = slot.Id.Value,
            DeviceIndex = slot.Slot.DeviceIndex,
            NetworkCard = slot.Slot.NetworkCard,
        };

    private static InterfaceSlot? ToSlot(CheckpointDocument.SlotEntry? slot) =>
        string.IsNullOrEmpty(slot?.Interface)
            ? null
            : new InterfaceSlot(new NetworkInterfaceId(slot.Interface), new Slot(slot.NetworkCard, slot.DeviceIndex));

    internal static IPAddress ParseAddress(string? text, AddressFamily? family, string where) =>
        IPAddress.TryParse(text, out var address) && (family is null || address.AddressFamily == family)
            ? address
            : throw new CheckpointFormatException(
                $"{where} is '{text}', expected an {(family is { } expected ? IpFamily.Name(expected) : "IP")} address"
            );

    internal static IPNetwork ParseRange(string? text, string where) =>
        IPNetwork.TryParse(text, out var range)
            ? range
            : throw new CheckpointFormatException($"{where} is '{text}', expected a range like 10.0.0.16/28");

    private static List<T>? OrNull<T>(List<T> items) => items.Count == 0 ? null : items;

    internal static long ToNanoseconds(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).Ticks * NanosecondsPerTick;

    internal static DateTimeOffset FromNanoseconds(long nanoseconds) =>
        DateTimeOffset.UnixEpoch + TimeSpan.FromTicks(nanoseconds / NanosecondsPerTick);
}
