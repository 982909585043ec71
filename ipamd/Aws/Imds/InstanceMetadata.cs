// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Aws.Imds;

/// <summary>The facts that the daemon takes from the instance metadata, checked and typed. Membership of interfaces and addresses is never among them: EC2 is asked for those.</summary>
internal sealed class InstanceMetadata(ImdsClient client)
{
    private const string Root = "latest/meta-data/";
    private const string IdentityDocument = "latest/dynamic/instance-identity/document";

    public async Task<NodeIdentity> ReadIdentityAsync(CancellationToken cancellationToken)
    {
        var mac = await ReadMacAsync(cancellationToken);
        var primary = $"network/interfaces/macs/{mac}/";
        return new NodeIdentity
        {
            NodeId = await ReadWordAsync("instance-id", "i-", cancellationToken),
            NodeType = await ReadWordAsync("instance-type", "", cancellationToken),
            Region = await ReadRegionAsync(cancellationToken),
            Zone = await ReadWordAsync("placement/availability-zone", "", cancellationToken),
            NetworkId = await ReadWordAsync(primary + "vpc-id", "vpc-", cancellationToken),
            PrimaryAddress = await ReadAddressAsync("local-ipv4", cancellationToken),
            PrimaryMac = mac,
            PrimaryInterface = new NetworkInterfaceId(await ReadWordAsync(primary + "interface-id", "eni-", cancellationToken)),
            PrimarySubnetId = await ReadWordAsync(primary + "subnet-id", "subnet-", cancellationToken),
        };
    }

    /// <summary>The VPC's ranges of both families, in the service's order; they may grow while the node runs.</summary>
    public async Task<IReadOnlyList<IPNetwork>> ReadNetworkRangesAsync(string primaryMac, CancellationToken cancellationToken)
    {
        var primary = $"network/interfaces/macs/{primaryMac}/";
        var ipv4 = await ReadRangesAsync(primary + "vpc-ipv4-cidr-blocks", cancellationToken);
        var ipv6 = await ReadRangesAsync(primary + "vpc-ipv6-cidr-blocks", cancellationToken);
        return ipv4.Count + ipv6.Count > 0 ? [.. ipv4, .. ipv6]
            : throw Malformed(primary + "vpc-ipv4-cidr-blocks", "", "at least one range");
    }

    /// <summary>Every interface that the metadata lists, with its blocks of both families. Several requests, so the answer may show two moments; it is a hint.</summary>
    public async Task<IReadOnlyList<InterfaceHint>> ReadInterfacesAsync(CancellationToken cancellationToken)
    {
        List<InterfaceHint> hints = [];
        var macs = await client.GetAsync(Root + "network/interfaces/macs/", cancellationToken);
        foreach (var mac in macs.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var entry = $"network/interfaces/macs/{mac.TrimEnd('/')}/";
            if (await client.TryGetAsync(Root + entry + "interface-id", cancellationToken) is not { } id) continue;
            // The first address is the interface's own.
            var addresses = (await ReadAddressesAsync(entry + "local-ipv4s", cancellationToken)).Skip(1);
            var blocks = addresses.Select(AddressBlocks.Single)
                .Concat(await ReadRangesAsync(entry + "ipv4-prefix", cancellationToken))
                .Concat(await ReadRangesAsync(entry + "ipv6-prefix", cancellationToken));
            hints.Add(new InterfaceHint(new NetworkInterfaceId(id.Trim()), [.. blocks]));
        }

        return hints;
    }

    private async Task<IReadOnlyList<IPAddress>> ReadAddressesAsync(string key, CancellationToken cancellationToken)
    {
        if (await client.TryGetAsync(Root + key, cancellationToken) is not { } text) return [];
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(line => IPAddress.TryParse(line, out var address) ? address : throw Malformed(key, text, "one address a line"))];
    }

    private async Task<string> ReadMacAsync(CancellationToken cancellationToken)
    {
        var text = (await client.GetAsync(Root + "mac", cancellationToken)).Trim().ToLowerInvariant();
        return text.Length == 17 && text.Split(':') is { Length: 6 } octets && octets.All(octet => octet.Length == 2 && octet.All(char.IsAsciiHexDigit))
            ? text
            : throw Malformed("mac", text, "a MAC address");
    }

    private async Task<string> ReadWordAsync(string key, string prefix, CancellationToken cancellationToken)
    {
        var text = (await client.GetAsync(Root + key, cancellationToken)).Trim();
        return IsWord(text) && text.StartsWith(prefix, StringComparison.Ordinal) ? text : throw Malformed(key, text, prefix.Length > 0 ? $"an id that begins with {prefix}" : "one word");
    }

    private async Task<IPAddress> ReadAddressAsync(string key, CancellationToken cancellationToken)
    {
        var text = (await client.GetAsync(Root + key, cancellationToken)).Trim();
        return IPAddress.TryParse(text, out var address) ? address : throw Malformed(key, text, "an IP address");
    }

    /// <summary>The key appeared in 2020; the identity document has the region on every instance.</summary>
    private async Task<string> ReadRegionAsync(CancellationToken cancellationToken)
    {
        if (await client.TryGetAsync(Root + "placement/region", cancellationToken) is { } text)
            return IsWord(text.Trim()) ? text.Trim() : throw Malformed("placement/region", text, "one word");

        var document = await client.GetAsync(IdentityDocument, cancellationToken);
        try
        {
            using var json = JsonDocument.Parse(document);
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("region", out var region)
                && region.ValueKind == JsonValueKind.String && IsWord(region.GetString()!))
                return region.GetString()!;
        }
        catch (JsonException e)
        {
            throw Malformed(IdentityDocument, document, "JSON", e);
        }

        throw Malformed(IdentityDocument, document, "a JSON object with the member region");
    }

    private async Task<IReadOnlyList<IPNetwork>> ReadRangesAsync(string key, CancellationToken cancellationToken)
    {
        if (await client.TryGetAsync(Root + key, cancellationToken) is not { } text) return [];
        var ranges = new List<IPNetwork>();
        foreach (var line in text.Split((char[])['\n', '\r', ' '], StringSplitOptions.RemoveEmptyEntries))
            ranges.Add(IPNetwork.TryParse(line, out var range) ? range : throw Malformed(key, text, "one CIDR range a line"));
        return ranges;
    }

    private static bool IsWord(string text) => text.Length is > 0 and <= 128 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    private static CloudException Malformed(string key, string text, string expected, Exception? inner = null) => new(
        CloudErrorKind.Unknown, $"instance metadata {key}", "MetadataMalformed",
        $"answered '{(text.Length <= 120 ? text : text[..120] + "...")}', expected {expected}; check what answers at the metadata address", innerException: inner);
}
