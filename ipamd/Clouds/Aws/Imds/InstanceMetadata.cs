// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws.Imds;

/// <summary>Reads the node's identity, its security groups, and the ranges of its network.</summary>
/// <param name="client">The client.</param>
/// <param name="requiresIpv6">See <see cref="ImdsOptions.RequiresIpv6"/>.</param>
internal sealed class InstanceMetadata(ImdsClient client, bool requiresIpv6 = false)
{
    private const string IdentityDocument = "latest/dynamic/instance-identity/document";

    private readonly MetadataReader _reader = new(client);

    /// <exception cref="CloudException">
    /// The service did not answer or answered malformed, or the node lacks the IPv6 address that its pods require.
    /// </exception>
    public async Task<NodeIdentity> ReadIdentityAsync(CancellationToken cancellationToken)
    {
        var identity = await ReadAsync(cancellationToken);
        return requiresIpv6 && identity.Ipv6Address is null
            ? throw new CloudException(
                CloudErrorKind.Invalid,
                "instance metadata ipv6",
                "NoIpv6Address",
                $"ENABLE_IPv6 is true, and {identity.PrimaryInterface}, the primary interface, has no IPv6 address for the node itself; "
                    + $"assign one, which requires an IPv6 range of {identity.PrimarySubnetId}"
            )
            : identity;
    }

    private async Task<NodeIdentity> ReadAsync(CancellationToken cancellationToken)
    {
        var mac = await _reader.MacAsync("mac", cancellationToken);
        var primary = $"network/interfaces/macs/{mac}/";
        return new NodeIdentity
        {
            NodeId = await _reader.WordAsync("instance-id", "i-", cancellationToken),
            NodeType = await _reader.WordAsync("instance-type", "", cancellationToken),
            Region = await ReadRegionAsync(cancellationToken),
            Zone = await _reader.WordAsync("placement/availability-zone", "", cancellationToken),
            NetworkId = await _reader.WordAsync(primary + "vpc-id", "vpc-", cancellationToken),
            PrimaryAddress = await _reader.AddressAsync("local-ipv4", cancellationToken),
            Ipv6Address = await _reader.TryAddressAsync("ipv6", cancellationToken),
            PrimaryMac = mac,
            PrimaryInterface = new NetworkInterfaceId(await _reader.WordAsync(primary + "interface-id", "eni-", cancellationToken)),
            PrimarySubnetId = await _reader.WordAsync(primary + "subnet-id", "subnet-", cancellationToken),
        };
    }

    /// <summary>Reads the security groups of the primary interface.</summary>
    public async Task<IReadOnlyList<string>> ReadSecurityGroupsAsync(string primaryMac, CancellationToken cancellationToken)
    {
        var key = $"network/interfaces/macs/{primaryMac}/security-group-ids";
        var text = await _reader.GetAsync(key, cancellationToken);
        string[] groups = [.. MetadataReader.Lines(text).Select(line => MetadataReader.ToWord(key, line, "sg-"))];
        return groups.Length > 0 ? groups : throw MetadataReader.Malformed(key, text, "at least one security group");
    }

    /// <summary>Reads the VPC's ranges of both families, in the service's order; they may grow while the node runs.</summary>
    public async Task<IReadOnlyList<IPNetwork>> ReadNetworkRangesAsync(string primaryMac, CancellationToken cancellationToken)
    {
        var primary = $"network/interfaces/macs/{primaryMac}/";
        var ipv4 = await _reader.RangesAsync(primary + "vpc-ipv4-cidr-blocks", cancellationToken);
        var ipv6 = await _reader.RangesAsync(primary + "vpc-ipv6-cidr-blocks", cancellationToken);
        return ipv4.Count + ipv6.Count > 0
            ? [.. ipv4, .. ipv6]
            : throw MetadataReader.Malformed(primary + "vpc-ipv4-cidr-blocks", "", "at least one range");
    }

    /// <summary>Reads the region. The key exists since 2020; the identity document has the region on every instance.</summary>
    private async Task<string> ReadRegionAsync(CancellationToken cancellationToken)
    {
        const string key = "placement/region";
        if (await _reader.TryGetAsync(key, cancellationToken) is { } text)
            return MetadataReader.ToWord(key, text, "");

        var document = await client.GetAsync(IdentityDocument, cancellationToken);
        try
        {
            using var json = JsonDocument.Parse(document);
            if (
                json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty("region", out var region)
                && region.ValueKind == JsonValueKind.String
                && MetadataReader.IsWord(region.GetString()!)
            )
                return region.GetString()!;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw MetadataReader.Malformed(IdentityDocument, document, "JSON", e);
        }

        throw MetadataReader.Malformed(IdentityDocument, document, "a JSON object with the member region");
    }
}
