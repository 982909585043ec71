// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The observed state of one interface.</summary>
internal sealed record InterfaceState
{
    public required LinkInfo Link { get; init; }
    public required IReadOnlyList<AddressInfo> Addresses { get; init; }

    /// <summary>Routes of the interface's table, and those of main by its link.</summary>
    public required IReadOnlyList<RouteInfo> Routes { get; init; }
    public required IReadOnlyList<RuleInfo> Rules { get; init; }
}

/// <summary>
/// Computes the changes from the observed state of a secondary interface to the desired one. Pure. Both families alike.
/// </summary>
internal static class InterfaceDiff
{
    private static readonly IPAddress VpcRouter = IPAddress.Parse("fe80:ec2::1");

    /// <summary>The changes in the order in which the kernel accepts them; none when nothing differs.</summary>
    /// <param name="wiring">The desired state.</param>
    /// <param name="state">The observed state.</param>
    /// <param name="families">Families of the interface's route table.</param>
    public static IReadOnlyList<Repair> Compute(InterfaceWiring wiring, InterfaceState state, IEnumerable<AddressFamily> families)
    {
        List<Repair> requests = [];
        var link = state.Link;
        if (link.Mtu != wiring.Mtu)
            requests.Add(new Repair(RepairKind.Link, new HostChange.SetMtu(link.Index, wiring.Mtu)));
        if (!link.IsUp)
            requests.Add(new Repair(RepairKind.Link, new HostChange.SetUp(link.Index)));
        // The distribution (DHCP) configures the primary interface, except for its MTU.
        if (wiring.IsPrimary)
            return requests;
        requests.AddRange(Addresses(wiring, state).Select(request => new Repair(RepairKind.Address, request)));
        requests.AddRange(Routes(wiring, state, families).Select(request => new Repair(RepairKind.Route, request)));
        requests.AddRange(Rules(wiring, state).Select(request => new Repair(RepairKind.Rule, request)));
        return requests;
    }

    /// <summary>
    /// The primary address and no other: a distribution's network tool may have added secondary ones, which would make the host answer for
    /// pods.
    /// </summary>
    private static IEnumerable<HostChange> Addresses(InterfaceWiring wiring, InterfaceState state)
    {
        var present = false;
        foreach (
            var item in state.Addresses.Where(item =>
                item.Scope == AddressScope.Global && item.Address.AddressFamily == wiring.PrimaryAddress.AddressFamily
            )
        )
        {
            if (item.Address.Equals(wiring.PrimaryAddress) && item.PrefixLength == wiring.SubnetRange.PrefixLength)
                present = true;
            else
                yield return new HostChange.RemoveAddress(item.LinkIndex, item.Address, item.PrefixLength).Tolerating(Errno.EADDRNOTAVAIL);
        }

        // Without the prefix route: the subnet is reached through the primary interface, or through this one's own table.
        if (!present)
        {
            yield return new HostChange.AddAddress(state.Link.Index, wiring.PrimaryAddress, wiring.SubnetRange.PrefixLength).Tolerating(
                Errno.EEXIST
            );
        }
    }

    private static IEnumerable<HostChange> Routes(InterfaceWiring wiring, InterfaceState state, IEnumerable<AddressFamily> families)
    {
        foreach (var wanted in families.SelectMany(family => Wanted(wiring, family, state.Link.Index)))
        {
            if (!state.Routes.Any(route => Same(route, wanted)))
                yield return new HostChange.ReplaceRoute(wanted);
        }

        // A distribution's tool adds it with the address. It would send the subnet's traffic out by the wrong interface.
        foreach (
            var stray in state.Routes.Where(route =>
                route.Table == RouteTable.Main && route.LinkIndex == state.Link.Index && route.Destination == wiring.SubnetRange
            )
        )
        {
            yield return new HostChange.RemoveRoute(stray).Tolerating(Errno.ESRCH);
        }
    }

    private static IEnumerable<HostChange> Rules(InterfaceWiring wiring, InterfaceState state)
    {
        var wanted = FromInterface(wiring.PrimaryAddress, wiring.RouteTable);
        var present = false;
        // A rule with another selector is another program's, and does not replace ours.
        foreach (
            var rule in state.Rules.Where(rule =>
                rule is { MarkMask: 0, Destination: null }
                && rule.Priority == wanted.Priority
                && rule.Source == wanted.Source
                && RuleDiff.IsPlain(rule)
            )
        )
        {
            if (rule.Table == wanted.Table && !present)
                present = true;
            else
                yield return new HostChange.RemoveRule(rule).Tolerating(Errno.ENOENT);
        }

        if (!present)
            yield return new HostChange.AddRule(wanted).Tolerating(Errno.EEXIST);
    }

    /// <summary>The host's own packets with the interface's primary address leave through that interface.</summary>
    public static RuleInfo FromInterface(IPAddress primaryAddress, int table) =>
        new()
        {
            Family = primaryAddress.AddressFamily,
            Priority = RulePriorities.FromInterface,
            Source = IpRanges.Single(primaryAddress),
            Table = table,
        };

    /// <summary>The routes of one family in the interface's table; none without an address of its subnet's router.</summary>
    private static RouteInfo[] Wanted(InterfaceWiring wiring, AddressFamily family, int linkIndex)
    {
        if (Gateway(wiring, family) is not { } gateway)
            return [];
        return
        [
            new RouteInfo
            {
                Family = family,
                Destination = IpRanges.Single(gateway),
                LinkIndex = linkIndex,
                Table = wiring.RouteTable,
                Scope = RouteScope.Link,
            },
            new RouteInfo
            {
                Family = family,
                Destination = null,
                Gateway = gateway,
                LinkIndex = linkIndex,
                Table = wiring.RouteTable,
                Scope = RouteScope.Global,
            },
        ];
    }

    private static bool Same(RouteInfo present, RouteInfo wanted) =>
        present.Table == wanted.Table
        && present.LinkIndex == wanted.LinkIndex
        && present.Destination == wanted.Destination
        && Equals(present.Gateway, wanted.Gateway);

    /// <summary>
    /// The router as pods of this family reach it. IPv4: the first address after the subnet's base; null when the subnet's IPv4 range is
    /// not known. IPv6: the link-local address that every router of a VPC has.
    /// </summary>
    public static IPAddress? Gateway(InterfaceWiring wiring, AddressFamily family)
    {
        if (family == IpFamily.V6)
            return VpcRouter;
        if (wiring.SubnetRange.BaseAddress.AddressFamily != family)
            return null;
        var octets = wiring.SubnetRange.BaseAddress.GetAddressBytes();
        octets[3]++;
        return new IPAddress(octets);
    }
}
