// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>Builds requests on routes: <c>ip route add</c>, <c>replace</c> and <c>delete</c>.</summary>
public static class RouteRequests
{
    /// <summary>Adds a route. The kernel returns EEXIST if the table has a route to the destination with the same metric.</summary>
    public static NetlinkRequest Add(RouteInfo route) => Build("add", Rtm.RTM_NEWROUTE, Nlm.NLM_F_CREATE | Nlm.NLM_F_EXCL, route);

    /// <summary>Adds a route, or replaces the one to the same destination with the same metric.</summary>
    public static NetlinkRequest Replace(RouteInfo route) =>
        Build("replace", Rtm.RTM_NEWROUTE, Nlm.NLM_F_CREATE | Nlm.NLM_F_REPLACE, route);

    /// <summary>
    /// Removes a route that matches <paramref name="route"/> in everything it sets. The kernel returns ESRCH if there is none. <see
    /// cref="RouteScope.Nowhere"/>, <see cref="RouteProtocol.Unspecified"/>, <see cref="RouteType.Unspecified"/>, metric 0 and link 0 match
    /// any value.
    /// </summary>
    public static NetlinkRequest Remove(RouteInfo route) => Build("delete", Rtm.RTM_DELROUTE, 0, route);

    private static NetlinkRequest Build(string verb, ushort type, ushort flags, RouteInfo route)
    {
        ArgumentNullException.ThrowIfNull(route);
        return new NetlinkRequest(RouteMessage.Change(type, flags, route), () => Describe(verb, route));
    }

    // For example: ip route add 10.0.0.0/8 via 10.1.0.1 dev if3 table 2 proto static scope link src .. metric 5 mtu 9001 onlink
    private static string Describe(string verb, RouteInfo route)
    {
        var text = new StringBuilder($"{IpFamily.Command(route.Family)} route {verb}");
        if (route.Type is not (RouteType.Unicast or RouteType.Unspecified))
            text.Append(' ').Append(route.Type.ToString().ToLowerInvariant());
        text.Append(' ').Append(route.Destination?.ToString() ?? "default");
        if (route.Gateway is { } gateway)
            text.Append(gateway.AddressFamily == route.Family ? " via " : " via inet6 ").Append(gateway);
        if (route.LinkIndex != 0)
            text.Append(" dev if").Append(route.LinkIndex);
        text.Append(" table ").Append(route.Table);
        if (route.Protocol is not (RouteProtocol.Boot or RouteProtocol.Unspecified))
            text.Append(" proto ").Append((int)route.Protocol);
        if (route.Scope is not (RouteScope.Global or RouteScope.Nowhere))
            text.Append(" scope ").Append((int)route.Scope);
        if (route.PreferredSource is { } source)
            text.Append(" src ").Append(source);
        if (route.Metric != 0)
            text.Append(" metric ").Append(route.Metric);
        if (route.Mtu is { } mtu)
            text.Append(" mtu ").Append(mtu);
        if (route.OnLink)
            text.Append(" onlink");
        foreach (var hop in route.NextHops)
        {
            text.Append(" nexthop");
            if (hop.Gateway is not null)
                text.Append(" via ").Append(hop.Gateway);
            text.Append(" dev if").Append(hop.LinkIndex).Append(" weight ").Append(hop.Weight);
            if (hop.OnLink)
                text.Append(" onlink");
        }

        return text.ToString();
    }
}
