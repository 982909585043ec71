// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Clouds.Aws.Imds;

/// <summary>
/// Reads the attached interfaces from the metadata. That takes many requests: the MACs, the keys of each, then the values, and interfaces
/// may change in between. Detects an interface that vanishes or loses a key during the reading; <see cref="ReadHintsAsync"/> and <see
/// cref="ReadAllAsync"/> handle that differently.
/// </summary>
internal sealed class InterfaceMetadata(ImdsClient client, TimeProvider time)
{
    /// <summary>
    /// Time limit of a whole reading. A healthy service answers each request in a millisecond and throttles above some hundred a second.
    /// </summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Most interfaces; no instance type has as many (trn1n.32xlarge: 80).</summary>
    public const int MaxInterfaces = 128;

    /// <summary>Replaces the attachment id, which the metadata does not have.</summary>
    public const string UnknownAttachment = "not-in-instance-metadata";

    /// <summary>Most readings of <see cref="ReadAllAsync"/> until one meets no change.</summary>
    private const int MaxReadings = 3;

    private const string Macs = "network/interfaces/macs/";

    private readonly MetadataReader _reader = new(client);

    /// <summary>
    /// Reads the blocks of each interface. Omits an interface that changes during the reading: a missing hint causes an observation, like
    /// one that differs.
    /// </summary>
    public Task<IReadOnlyList<InterfaceHint>> ReadHintsAsync(NodeIdentity node, CancellationToken cancellationToken) =>
        WithDeadlineAsync(
            async token =>
            {
                List<InterfaceHint> hints = [];
                foreach (var mac in await ListMacsAsync(token))
                {
                    if (
                        await ListKeysAsync(mac, token) is not { } keys
                        || await ReadIdAsync(mac, keys, token) is not { } id
                        || await ReadAddressesAsync(node, mac, keys, token) is not { } addresses
                    )
                        continue;
                    hints.Add(new InterfaceHint(id, addresses.Blocks));
                }

                return (IReadOnlyList<InterfaceHint>)hints;
            },
            cancellationToken
        );

    /// <summary>
    /// Reads everything, for a node that only has its metadata, or whose EC2 does not answer: all interfaces of one moment, or a failure.
    /// The metadata has no tags, types and attachments; an interface without addresses is read as one that has none (efa-only).
    /// </summary>
    /// <exception cref="CloudException">Kind <see cref="CloudErrorKind.Transient"/> when the interfaces changed during every
    /// reading.</exception>
    public Task<IReadOnlyList<Ec2Interface>> ReadAllAsync(NodeIdentity node, CancellationToken cancellationToken) =>
        WithDeadlineAsync(
            async token =>
            {
                for (var reading = 1; reading <= MaxReadings; reading++)
                {
                    if (await TryReadAllAsync(node, token) is { } interfaces)
                        return interfaces;
                }

                throw new CloudException(
                    CloudErrorKind.Transient,
                    "instance metadata " + Macs,
                    "MetadataChanging",
                    $"the interfaces changed during each of {MaxReadings} readings"
                );
            },
            cancellationToken
        );

    /// <summary>Reads an interface's subnet and its ranges; null when the metadata lacks the interface.</summary>
    public Task<(string Id, IPNetwork? Ipv4, IPNetwork? Ipv6)?> ReadSubnetAsync(string mac, CancellationToken cancellationToken) =>
        WithDeadlineAsync<(string, IPNetwork?, IPNetwork?)?>(
            async token =>
            {
                if (
                    MetadataReader.ToMac(mac) is not { } name
                    || await ListKeysAsync(name, token) is not { } keys
                    || await ValueAsync(name, keys, "subnet-id", token) is not { Length: > 0 } subnet
                    || await ValueAsync(name, keys, "subnet-ipv4-cidr-block", token) is not { } ipv4
                    || await ValueAsync(name, keys, "subnet-ipv6-cidr-blocks", token) is not { } ipv6
                )
                    return null;
                return (
                    subnet.Trim(),
                    First(MetadataReader.ToRanges(Macs + name + "/subnet-ipv4-cidr-block", ipv4)),
                    First(MetadataReader.ToRanges(Macs + name + "/subnet-ipv6-cidr-blocks", ipv6))
                );
            },
            cancellationToken
        );

    private static IPNetwork? First(IReadOnlyList<IPNetwork> ranges) => ranges.Count > 0 ? ranges[0] : null;

    private async Task<IReadOnlyList<Ec2Interface>?> TryReadAllAsync(NodeIdentity node, CancellationToken cancellationToken)
    {
        var macs = await ListMacsAsync(cancellationToken);
        List<Ec2Interface> interfaces = [];
        foreach (var mac in macs)
        {
            if (await TryReadAsync(node, mac, cancellationToken) is not { } item)
                return null;
            interfaces.Add(item);
        }

        var after = await ListMacsAsync(cancellationToken);
        return after.SequenceEqual(macs, StringComparer.Ordinal) ? DeviceIndexes.WithPrimaryFirst(interfaces, node.PrimaryMac) : null;
    }

    /// <summary>Reads one interface; null when a listed key is missing.</summary>
    private async Task<Ec2Interface?> TryReadAsync(NodeIdentity node, string mac, CancellationToken cancellationToken)
    {
        if (
            await ListKeysAsync(mac, cancellationToken) is not { } keys
            || await ReadIdAsync(mac, keys, cancellationToken) is not { } id
            || await ReadAddressesAsync(node, mac, keys, cancellationToken) is not { } addresses
            || await ValueAsync(mac, keys, "device-number", cancellationToken) is not { Length: > 0 } device
            || await ValueAsync(mac, keys, "subnet-id", cancellationToken) is not { Length: > 0 } subnet
            || await ValueAsync(mac, keys, "subnet-ipv4-cidr-block", cancellationToken) is not { } ipv4Range
            || await ValueAsync(mac, keys, "subnet-ipv6-cidr-blocks", cancellationToken) is not { } ipv6Range
            || await ValueAsync(mac, keys, "security-group-ids", cancellationToken) is not { } groups
            || await ValueAsync(mac, keys, keys.Contains("network-card") ? "network-card" : "network-card-index", cancellationToken)
                is not { } card
        )
            return null;
        var ranges = MetadataReader.ToRanges(mac, addresses.Primary is { AddressFamily: IpFamily.V6 } ? ipv6Range : ipv4Range);
        return new Ec2Interface
        {
            Id = id,
            Mac = mac,
            SubnetId = MetadataReader.ToWord(Macs + mac + "/subnet-id", subnet, "subnet-"),
            SubnetRange =
                ranges.Count > 0
                    ? ranges[0]
                    : throw MetadataReader.Malformed(Macs + mac + "/subnet-ipv4-cidr-block", "", $"the range of {subnet}"),
            PrimaryAddress = addresses.Primary ?? IPAddress.Any,
            Blocks = addresses.Blocks,
            SecurityGroupIds = MetadataReader.Lines(groups),
            Tags = new Dictionary<string, string>(),
            State = Ec2InterfaceState.InUse,
            AttachmentId = UnknownAttachment,
            Slot = new Slot(
                // Absent on types with one card.
                card.Length == 0
                    ? 0
                    : MetadataReader.ToNumber(Macs + mac + "/network-card", card),
                MetadataReader.ToNumber(Macs + mac + "/device-number", device)
            ),
            InterfaceType = addresses.Primary is null ? "efa-only" : "interface",
        };
    }

    private async Task<List<string>> ListMacsAsync(CancellationToken cancellationToken)
    {
        var text = await _reader.GetAsync(Macs, cancellationToken);
        var lines = MetadataReader.Lines(text);
        if (lines.Length > MaxInterfaces)
            throw MetadataReader.Malformed(Macs, text, $"at most {MaxInterfaces} interfaces");
        return
        [
            .. lines
                .Select(line =>
                    MetadataReader.ToMac(line.TrimEnd('/')) ?? throw MetadataReader.Malformed(Macs, text, "one MAC address a line")
                )
                .Order(StringComparer.Ordinal),
        ];
    }

    /// <summary>Lists an interface's keys, which saves a request for each key that it lacks; null when the interface is missing.</summary>
    private async Task<HashSet<string>?> ListKeysAsync(string mac, CancellationToken cancellationToken) =>
        await _reader.TryGetAsync($"{Macs}{mac}/", cancellationToken) is { } text
            ? [.. MetadataReader.Lines(text).Select(line => line.TrimEnd('/'))]
            : null;

    /// <summary>Reads a value: empty for a key that was not listed; null for one that was listed and is missing.</summary>
    private async Task<string?> ValueAsync(string mac, HashSet<string> keys, string key, CancellationToken cancellationToken) =>
        keys.Contains(key) ? await _reader.TryGetAsync($"{Macs}{mac}/{key}", cancellationToken) : "";

    private async Task<NetworkInterfaceId?> ReadIdAsync(string mac, HashSet<string> keys, CancellationToken cancellationToken) =>
        await ValueAsync(mac, keys, "interface-id", cancellationToken) is { Length: > 0 } id
            ? new NetworkInterfaceId(MetadataReader.ToWord($"{Macs}{mac}/interface-id", id, "eni-"))
            : null;

    /// <summary>
    /// Reads an interface's addresses. The first is its primary address; in an IPv6-only subnet, the first IPv6 address. Null when they
    /// changed during the reading.
    /// </summary>
    private async Task<Addresses?> ReadAddressesAsync(
        NodeIdentity node,
        string mac,
        HashSet<string> keys,
        CancellationToken cancellationToken
    )
    {
        if (
            await ValueAsync(mac, keys, "local-ipv4s", cancellationToken) is not { } ipv4
            || await ValueAsync(mac, keys, "ipv4-prefix", cancellationToken) is not { } ipv4Prefixes
            || await ValueAsync(mac, keys, "ipv6s", cancellationToken) is not { } ipv6
            || await ValueAsync(mac, keys, "ipv6-prefix", cancellationToken) is not { } ipv6Prefixes
        )
            return null;
        IPAddress[] all =
        [
            .. MetadataReader.ToAddresses($"{Macs}{mac}/local-ipv4s", ipv4),
            .. MetadataReader.ToAddresses($"{Macs}{mac}/ipv6s", ipv6),
        ];
        return new Addresses(
            all.FirstOrDefault(),
            [
                .. all.Skip(1).Where(address => !address.Equals(node.Ipv6Address)).Select(IpRanges.Single),
                .. MetadataReader.ToRanges($"{Macs}{mac}/ipv4-prefix", ipv4Prefixes),
                .. MetadataReader.ToRanges($"{Macs}{mac}/ipv6-prefix", ipv6Prefixes),
            ]
        );
    }

    private async Task<T> WithDeadlineAsync<T>(Func<CancellationToken, Task<T>> read, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            return await read(either.Token);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new CloudException(
                CloudErrorKind.Transient,
                "instance metadata " + Macs,
                "MetadataSlow",
                $"the interfaces could not be read within {Deadline.TotalSeconds:0} s; the service throttles, or another program on "
                    + "this node asks it too often"
            );
        }
    }

    private sealed record Addresses(IPAddress? Primary, IReadOnlyList<IPNetwork> Blocks);
}
