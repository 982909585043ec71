// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Json;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Introspection;

/// <summary>
/// Writes <c>/v1/enis</c>: the reference's data store in the format of Go's encoding/json (masks in base64, times in RFC 3339, the zero
/// time for never). As there, a block lists only addresses that are or were in use.
/// </summary>
internal static class EniPage
{
    /// <summary>Go's zero time.</summary>
    private const string Never = "0001-01-01T00:00:00Z";

    public static void Write(Utf8JsonWriter writer, IpLedger ledger, DateTimeOffset now)
    {
        var view = ledger.View(now);
        var held = new Dictionary<IPAddress, Attachment>();
        foreach (var attachment in ledger.Attachments())
        {
            foreach (var address in attachment.Addresses)
                held[address.Address] = attachment;
        }

        var cooling = ledger.Record().Record.Cooling.ToDictionary(item => item.Address, item => item.ReleasedAt);
        writer.WriteStartObject();
        // Network cards by index; only card 0 has pods.
        writer.WriteStartObject("0");
        writer.WriteNumber("TotalIPs", view.Total);
        writer.WriteNumber("AssignedIPs", view.Assigned);
        writer.WriteStartObject("ENIs");
        foreach (var item in view.Interfaces.Where(item => item.Slot.NetworkCard == 0))
            Eni(writer, item, held, cooling);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void Eni(
        Utf8JsonWriter writer,
        InterfaceView item,
        Dictionary<IPAddress, Attachment> held,
        Dictionary<IPAddress, DateTimeOffset> cooling
    )
    {
        writer.WriteStartObject(item.Id.Value);
        writer.WriteString("ID", item.Id.Value);
        writer.WriteBoolean("IsPrimary", item.IsPrimary);
        writer.WriteBoolean("IsTrunk", false);
        writer.WriteBoolean("IsEFA", false);
        writer.WriteNumber("DeviceNumber", item.Slot.DeviceIndex);
        foreach (var (name, family) in new[] { ("AvailableIPv4Cidrs", IpFamily.V4), ("IPv6Cidrs", IpFamily.V6) })
        {
            writer.WriteStartObject(name);
            foreach (var block in item.Blocks.Where(block => block.Family == family))
                Block(writer, block, held, cooling);
            writer.WriteEndObject();
        }

        writer.WriteBoolean("IsExcludedForPodIPs", item.IsExcluded || !item.CarriesPods);
        writer.WriteNumber("RouteTableID", RouteTables.Of(item.Slot));
        writer.WriteString("SubnetID", item.SubnetId);
        writer.WriteEndObject();
    }

    private static void Block(
        Utf8JsonWriter writer,
        BlockView block,
        Dictionary<IPAddress, Attachment> held,
        Dictionary<IPAddress, DateTimeOffset> cooling
    )
    {
        writer.WriteStartObject(block.Range.ToString());
        writer.WriteStartObject("Cidr");
        writer.WriteString("IP", block.Range.BaseAddress.ToString());
        writer.WriteBase64String("Mask", Mask(block.Range));
        writer.WriteEndObject();
        writer.WriteStartObject("IPAddresses");
        foreach (
            var (address, attachment) in held.Where(pair => block.Range.Contains(pair.Key))
                .OrderBy(pair => pair.Key.ToString(), StringComparer.Ordinal)
        )
            Address(writer, address, attachment, releasedAt: null);
        foreach (var (address, releasedAt) in cooling.Where(pair => block.Range.Contains(pair.Key) && !held.ContainsKey(pair.Key)))
            Address(writer, address, attachment: null, releasedAt);
        writer.WriteEndObject();
        writer.WriteBoolean("IsPrefix", !block.IsSingle);
        writer.WriteString("AddressFamily", block.Family == IpFamily.V4 ? "4" : "6");
        writer.WriteEndObject();
    }

    private static void Address(Utf8JsonWriter writer, IPAddress address, Attachment? attachment, DateTimeOffset? releasedAt)
    {
        writer.WriteStartObject(address.ToString());
        writer.WriteString("Address", address.ToString());
        writer.WriteStartObject("IPAMKey");
        writer.WriteString("networkName", attachment?.Key.NetworkName ?? "");
        writer.WriteString("containerID", "");
        writer.WriteString("ifName", "");
        writer.WriteEndObject();
        writer.WriteStartObject("IPAMMetadata");
        if (attachment?.Pod is { Name: { Length: > 0 } name } pod)
        {
            writer.WriteString("k8sPodNamespace", pod.Namespace);
            writer.WriteString("k8sPodName", name);
        }

        if (attachment is not null)
            writer.WriteNumber("interfacesCount", 1);
        writer.WriteEndObject();
        writer.WriteString("AssignedTime", attachment is null ? Never : Time(attachment.AssignedAt));
        writer.WriteString("UnassignedTime", releasedAt is { } at ? Time(at) : Never);
        writer.WriteEndObject();
    }

    private static byte[] Mask(IPNetwork range)
    {
        var mask = new byte[IpFamily.Bits(IpFamily.Of(range)) / 8];
        for (var bit = 0; bit < range.PrefixLength; bit++)
            mask[bit / 8] |= (byte)(0x80 >> (bit % 8));
        return mask;
    }

    /// <summary>Formats as time.RFC3339Nano does, without trailing zeros.</summary>
    private static string Time(DateTimeOffset at) =>
        at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);
}
