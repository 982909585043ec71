// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>The inputs of the NAT table.</summary>
/// <param name="PrimaryLink">Name of the primary interface's link.</param>
/// <param name="PrimaryAddress">Source address of translated connections.</param>
/// <param name="Ipv6Address">Source address of translated IPv6 connections; null when the node has none.</param>
/// <param name="VpcRanges">Ranges that pods reach with their own addresses.</param>
/// <param name="Options">The operator's settings.</param>
internal sealed record NatSettings(
    string PrimaryLink,
    IPAddress PrimaryAddress,
    IPAddress? Ipv6Address,
    IReadOnlyList<IPNetwork> VpcRanges,
    HostNetworkOptions Options
)
{
    /// <summary>Whether there is anything to do in the table of IPv4.</summary>
    public bool NeedsIpv4 => Options.UsesMark || Options.Ipv4Egress;

    /// <summary>Whether there is a table of IPv6.</summary>
    public bool NeedsIpv6 => Options.UsesIpv6Mark || TranslatesIpv6;

    /// <summary>Whether IPv6 traffic of node-local addresses is translated.</summary>
    public bool TranslatesIpv6 => Options.Ipv6Egress && Ipv6Address is not null;
}

/// <summary>
/// Builds the script of our nftables table (docs/adr/0004-nftables.md). Pure. The script replaces the table in one transaction. Priorities
/// are relative to kube-proxy's hooks, which are the same in all of its modes: it translates destinations at dstnat (-100) and sources at
/// srcnat (100).
/// </summary>
internal static class NatRules
{
    public const string Table = "vpccni";

    /// <summary>The script that applies the table, or removes it when there is nothing to translate or mark.</summary>
    public static string Script(NatSettings settings)
    {
        // "add" before "delete": neither fails, whether the table is there or not.
        var script = new StringBuilder($"add table ip {Table}\ndelete table ip {Table}\n");
        if (settings.NeedsIpv4)
            AppendTable(script, settings);
        if (settings.NeedsIpv6)
            AppendIpv6Table(script, settings);
        return script.ToString();
    }

    private static void AppendTable(StringBuilder script, NatSettings settings)
    {
        var options = settings.Options;
        var (mark, veths) = (MarkOf(options), Veths(options));
        var inside = Merged([.. settings.VpcRanges, .. options.ExcludedRanges]);
        var translates = !options.ExternalSnat && !inside.Any(range => range.PrefixLength == 0);
        script.Append($"table ip {Table} {{\n");
        if (translates)
            script.Append($"  set inside {{ type ipv4_addr; flags interval; elements = {{ {string.Join(", ", inside)} }}; }}\n");
        if (options.NodePorts)
            AppendFromOutside(script, settings, mark);
        if (options.UsesMark)
        {
            // After kube-proxy has chosen the pod behind a service: only the real destination says whether the packet leaves the VPC.
            script.Append("  chain from_pods {\n    type filter hook prerouting priority dstnat + 10; policy accept;\n");
            if (translates)
                script.Append(
                    $"    {veths} ct direction original ct state new ip daddr != @inside fib daddr type != local counter ct mark set ct "
                        + $"mark or {mark}\n"
                );
            AppendMarkOfConnection(script, veths, mark);
        }

        if (translates)
        {
            // After kube-proxy: whom it masquerades, it masquerades. Branch interfaces of the reference's pods have addresses of their own
            // outside. The node's own packets have the right address: a connection of its that conntrack did not know before this table, an
            // ssh session say, would otherwise be taken for a new one and get another port in the middle.
            script
                .Append("  chain to_outside {\n    type nat hook postrouting priority srcnat + 10; policy accept;\n")
                .Append(
                    "    oifname != \"vlan*\" ip daddr != @inside fib saddr type != local fib daddr type != local counter snat to "
                        + $"{settings.PrimaryAddress}{Ports(options.SnatPorts)}\n  }}\n"
                );
        }

        if (options.Ipv4Egress)
            AppendEgress(script, IpFamily.V4, settings.PrimaryAddress, options.SnatPorts);
        script.Append("}\n");
    }

    /// <summary>
    /// The table of IPv6: no address of the VPC is translated, and what came in by the primary interface for a pod of another one is
    /// answered by the primary interface.
    /// </summary>
    private static void AppendIpv6Table(StringBuilder script, NatSettings settings)
    {
        var options = settings.Options;
        script.Append($"add table ip6 {Table}\ndelete table ip6 {Table}\ntable ip6 {Table} {{\n");
        if (options.UsesIpv6Mark)
        {
            var mark = MarkOf(options);
            AppendFromOutside(script, settings, mark);
            script.Append("  chain from_pods {\n    type filter hook prerouting priority dstnat + 10; policy accept;\n");
            AppendMarkOfConnection(script, Veths(options), mark);
        }

        if (settings is { TranslatesIpv6: true, Ipv6Address: { } node })
            AppendEgress(script, IpFamily.V6, node, options.SnatPorts);
        script.Append("}\n");
    }

    /// <summary>Before kube-proxy replaces the node's address by the pod's.</summary>
    private static void AppendFromOutside(StringBuilder script, NatSettings settings, string mark) =>
        script
            .Append("  chain from_outside {\n    type filter hook prerouting priority mangle; policy accept;\n")
            .Append(
                $"    iifname \"{settings.PrimaryLink}\" ct direction original fib daddr . iif type local ct mark set ct mark or "
                    + $"{mark}\n  }}\n"
            );

    /// <summary>Ends the chain of what comes from pods: a packet gets its connection's mark.</summary>
    private static void AppendMarkOfConnection(StringBuilder script, string veths, string mark) =>
        script.Append($"    {veths} ct mark and {mark} == {mark} meta mark set meta mark or {mark}\n  }}\n");

    private static string MarkOf(HostNetworkOptions options) => $"0x{options.ConnectionMark.ToString("x", CultureInfo.InvariantCulture)}";

    private static string Veths(HostNetworkOptions options) => $"iifname \"{options.VethPrefix}*\"";

    /// <summary>
    /// Translates what pods send from node-local addresses, and rejects connections to these, which mean another pod on another node.
    /// </summary>
    private static void AppendEgress(StringBuilder script, AddressFamily family, IPAddress node, SnatPorts ports)
    {
        var (ip, range) = (family == IpFamily.V6 ? "ip6" : "ip", NodeLocalAddresses.Range(family));
        script
            .Append("  chain node_local {\n    type nat hook postrouting priority srcnat + 10; policy accept;\n")
            .Append($"    {ip} saddr {range} fib daddr type != local counter snat to {node}{Ports(ports)}\n  }}\n")
            .Append("  chain to_node_local {\n    type filter hook forward priority filter; policy accept;\n")
            .Append($"    {ip} daddr {range} ct state new counter reject\n  }}\n");
    }

    /// <summary>IPv4 ranges in order, without those within another: an interval set accepts no overlaps.</summary>
    internal static IReadOnlyList<IPNetwork> Merged(IReadOnlyList<IPNetwork> ranges)
    {
        List<IPNetwork> merged = [];
        var widestFirst = ranges
            .Where(range => range.BaseAddress.AddressFamily == IpFamily.V4)
            .OrderBy(range => range.PrefixLength)
            .ThenBy(range => range.ToString(), StringComparer.Ordinal);
        foreach (var range in widestFirst)
        {
            if (!merged.Any(wider => wider.Contains(range.BaseAddress)))
                merged.Add(range);
        }

        return merged;
    }

    private static string Ports(SnatPorts ports) =>
        ports switch
        {
            SnatPorts.Kept => "",
            SnatPorts.HashRandom => " random",
            SnatPorts.FullyRandom => " fully-random",
            _ => throw new ArgumentOutOfRangeException(nameof(ports), ports, "unknown choice of ports"),
        };
}
