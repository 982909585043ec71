// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json;

namespace VpcCni.Lab.Fabric;

/// <summary>A drop counter of the router.</summary>
internal readonly record struct DropCount(long Packets, long Bytes)
{
    public static DropCount operator +(DropCount one, DropCount other) => new(one.Packets + other.Packets, one.Bytes + other.Bytes);
}

/// <summary>Packets of both families that the router dropped, by reason.</summary>
internal sealed record RouterDrops
{
    /// <summary>Packets that left an interface with a source that it does not own, by interface id.</summary>
    public required IReadOnlyDictionary<string, DropCount> SpoofedByInterface { get; init; }

    /// <summary>
    /// Packets for an address of the VPC that no interface owns, and IPv4 packets that a route sends to an interface that may not forward
    /// them, or to none.
    /// </summary>
    public required DropCount Unowned { get; init; }

    /// <summary>
    /// IPv4 packets to the internet from any source other than a primary interface's primary address; in the lab only those have a public
    /// address.
    /// </summary>
    public required DropCount InternetOutbound { get; init; }

    /// <summary>
    /// Packets from the internet to an address that has no public address, and IPv6 packets from the internet that answer nothing.
    /// </summary>
    public required DropCount InternetInbound { get; init; }
}

/// <summary>
/// Text of the router's nftables tables, one for each family, which have a set of allowed sources, a chain and a counter for each
/// interface, and the rules of the internet gateway. This class generates statements and parses counters; it has no state and runs nothing.
/// </summary>
internal static class RouterFirewall
{
    public const string Table = "vpclab";

    /// <summary>The router's link to the internet host.</summary>
    public const string InternetLink = "inet";

    private const string SpoofPrefix = "spoof_";

    /// <summary>The families of the tables, by their names in nft.</summary>
    public static IReadOnlyList<string> Families(bool hasIpv6) => hasIpv6 ? ["ip", "ip6"] : ["ip"];

    /// <summary>
    /// The IPv4 table without interfaces. It checks sources in <c>prerouting</c> at priority raw, before connection tracking and routing.
    /// Packets for an address that no interface owns follow the VPC range's route to <c>lo</c>, where it drops them.
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

    /// <summary>
    /// The IPv6 table without interfaces. The gateway is an egress-only internet gateway: addresses are public, connections from the VPC
    /// and their replies pass, and connections from the internet do not. The kernel rejects routes to <c>lo</c> in this family, so packets
    /// for an address that no interface owns follow the default route, where the table drops them.
    /// </summary>
    public static string BaseIpv6() =>
        $$"""
            table ip6 {{Table}} {
              map guard { type ifname : verdict; }
              set ranges { type ipv6_addr; flags interval; auto-merge; }
              counter unowned { }
              counter internet_out { }
              counter internet_in { }
              chain sources {
                type filter hook prerouting priority raw; policy accept;
                iifname vmap @guard
              }
              chain gateway {
                type filter hook forward priority filter; policy accept;
                oifname "{{InternetLink}}" ip6 daddr @ranges counter name unowned drop
                oifname "{{InternetLink}}" ip6 saddr != @ranges counter name internet_out drop
                iifname "{{InternetLink}}" ct state established,related accept
                iifname "{{InternetLink}}" counter name internet_in drop
              }
            }

            """;

    /// <summary>Statements that replace the ranges of the IPv6 table.</summary>
    public static string Ipv6Ranges(IReadOnlyCollection<IPNetwork> ranges) =>
        $"flush set ip6 {Table} ranges\n" + (ranges.Count > 0 ? $"add element ip6 {Table} ranges {{ {string.Join(", ", ranges)} }}\n" : "");

    /// <summary>Appends statements that create or update the guard of a link; an existing counter keeps its value.</summary>
    public static void AppendGuard(StringBuilder script, FabricInterface nic, bool hasIpv6)
    {
        var link = FabricNames.RouterLink(nic.InterfaceId);
        foreach (var family in Families(hasIpv6))
        {
            IPNetwork[] owned = [.. nic.Addresses.Where(address => FabricAddresses.IsIpv6(address) == (family == "ip6"))];
            var type = family == "ip6" ? "ipv6_addr" : "ipv4_addr";
            script
                .Append($"add set {family} {Table} own_{link} {{ type {type}; flags interval; auto-merge; }}\n")
                .Append($"add counter {family} {Table} {SpoofPrefix}{link}\n")
                .Append($"add chain {family} {Table} nic_{link}\n")
                .Append($"flush set {family} {Table} own_{link}\n")
                .Append($"flush chain {family} {Table} nic_{link}\n");
            if (owned.Length > 0)
                script.Append($"add element {family} {Table} own_{link} {{ {string.Join(", ", owned.Select(Element))} }}\n");
            script.Append(
                nic.MayForward
                    ? $"add rule {family} {Table} nic_{link} return\n"
                    : $"add rule {family} {Table} nic_{link} {family} saddr @own_{link} return\n"
            );
            // Neighbour discovery. The kernel does not forward packets with these sources.
            if (family == "ip6")
                script.Append($"add rule {family} {Table} nic_{link} ip6 saddr {{ ::, fe80::/10 }} return\n");
            script
                .Append($"add rule {family} {Table} nic_{link} counter name {SpoofPrefix}{link} drop\n")
                .Append($"add element {family} {Table} guard {{ {link} : jump nic_{link} }}\n");
        }

        if (nic.IsPrimary)
            script.Append($"add element ip {Table} public {{ {nic.PrimaryAddress} }}\n");
    }

    /// <summary>Appends statements that remove a guard and everything that belongs to it. The guard must exist.</summary>
    public static void AppendRemoval(StringBuilder script, FabricInterface nic, bool hasIpv6)
    {
        var link = FabricNames.RouterLink(nic.InterfaceId);
        foreach (var family in Families(hasIpv6))
        {
            script
                .Append($"delete element {family} {Table} guard {{ {link} }}\n")
                .Append($"flush chain {family} {Table} nic_{link}\n")
                .Append($"delete chain {family} {Table} nic_{link}\n")
                .Append($"delete counter {family} {Table} {SpoofPrefix}{link}\n")
                .Append($"delete set {family} {Table} own_{link}\n");
        }

        if (nic.IsPrimary)
            script.Append($"delete element ip {Table} public {{ {nic.PrimaryAddress} }}\n");
    }

    /// <summary>Parses the outputs of <c>nft -j list counters</c>, one for each family, and adds them up.</summary>
    public static RouterDrops ParseCounters(IEnumerable<string> outputs, IEnumerable<string> interfaceIds)
    {
        var byName = new Dictionary<string, DropCount>();
        foreach (var output in outputs)
        {
            using var document = JsonDocument.Parse(output);
            foreach (var entry in document.RootElement.GetProperty("nftables").EnumerateArray())
            {
                if (!entry.TryGetProperty("counter", out var counter))
                    continue;
                var name = counter.GetProperty("name").GetString()!;
                byName[name] =
                    byName.GetValueOrDefault(name)
                    + new DropCount(counter.GetProperty("packets").GetInt64(), counter.GetProperty("bytes").GetInt64());
            }
        }

        var spoofed = new SortedDictionary<string, DropCount>(StringComparer.Ordinal);
        foreach (var nic in interfaceIds)
        {
            if (byName.TryGetValue(SpoofPrefix + FabricNames.RouterLink(nic), out var count))
                spoofed[nic] = count;
        }

        return new RouterDrops
        {
            SpoofedByInterface = spoofed,
            Unowned = byName["unowned"],
            InternetOutbound = byName["internet_out"],
            InternetInbound = byName["internet_in"],
        };
    }

    private static string Element(IPNetwork network) =>
        network.PrefixLength is 32 && !FabricAddresses.IsIpv6(network) || network.PrefixLength == 128
            ? network.BaseAddress.ToString()
            : network.ToString();
}
