// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using VpcCni.Logging;

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
                                DeviceIndex = item.DeviceIndex,
                                NetworkCard = item.NetworkCard,
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
                            item.DeviceIndex,
                            item.NetworkCard,
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
        var places = attachment.Addresses.Where(item => item.Slot is not null).Select(item => ToEntry(item.Slot!.Value)).ToList();
        return new CheckpointDocument.Allocation
        {
            NetworkName = attachment.Key.NetworkName,
            ContainerId = attachment.Key.ContainerId,
            InterfaceName = attachment.Key.InterfaceName,
            Ipv4 = AddressOf(attachment, AddressFamily.InterNetwork),
            Ipv6 = AddressOf(attachment, AddressFamily.InterNetworkV6),
            AllocationTimestamp = ToNanoseconds(attachment.AssignedAt),
            Metadata =
                attachment.Pod == default
                    ? null
                    : new CheckpointDocument.Metadata
                    {
                        PodNamespace = attachment.Pod.Namespace,
                        PodName = attachment.Pod.Name,
                        InterfacesCount = 1,
                    },
            Extension = new CheckpointDocument.AllocationExtension
            {
                NetnsPath = attachment.NetnsPath.Length == 0 ? null : attachment.NetnsPath,
                Slots = places.Count == attachment.Addresses.Count ? places : null,
                UnusedSince = attachment.UnusedSince is { } unused ? ToNanoseconds(unused) : null,
            },
        };
    }

    private static Attachment ToAttachment(CheckpointDocument.Allocation allocation, int index)
    {
        var where = $"allocations[{index}]";
        if (string.IsNullOrEmpty(allocation.ContainerId))
            throw new CheckpointFormatException($"{where}.containerID is missing");
        List<AttachmentAddress> addresses = [];
        foreach (
            var (text, family, name) in new[]
            {
                (allocation.Ipv4, AddressFamily.InterNetwork, "ipv4"),
                (allocation.Ipv6, AddressFamily.InterNetworkV6, "ipv6"),
            }
        )
        {
            if (string.IsNullOrEmpty(text))
                continue;
            var slot = allocation.Extension?.Slots is { } slots && addresses.Count < slots.Count ? slots[addresses.Count] : null;
            addresses.Add(new AttachmentAddress(ParseAddress(text, family, $"{where}.{name}"), ToSlot(slot)));
        }

        if (addresses.Count == 0)
            throw new CheckpointFormatException($"{where} has neither ipv4 nor ipv6");
        return new Attachment
        {
            Key = new AttachmentKey(allocation.NetworkName ?? "", allocation.ContainerId, allocation.InterfaceName ?? ""),
            Pod = allocation.Metadata is { } metadata ? new PodReference(metadata.PodNamespace ?? "", metadata.PodName ?? "") : default,
            Addresses = addresses,
            NetnsPath = allocation.Extension?.NetnsPath ?? "",
            UnusedSince = allocation.Extension?.UnusedSince is { } unused ? FromNanoseconds(unused) : null,
            AssignedAt = FromNanoseconds(allocation.AllocationTimestamp),
        };
    }

    private static CheckpointDocument.SlotEntry ToEntry(InterfaceSlot slot) =>
        new()
        {
            Interface = slot.Id.Value,
            DeviceIndex = slot.DeviceIndex,
            NetworkCard = slot.NetworkCard,
        };

    private static InterfaceSlot? ToSlot(CheckpointDocument.SlotEntry? slot) =>
        string.IsNullOrEmpty(slot?.Interface)
            ? null
            : new InterfaceSlot(new NetworkInterfaceId(slot.Interface), slot.DeviceIndex, slot.NetworkCard);

    private static string? AddressOf(Attachment attachment, AddressFamily family) =>
        attachment.Addresses.FirstOrDefault(item => item.Address.AddressFamily == family).Address?.ToString();

    internal static IPAddress ParseAddress(string? text, AddressFamily? family, string where) =>
        IPAddress.TryParse(text, out var address) && (family is null || address.AddressFamily == family)
            ? address
            : throw new CheckpointFormatException(
                $"{where} is '{text}', expected an {(family == AddressFamily.InterNetworkV6 ? "IPv6" : "IP")} address"
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
