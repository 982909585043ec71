// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Reports default routes of main that lead by a secondary interface. Packets with the primary interface's address (the node's own, and
/// those translated for pods) must leave by that interface: the cloud drops them elsewhere. Such a route is another program's, often a DHCP
/// client's, so it is reported and not removed.
/// </summary>
internal static class DefaultRoutes
{
    public static IEnumerable<string> Problems(HostNetworkState state, ObservedHost observed, HostIndex index)
    {
        if (state.Inputs.Node is not { } node || index.Links(node.PrimaryMac) is not [var primary])
            yield break;
        foreach (var problem in state.Families.SelectMany(family => Problems(family, primary, state, observed, index)))
            yield return problem;
    }

    private static IEnumerable<string> Problems(
        AddressFamily family,
        LinkInfo primary,
        HostNetworkState state,
        ObservedHost observed,
        HostIndex index
    )
    {
        // The kernel uses the lowest metric, and the first of equal ones.
        var preferred = observed
            .Routes.Where(route =>
                route is { Table: RouteTables.Main, Destination: null, Type: RouteType.Unicast } && route.Family == family
            )
            .MinBy(route => route.Metric);
        if (preferred is null)
            yield break;
        var ip = IpFamily.Command(family);
        foreach (var wiring in state.Interfaces.Where(wiring => !wiring.IsPrimary))
        {
            if (index.Links(MacAddress.Parse(wiring.Mac)) is not [var link] || link.Index == primary.Index)
                continue;
            if (preferred.LinkIndex != link.Index && preferred.NextHops.All(hop => hop.LinkIndex != link.Index))
                continue;
            var metric = preferred.Metric == 0 ? "" : $" metric {preferred.Metric}";
            yield return $"the default route that table main prefers leads by {link.Name}, which is a secondary interface "
                + $"({wiring.Slot}), and not by the primary one, {primary.Name}: what the node sends, and what is translated "
                + "for pods, leaves by the wrong interface and the cloud drops it. "
                + $"`{ip} route show default` shows it and `{ip} route del default dev {link.Name}{metric}` removes it; "
                + $"the DHCP client that set it must not use routes on {link.Name}";
        }
    }
}
