// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json;

namespace VpcCni.Lab.Fabric;

/// <summary>A drop counter of the router.</summary>
internal readonly record struct DropCount(long Packets, long Bytes);

/// <summary>Packets that the router dropped, by reason.</summary>
internal sealed record RouterDrops
{
    /// <summary>Packets that left an ENI with a source that it does not own, by ENI id.</summary>
    public required IReadOnlyDictionary<string, DropCount> SpoofedByEni { get; init; }

    /// <summary>Packets for an address of the VPC that no ENI owns.</summary>
    public required DropCount Unowned { get; init; }

    /// <summary>
    /// Packets to the internet from any source other than a primary ENI's primary address; in the lab only those have a public address.
    /// </summary>
    public required DropCount InternetOutbound { get; init; }

    /// <summary>Packets from the internet to an address that has no public address.</summary>
    public required DropCount InternetInbound { get; init; }
}

/// <summary>
/// Text of the router's nftables table, which has a set of allowed sources, a chain and a counter for each ENI, and the internet gateway's
/// rules. This class generates statements and parses counters; it has no state and runs nothing.
/// </summary>
internal static class RouterFirewall
{
    public const string Table = "vpclab";

    /// <summary>The router's link to the internet host.</summary>
    public const string InternetLink = "inet";

    private const string SpoofPrefix = "spoof_";

    /// <summary>
    /// The table without ENIs. It checks sources in <c>prerouting</c> at priority raw, before connection tracking and routing. Packets for
    /// an address that no ENI owns follow the VPC range's route to <c>lo</c>, where it drops them.
    /// </summary>
    public static string Base() =>
        $$"""
            table ip {{Table}} {
              map guard { type ifname : verdict; }
              set public { type ipv4_addr; }
              counter unowned { }
              counter internet_out { }
              counter internet_in { }
              chain sources {
                type filter hook prerouting priority raw; policy accept;
                iifname vmap @guard
              }
              chain gateway {
                type filter hook forward priority filter; policy accept;
                oifname "lo" counter name unowned drop
                oifname "{{InternetLink}}" ip saddr != @public counter name internet_out drop
                iifname "{{InternetLink}}" ip daddr != @public counter name internet_in drop
              }
            }

            """;

    /// <summary>Appends statements that create or update the guard of a link; an existing counter keeps its value.</summary>
    public static void AppendGuard(StringBuilder script, EniAttachment eni)
    {
        var link = FabricNames.RouterLink(eni.EniId);
        script
            .Append($"add set ip {Table} own_{link} {{ type ipv4_addr; flags interval; auto-merge; }}\n")
            .Append($"add counter ip {Table} {SpoofPrefix}{link}\n")
            .Append($"add chain ip {Table} eni_{link}\n")
            .Append($"flush set ip {Table} own_{link}\n")
            .Append($"flush chain ip {Table} eni_{link}\n");
        if (eni.Addresses.Count > 0)
            script.Append($"add element ip {Table} own_{link} {{ {string.Join(", ", eni.Addresses.Select(Element))} }}\n");
        script
            .Append($"add rule ip {Table} eni_{link} ip saddr @own_{link} return\n")
            .Append($"add rule ip {Table} eni_{link} counter name {SpoofPrefix}{link} drop\n")
            .Append($"add element ip {Table} guard {{ {link} : jump eni_{link} }}\n");
        if (eni.IsPrimary)
            script.Append($"add element ip {Table} public {{ {eni.PrimaryAddress} }}\n");
    }

    /// <summary>Appends statements that remove a guard and everything that belongs to it. The guard must exist.</summary>
    public static void AppendRemoval(StringBuilder script, EniAttachment eni)
    {
        var link = FabricNames.RouterLink(eni.EniId);
        script
            .Append($"delete element ip {Table} guard {{ {link} }}\n")
            .Append($"flush chain ip {Table} eni_{link}\n")
            .Append($"delete chain ip {Table} eni_{link}\n")
            .Append($"delete counter ip {Table} {SpoofPrefix}{link}\n")
            .Append($"delete set ip {Table} own_{link}\n");
        if (eni.IsPrimary)
            script.Append($"delete element ip {Table} public {{ {eni.PrimaryAddress} }}\n");
    }

    /// <summary>Parses the output of <c>nft -j list counters</c>.</summary>
    public static RouterDrops ParseCounters(string json, IEnumerable<string> eniIds)
    {
        var byName = new Dictionary<string, DropCount>();
        using var document = JsonDocument.Parse(json);
        foreach (var entry in document.RootElement.GetProperty("nftables").EnumerateArray())
        {
            if (!entry.TryGetProperty("counter", out var counter))
                continue;
            byName[counter.GetProperty("name").GetString()!] = new DropCount(
                counter.GetProperty("packets").GetInt64(),
                counter.GetProperty("bytes").GetInt64()
            );
        }

        var spoofed = new SortedDictionary<string, DropCount>(StringComparer.Ordinal);
        foreach (var eni in eniIds)
        {
            if (byName.TryGetValue(SpoofPrefix + FabricNames.RouterLink(eni), out var count))
                spoofed[eni] = count;
        }

        return new RouterDrops
        {
            SpoofedByEni = spoofed,
            Unowned = byName["unowned"],
            InternetOutbound = byName["internet_out"],
            InternetInbound = byName["internet_in"],
        };
    }

    private static string Element(IPNetwork network) => network.PrefixLength == 32 ? network.BaseAddress.ToString() : network.ToString();
}
