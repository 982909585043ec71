// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>The node's own network, as far as pods depend on it: what other programs route, the way out, and kernel parameters.</summary>
internal static partial class AuditComparison
{
    /// <summary>Routes of others to addresses of the pool.</summary>
    private static IEnumerable<Finding> ForeignRoutes(AuditLook look, KernelFacts kernel)
    {
        var pods = look
            .Attachments.Where(attachment => !attachment.IsHostOwned)
            .SelectMany(attachment => attachment.Addresses)
            .Select(held => held.Address)
            .ToHashSet();
        var links = kernel.Links.ToDictionary(link => link.Index);
        foreach (
            var route in kernel.Routes.Where(route => route is { Table: RouteTables.Main, Type: RouteType.Unicast, Destination: not null })
        )
        {
            var destination = route.Destination!.Value;
            if (!AddressBlocks.IsSingle(destination) || pods.Contains(destination.BaseAddress) || !IsOurs(look, destination.BaseAddress))
                continue;
            var link = links.GetValueOrDefault(route.LinkIndex);
            if (link is { Kind: "veth", PeerNamespaceId: not null } && IsPodLink(link.Name, look.VethPrefix))
                continue;
            yield return new Finding(
                Severity.Warning,
                "foreign-route",
                destination.BaseAddress.ToString(),
                $"it is an address of the pool, and another program routes it to {link?.Name ?? $"link {route.LinkIndex}"}, "
                    + "which is no pod's: no pod gets it as long as that is so",
                $"ip route show {destination.BaseAddress} shows the route; whoever made it must use another address"
            );
        }
    }

    /// <summary>The lowest metric is taken, and the first of equal ones.</summary>
    private static IEnumerable<Finding> DefaultRoute(AuditLook look, KernelFacts kernel)
    {
        var preferred = kernel
            .Routes.Where(route => route is { Table: RouteTables.Main, Family: AddressFamily.InterNetwork, Destination: null })
            .Where(route => route.Type == RouteType.Unicast)
            .MinBy(route => route.Metric);
        if (preferred is null)
            yield break;
        foreach (var item in look.Ledger.Interfaces.Where(item => !item.IsPrimary))
        {
            if (
                LinkOf(look, kernel, item) is not { } link
                || (preferred.LinkIndex != link.Index && preferred.NextHops.All(hop => hop.LinkIndex != link.Index))
            )
                continue;
            yield return new Finding(
                Severity.Critical,
                "default-route",
                item.Id.Value,
                $"the default route of table main leads by its link {link.Name}, with metric {preferred.Metric}: what the node sends, "
                    + "and what is translated for pods, leaves by the wrong interface and EC2 drops it",
                $"ip route del default dev {link.Name}{(preferred.Metric == 0 ? "" : $" metric {preferred.Metric}")}, "
                    + $"and stop the DHCP client on {link.Name} from using routes"
            );
        }
    }

    private static IEnumerable<Finding> Settings(AuditLook look, KernelFacts kernel)
    {
        var settings = kernel.Settings.ToDictionary(item => item.LinkIndex);
        if (settings.TryGetValue(LinkConfiguration.All, out var all) && !all.Forwards)
        {
            yield return new Finding(
                Severity.Critical,
                "forwarding",
                "net.ipv4.ip_forward",
                "it is 0: the node forwards nothing from and to its pods",
                KeeperShould
            );
            // Those of the links go with it.
            yield break;
        }

        foreach (var (link, isEni) in Forwarding(look, kernel))
        {
            if (!settings.TryGetValue(link.Index, out var setting))
                continue;
            if (!setting.Forwards)
                yield return new Finding(
                    Severity.Critical,
                    "forwarding",
                    $"net.ipv4.conf.{link.Name}.forwarding",
                    $"it is 0: what arrives by {link.Name} is not forwarded",
                    KeeperShould
                );
            if (isEni && setting.ReversePathFilter == 1 && settings.GetValueOrDefault(LinkConfiguration.All)?.ReversePathFilter != 2)
                yield return new Finding(
                    Severity.Warning,
                    "reverse-path-filter",
                    $"net.ipv4.conf.{link.Name}.rp_filter",
                    "it is 1 (strict): packets whose source is routed by another interface are dropped",
                    KeeperShould
                );
        }
    }

    /// <summary>Links by which something arrives that is forwarded: those of interfaces, and pods'.</summary>
    private static IEnumerable<(LinkInfo Link, bool IsEni)> Forwarding(AuditLook look, KernelFacts kernel)
    {
        foreach (var item in look.Ledger.Interfaces.Where(item => item.CarriesPods))
        {
            if (LinkOf(look, kernel, item) is { } link)
                yield return (link, true);
        }

        var pods = look
            .Attachments.Where(attachment => !attachment.IsHostOwned)
            .SelectMany(attachment => attachment.Addresses)
            .Select(held => Host(held.Address))
            .ToHashSet();
        var routed = kernel
            .Routes.Where(route => route.Table == RouteTables.Main && route.Destination is { } to && pods.Contains(to))
            .Select(route => route.LinkIndex)
            .ToHashSet();
        foreach (var link in kernel.Links.Where(link => link is { Kind: "veth", PeerNamespaceId: not null } && routed.Contains(link.Index)))
            yield return (link, false);
    }

    private static LinkInfo? LinkOf(AuditLook look, KernelFacts kernel, InterfaceView item) =>
        look.Wirings.FirstOrDefault(wiring => wiring.DeviceIndex == item.DeviceIndex && wiring.NetworkCard == item.NetworkCard) is { } wired
            ? kernel.Links.FirstOrDefault(link => link.Mac == MacAddress.Parse(wired.Mac) && link.ParentIndex is null)
            : null;
}
