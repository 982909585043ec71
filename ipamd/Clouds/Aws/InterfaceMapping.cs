// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Converts EC2's description of a network interface to the port's type. Rejects what it cannot parse: a wrong guess here would become a
/// wrong route.
/// </summary>
internal static class InterfaceMapping
{
    /// <summary>Type of an interface without addresses.</summary>
    private const string EfaOnly = "efa-only";

    /// <summary>Status of an interface that CreateNetworkInterface has just returned; the SDK has no constant for it.</summary>
    private const string Pending = "pending";

    /// <param name="eni">The description.</param>
    /// <param name="subnet">The ranges of its subnet.</param>
    /// <param name="nodeIpv6">The node's own IPv6 address, which is no block.</param>
    /// <param name="operation">Name of the call, for errors.</param>
    public static Ec2Interface ToEc2Interface(NetworkInterface eni, SubnetRanges.Ranges subnet, IPAddress? nodeIpv6, string operation)
    {
        var id = Word(eni.NetworkInterfaceId, "networkInterfaceId", "an interface", operation);
        var primary = Primary(eni, id, operation);
        return new Ec2Interface
        {
            Id = new NetworkInterfaceId(id),
            Mac =
                MetadataReader.ToMac(Required(eni.MacAddress, "macAddress", id, operation))
                ?? throw Unreadable(operation, $"macAddress of {id} is '{Quoted(eni.MacAddress)}'"),
            SubnetId = Word(eni.SubnetId, "subnetId", id, operation),
            SubnetRange =
                (
                    primary.Equals(IPAddress.Any) ? subnet.Ipv4 ?? subnet.Ipv6
                    : primary.AddressFamily == IpFamily.V4 ? subnet.Ipv4
                    : subnet.Ipv6
                )
                ?? throw Unreadable(
                    operation,
                    $"subnet {eni.SubnetId} of {id} has no range of the family of its primary address {primary}"
                ),
            PrimaryAddress = primary,
            Blocks = Blocks(eni, primary, nodeIpv6, operation),
            SecurityGroupIds =
            [
                .. (eni.Groups ?? [])
                    .Where(group => !string.IsNullOrEmpty(group.GroupId))
                    .Select(group => Word(group.GroupId, "groupId", id, operation)),
            ],
            Tags = Tags(eni),
            State = State(eni, id, operation),
            AttachmentId = eni.Attachment?.AttachmentId is { Length: > 0 } attachment
                ? Word(attachment, "attachmentId", id, operation)
                : null,
            Slot = eni.Attachment?.DeviceIndex is { } index ? new Slot(eni.Attachment.NetworkCardIndex ?? 0, index) : null,
            DeleteOnTermination = eni.Attachment?.DeleteOnTermination ?? false,
            Description = Truncate.Of(eni.Description),
            InterfaceType = eni.InterfaceType?.Value ?? "interface",
        };
    }

    /// <summary>Replaces the subnet's ranges where they are not needed.</summary>
    public static SubnetRanges.Ranges PrimaryAlone(NetworkInterface eni, string operation)
    {
        var primary = Primary(eni, eni.NetworkInterfaceId ?? "an interface", operation);
        var range = IpRanges.Single(primary);
        return primary.AddressFamily == IpFamily.V4 ? new(range, null) : new(null, range);
    }

    public static IPNetwork Single(string? address, string operation) =>
        IPAddress.TryParse(address, out var parsed)
            ? IpRanges.Single(parsed)
            : throw Unreadable(operation, $"'{Quoted(address)}' is not an IP address");

    public static IPNetwork Prefix(string? prefix, string operation) =>
        IPNetwork.TryParse(prefix, out var parsed) ? parsed : throw Unreadable(operation, $"'{Quoted(prefix)}' is not a CIDR prefix");

    public static CloudException Unreadable(string operation, string message) =>
        new(CloudErrorKind.Transient, operation, Ec2ErrorCodes.UnreadableAnswer, message);

    private static IPAddress Primary(NetworkInterface eni, string id, string operation)
    {
        // An interface of an IPv6-only subnet has no IPv4 address; its primary IPv6 address is marked, or else is the first.
        var text =
            eni.PrivateIpAddress
            ?? eni.Ipv6Addresses?.FirstOrDefault(address => address.IsPrimaryIpv6 == true)?.Ipv6Address
            ?? eni.Ipv6Addresses?.FirstOrDefault()?.Ipv6Address;
        if (text is null && eni.InterfaceType?.Value == EfaOnly)
            return IPAddress.Any;
        return IPAddress.TryParse(text, out var primary)
            ? primary
            : throw Unreadable(operation, $"{id} has no primary address: '{Quoted(text)}'");
    }

    private static List<IPNetwork> Blocks(NetworkInterface eni, IPAddress primary, IPAddress? nodeIpv6, string operation)
    {
        var blocks = new List<IPNetwork>();
        foreach (var address in eni.PrivateIpAddresses ?? [])
        {
            if (address.Primary != true)
                Add(Single(address.PrivateIpAddress, operation));
        }

        foreach (var prefix in eni.Ipv4Prefixes ?? [])
            Add(Prefix(prefix.Ipv4Prefix, operation));
        foreach (var address in eni.Ipv6Addresses ?? [])
            Add(Single(address.Ipv6Address, operation));
        foreach (var prefix in eni.Ipv6Prefixes ?? [])
            Add(Prefix(prefix.Ipv6Prefix, operation));
        return blocks;

        void Add(IPNetwork block)
        {
            // The comparison also covers an answer that does not mark the primary address.
            if (!block.BaseAddress.Equals(primary) && !(BlockShape.Of(block).IsSingle && block.BaseAddress.Equals(nodeIpv6)))
                blocks.Add(block);
        }
    }

    private static Dictionary<string, string> Tags(NetworkInterface eni)
    {
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var tag in eni.TagSet ?? [])
            tags[tag.Key ?? ""] = tag.Value ?? "";
        return tags;
    }

    /// <summary>
    /// State of the interface. Uses the attachment's state, which is more precise: during attaching or detaching the interface itself may
    /// be reported as in-use.
    /// </summary>
    private static Ec2InterfaceState State(NetworkInterface eni, string id, string operation)
    {
        var attachment = eni.Attachment?.Status;
        if (attachment == AttachmentStatus.Attaching || eni.Status == NetworkInterfaceStatus.Attaching)
            return Ec2InterfaceState.Attaching;
        if (attachment == AttachmentStatus.Detaching || eni.Status == NetworkInterfaceStatus.Detaching)
            return Ec2InterfaceState.Detaching;
        if (
            attachment == AttachmentStatus.Attached
            || eni.Status == NetworkInterfaceStatus.InUse
            || eni.Status == NetworkInterfaceStatus.Associated
        )
            return Ec2InterfaceState.InUse;

        // A pending interface is not attached, and for a moment not attachable, which attach reports as a conflict.
        if (eni.Status == NetworkInterfaceStatus.Available || eni.Status?.Value == Pending)
            return Ec2InterfaceState.Available;
        throw Unreadable(operation, $"{id} is in the unknown state '{Quoted(eni.Status?.Value)}'");
    }

    private static string Required(string? value, string name, string of, string operation) =>
        string.IsNullOrEmpty(value) ? throw Unreadable(operation, $"{name} of {of} is missing") : value;

    /// <summary>Validates an id, since it goes into the checkpoint, logs and terminals.</summary>
    private static string Word(string? value, string name, string of, string operation) =>
        Required(value, name, of, operation) is var word && MetadataReader.IsWord(word)
            ? word
            : throw Unreadable(operation, $"{name} of {of} is '{Quoted(word)}', expected an id");

    private static string Quoted(string? text) => Truncate.Of(text, Truncate.LongestWord);
}
