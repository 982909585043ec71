// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>Checks what pods need of the node's own network: routes of other programs, the default route, kernel parameters.</summary>
internal static partial class AuditComparison
{
    /// <summary>Finds routes of other programs to addresses of the pool.</summary>
    private static IEnumerable<Finding> ForeignRoutes(AuditSnapshot snapshot, KernelFacts kernel)
    {
        var pods = snapshot
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
            if (!IpRanges.IsSingle(destination) || pods.Contains(destination.BaseAddress) || !IsOfPool(snapshot, destination.BaseAddress))
                continue;
            var link = links.GetValueOrDefault(route.LinkIndex);
            if (link is { Kind: "veth", PeerNamespaceId: not null } && IsPodLink(link.Name, snapshot.VethPrefix))
                continue;
            yield return new Finding(
                Severity.Warning,
                "foreign-route",
                destination.BaseAddress.ToString(),
                $"another program routes this address of the pool to {link?.Name ?? $"link {route.LinkIndex}"}, "
                    + "which is not a pod's link: no pod gets the address while the route exists",
                $"ip route show {destination.BaseAddress} shows the route; the program that added it must use another address"
            );
        }
    }

    /// <summary>
    /// Finds a default route through a secondary interface. The kernel uses the route with the lowest metric, and the first of equal ones.
    /// </summary>
    private static IEnumerable<Finding> DefaultRoute(AuditSnapshot snapshot, KernelFacts kernel)
    {
        var preferred = kernel
            .Routes.Where(route => route is { Table: RouteTables.Main, Family: IpFamily.V4, Destination: null })
            .Where(route => route.Type == RouteType.Unicast)
            .MinBy(route => route.Metric);
        if (preferred is null)
            yield break;
        foreach (var item in snapshot.Ledger.Interfaces.Where(item => !item.IsPrimary))
        {
            if (
                LinkOf(snapshot, kernel, item) is not { } link
                || (preferred.LinkIndex != link.Index && preferred.NextHops.All(hop => hop.LinkIndex != link.Index))
            )
                continue;
            yield return new Finding(
                Severity.Critical,
                "default-route",
                item.Id.Value,
                $"the default route of table main uses its link {link.Name}, with metric {preferred.Metric}: packets of the node, "
                    + "and translated packets of pods, leave through the wrong interface, and the cloud drops them",
                $"ip route del default dev {link.Name}{(preferred.Metric == 0 ? "" : $" metric {preferred.Metric}")}, "
                    + $"and stop the DHCP client on {link.Name} from using routes"
            );
        }
    }

    private static IEnumerable<Finding> Settings(AuditSnapshot snapshot, KernelFacts kernel)
    {
        var settings = kernel.Settings.ToDictionary(item => item.LinkIndex);
        if (settings.TryGetValue(LinkConfiguration.All, out var all) && !all.Forwards)
        {
            yield return new Finding(
                Severity.Critical,
                "forwarding",
                "net.ipv4.ip_forward",
                "it is 0: the node forwards no packets from and to its pods",
                RepairedByDaemon
            );
            // The kernel resets the links' settings with it.
            yield break;
        }

        foreach (var (link, isInterface) in Forwarding(snapshot, kernel))
        {
            if (!settings.TryGetValue(link.Index, out var setting))
                continue;
            if (!setting.Forwards)
                yield return new Finding(
                    Severity.Critical,
                    "forwarding",
                    $"net.ipv4.conf.{link.Name}.forwarding",
                    $"it is 0: packets that arrive through {link.Name} are not forwarded",
                    RepairedByDaemon
                );
            if (isInterface && setting.ReversePathFilter == 1 && settings.GetValueOrDefault(LinkConfiguration.All)?.ReversePathFilter != 2)
                yield return new Finding(
                    Severity.Warning,
                    "reverse-path-filter",
                    $"net.ipv4.conf.{link.Name}.rp_filter",
                    "it is 1 (strict): the kernel drops packets whose source is routed through another interface",
                    RepairedByDaemon
                );
        }
    }

    /// <summary>Returns the links whose incoming packets are forwarded: those of interfaces and of pods.</summary>
    private static IEnumerable<(LinkInfo Link, bool IsInterface)> Forwarding(AuditSnapshot snapshot, KernelFacts kernel)
    {
        foreach (var item in snapshot.Ledger.Interfaces.Where(item => item.CarriesPods))
        {
            if (LinkOf(snapshot, kernel, item) is { } link)
                yield return (link, true);
        }

        var pods = snapshot
            .Attachments.Where(attachment => !attachment.IsHostOwned)
            .SelectMany(attachment => attachment.Addresses)
            .Select(held => IpRanges.Single(held.Address))
            .ToHashSet();
        var routed = kernel
            .Routes.Where(route => route.Table == RouteTables.Main && route.Destination is { } to && pods.Contains(to))
            .Select(route => route.LinkIndex)
            .ToHashSet();
        foreach (var link in kernel.Links.Where(link => link is { Kind: "veth", PeerNamespaceId: not null } && routed.Contains(link.Index)))
            yield return (link, false);
    }

    private static LinkInfo? LinkOf(AuditSnapshot snapshot, KernelFacts kernel, InterfaceView item) =>
        snapshot.Wirings.FirstOrDefault(wiring => wiring.Slot == item.Slot) is { } wired
            ? kernel.Links.FirstOrDefault(link => link.Mac == MacAddress.Parse(wired.Mac) && link.ParentIndex is null)
            : null;
}
