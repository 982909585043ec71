// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws.Imds;

/// <summary>
/// The attached interfaces as the metadata shows them. There is no one request for that: MACs are listed, then the keys of each, then the
/// values, and the world may move in between. An interface that vanishes or loses a key while it is read is noticed; what to do then
/// depends on who asks (<see cref="ReadHintsAsync"/>, <see cref="ReadAllAsync"/>).
/// </summary>
internal sealed class InterfaceMetadata(ImdsClient client, TimeProvider time)
{
    /// <summary>
    /// The whole reading. A healthy service answers each request in a millisecond and throttles above some hundred a second.
    /// </summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>More than any instance type has (trn1n.32xlarge: 80).</summary>
    public const int MaxInterfaces = 128;

    /// <summary>In place of what the metadata does not tell.</summary>
    public const string UnknownAttachment = "not-in-instance-metadata";

    /// <summary>Readings of <see cref="ReadAllAsync"/> until one met no change.</summary>
    private const int MaxReadings = 3;

    private const string Macs = "network/interfaces/macs/";

    private readonly MetadataReader _reader = new(client);

    /// <summary>
    /// Blocks by interface. One that changes while it is read is left out: a hint that is missing is looked up in the cloud, as one that
    /// differs.
    /// </summary>
    public Task<IReadOnlyList<InterfaceHint>> ReadHintsAsync(CancellationToken cancellationToken) =>
        WithDeadlineAsync(
            async token =>
            {
                List<InterfaceHint> hints = [];
                foreach (var mac in await ListMacsAsync(token))
                {
                    if (
                        await ListKeysAsync(mac, token) is not { } keys
                        || await ReadIdAsync(mac, keys, token) is not { } id
                        || await ReadAddressesAsync(mac, keys, token) is not { } addresses
                    )
                        continue;
                    hints.Add(new InterfaceHint(id, addresses.Blocks));
                }

                return (IReadOnlyList<InterfaceHint>)hints;
            },
            cancellationToken
        );

    /// <summary>
    /// Everything, for a node that has nothing but its metadata, or whose EC2 does not answer: all interfaces of one moment, or a failure.
    /// Tags, types and attachments are not in the metadata; an interface without any address is taken for one that carries none (efa-only).
    /// </summary>
    /// <exception cref="CloudException">
    /// Kind <see cref="CloudErrorKind.Transient"/> when the interfaces changed during every reading.
    /// </exception>
    public Task<IReadOnlyList<CloudInterface>> ReadAllAsync(string primaryMac, CancellationToken cancellationToken) =>
        WithDeadlineAsync(
            async token =>
            {
                for (var reading = 1; reading <= MaxReadings; reading++)
                {
                    if (await TryReadAllAsync(primaryMac, token) is { } interfaces)
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

    /// <summary>The subnet of an interface and its ranges; null where the metadata does not show the interface.</summary>
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

    private async Task<IReadOnlyList<CloudInterface>?> TryReadAllAsync(string primaryMac, CancellationToken cancellationToken)
    {
        var macs = await ListMacsAsync(cancellationToken);
        List<CloudInterface> interfaces = [];
        foreach (var mac in macs)
        {
            if (await TryReadAsync(mac, cancellationToken) is not { } item)
                return null;
            interfaces.Add(item);
        }

        var after = await ListMacsAsync(cancellationToken);
        return after.SequenceEqual(macs, StringComparer.Ordinal) ? DeviceIndexes.WithPrimaryFirst(interfaces, primaryMac) : null;
    }

    /// <summary>Null when something that was listed is gone.</summary>
    private async Task<CloudInterface?> TryReadAsync(string mac, CancellationToken cancellationToken)
    {
        if (
            await ListKeysAsync(mac, cancellationToken) is not { } keys
            || await ReadIdAsync(mac, keys, cancellationToken) is not { } id
            || await ReadAddressesAsync(mac, keys, cancellationToken) is not { } addresses
            || await ValueAsync(mac, keys, "device-number", cancellationToken) is not { Length: > 0 } device
            || await ValueAsync(mac, keys, "subnet-id", cancellationToken) is not { Length: > 0 } subnet
            || await ValueAsync(mac, keys, "subnet-ipv4-cidr-block", cancellationToken) is not { } ipv4Range
            || await ValueAsync(mac, keys, "subnet-ipv6-cidr-blocks", cancellationToken) is not { } ipv6Range
            || await ValueAsync(mac, keys, "security-group-ids", cancellationToken) is not { } groups
            || await ValueAsync(mac, keys, keys.Contains("network-card") ? "network-card" : "network-card-index", cancellationToken)
                is not { } card
        )
            return null;
        var ranges = MetadataReader.ToRanges(
            mac,
            addresses.Primary is { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } ? ipv6Range : ipv4Range
        );
        return new CloudInterface
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
            State = CloudInterfaceState.InUse,
            AttachmentId = UnknownAttachment,
            DeviceIndex = MetadataReader.ToNumber(Macs + mac + "/device-number", device),

            // Absent on types with one card.
            NetworkCard = card.Length == 0 ? 0 : MetadataReader.ToNumber(Macs + mac + "/network-card", card),
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

    /// <summary>
    /// What there is to ask of an interface, which saves a request for each key that it does not have; null when it is gone.
    /// </summary>
    private async Task<HashSet<string>?> ListKeysAsync(string mac, CancellationToken cancellationToken) =>
        await _reader.TryGetAsync($"{Macs}{mac}/", cancellationToken) is { } text
            ? [.. MetadataReader.Lines(text).Select(line => line.TrimEnd('/'))]
            : null;

    /// <summary>Empty for a key that was not listed; null for one that was and is gone.</summary>
    private async Task<string?> ValueAsync(string mac, HashSet<string> keys, string key, CancellationToken cancellationToken) =>
        keys.Contains(key) ? await _reader.TryGetAsync($"{Macs}{mac}/{key}", cancellationToken) : "";

    private async Task<NetworkInterfaceId?> ReadIdAsync(string mac, HashSet<string> keys, CancellationToken cancellationToken) =>
        await ValueAsync(mac, keys, "interface-id", cancellationToken) is { Length: > 0 } id
            ? new NetworkInterfaceId(MetadataReader.ToWord($"{Macs}{mac}/interface-id", id, "eni-"))
            : null;

    /// <summary>
    /// The first address is the interface's own; of an interface of an IPv6-only subnet, the first IPv6 address. None: it carries no
    /// addresses. Null when it changed meanwhile.
    /// </summary>
    private async Task<Addresses?> ReadAddressesAsync(string mac, HashSet<string> keys, CancellationToken cancellationToken)
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
                .. all.Skip(1).Select(AddressBlocks.Single),
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
                $"the interfaces could not be read within {Deadline.TotalSeconds:0} s; the service throttles, or something else on "
                    + "this node asks it too often"
            );
        }
    }

    private sealed record Addresses(IPAddress? Primary, IReadOnlyList<IPNetwork> Blocks);
}
