// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>What the kernel shows of one interface: the input of <see cref="InterfaceDiff"/>.</summary>
internal sealed record InterfaceState
{
    public required LinkInfo Link { get; init; }
    public required IReadOnlyList<AddressInfo> Addresses { get; init; }

    /// <summary>Of the interface's own table, and of main as far as they leave through the link.</summary>
    public required IReadOnlyList<RouteInfo> Routes { get; init; }
    public required IReadOnlyList<RuleInfo> Rules { get; init; }
}

/// <summary>
/// The kernel's state that a secondary interface needs, and the changes that lead there from what is. Pure, so that every deviation is a
/// row of a table in the tests. Both families alike.
/// </summary>
internal static class InterfaceDiff
{
    /// <summary>Nothing to do: an empty list. The order of the requests is the order in which they must be applied.</summary>
    public static IReadOnlyList<Repair> Compute(InterfaceWiring wiring, InterfaceState state)
    {
        List<Repair> requests = [];
        var link = state.Link;
        if (link.Mtu != wiring.Mtu)
            requests.Add(new Repair(RepairKind.Link, new HostChange.SetMtu(link.Index, wiring.Mtu)));
        if (!link.IsUp)
            requests.Add(new Repair(RepairKind.Link, new HostChange.SetUp(link.Index)));
        // The primary interface is configured by the distribution (DHCP); everything but its MTU is left alone.
        if (wiring.IsPrimary)
            return requests;
        requests.AddRange(Addresses(wiring, state).Select(request => new Repair(RepairKind.Address, request)));
        requests.AddRange(Routes(wiring, state).Select(request => new Repair(RepairKind.Route, request)));
        requests.AddRange(Rules(wiring, state).Select(request => new Repair(RepairKind.Rule, request)));
        return requests;
    }

    /// <summary>
    /// The primary address and no other: a distribution's network tool may have put secondary ones on the link, which would make the host
    /// answer for pods.
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

    private static IEnumerable<HostChange> Routes(InterfaceWiring wiring, InterfaceState state)
    {
        foreach (var wanted in Wanted(wiring, state.Link.Index))
        {
            if (!state.Routes.Any(route => Same(route, wanted)))
                yield return new HostChange.ReplaceRoute(wanted);
        }

        // What a distribution's tool made of the address: it would send the subnet's traffic out of the wrong interface.
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
        // A rule with any further condition is somebody else's: it is neither ours, nor does it stand in for ours.
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
            Source = PodPath.Host(primaryAddress),
            Table = table,
        };

    private static RouteInfo[] Wanted(InterfaceWiring wiring, int linkIndex)
    {
        var family = wiring.PrimaryAddress.AddressFamily;
        var gateway = Gateway(wiring.SubnetRange);
        return
        [
            new RouteInfo
            {
                Family = family,
                Destination = PodPath.Host(gateway),
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

    /// <summary>IPv4: the first address after the subnet's base. IPv6: the link-local address of every VPC router.</summary>
    public static IPAddress Gateway(IPNetwork subnet)
    {
        if (subnet.BaseAddress.AddressFamily == AddressFamily.InterNetworkV6)
            return IPAddress.Parse("fe80:ec2::1");
        var octets = subnet.BaseAddress.GetAddressBytes();
        octets[3]++;
        return new IPAddress(octets);
    }
}
