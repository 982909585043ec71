// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <content>Queries. The kernel applies the filters where it can; results are filtered again here.</content>
public sealed partial class RouteNetlink
{
    // ip link show
    public IReadOnlyList<LinkInfo> GetLinks() => Dump(LinkMessage.Get(Nlm.NLM_F_DUMP), Rtm.RTM_NEWLINK, LinkMessage.Parse, "ip link show");

    /// <summary>
    /// Returns the links of another namespace without entering it. Requires CAP_NET_ADMIN in that namespace's user namespace; setns(2)
    /// requires CAP_SYS_ADMIN.
    /// </summary>
    /// <param name="namespaceId">Id as returned by <see cref="FindNamespaceId"/>.</param>
    // ip link show (IFLA_TARGET_NETNSID)
    public IReadOnlyList<LinkInfo> GetLinksOf(int namespaceId) =>
        Dump(
            LinkMessage.Get(Nlm.NLM_F_DUMP, namespaceId: namespaceId),
            Rtm.RTM_NEWLINK,
            LinkMessage.Parse,
            $"ip link show, namespace {namespaceId}"
        );

    /// <summary>Returns the addresses of another namespace, as <see cref="GetLinksOf"/> does its links.</summary>
    // ip address show (IFA_TARGET_NETNSID)
    public IReadOnlyList<AddressInfo> GetAddressesOf(int namespaceId, AddressFamily family) =>
        Dump(
            AddressMessage.Dump(family, 0, namespaceId),
            Rtm.RTM_NEWADDR,
            AddressMessage.Parse,
            $"ip address show, namespace {namespaceId}"
        );

    /// <summary>Finds a link by its name or one of its alternative names. Returns null if there is none.</summary>
    // ip link show dev NAME
    public LinkInfo? FindLink(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length >= Ifla.ALTIFNAMSIZ)
            throw new ArgumentException($"a link name has at most {Ifla.ALTIFNAMSIZ - 1} characters", nameof(name));
        return Get(LinkMessage.Get(0, name: name), Rtm.RTM_NEWLINK, LinkMessage.Parse, $"ip link show dev {name}", absent: Errno.ENODEV);
    }

    /// <summary>Finds a link by its index. Returns null if there is none.</summary>
    public LinkInfo? FindLink(int index)
    {
        LinkRequests.CheckIndex(index);
        return Get(LinkMessage.Get(0, index), Rtm.RTM_NEWLINK, LinkMessage.Parse, $"ip link show dev if{index}", absent: Errno.ENODEV);
    }

    /// <summary>Finds the link that owns a MAC address (<see cref="LinkLookup"/>). Returns null if there is none.</summary>
    /// <exception cref="NetlinkException">ENOTUNIQ: several links of the same precedence have the address.</exception>
    public LinkInfo? FindLinkByMac(MacAddress mac)
    {
        var found = LinkLookup.Of(mac, GetLinks());
        return found switch
        {
            [] => null,
            [var link] => link,
            _ => throw new NetlinkException(
                $"find the link with MAC {mac}",
                Errno.ENOTUNIQ,
                $"{string.Join(", ", found.Select(link => link.Name))} have the same address"
            ),
        };
    }

    /// <summary>
    /// Returns the id that the namespace of this socket assigned to another namespace, as in <see cref="LinkInfo.PeerNamespaceId"/>; null
    /// if it assigned none.
    /// </summary>
    // ip netns list-id
    public int? FindNamespaceId(NetworkNamespace ns)
    {
        ArgumentNullException.ThrowIfNull(ns);
        bool held = false;
        try
        {
            ns.Handle.DangerousAddRef(ref held);
            return Get(
                NamespaceIdMessage.Get((int)ns.Handle.DangerousGetHandle()),
                Rtm.RTM_NEWNSID,
                NamespaceIdMessage.Parse,
                $"ip netns list-id {ns}",
                absent: Errno.ENOENT
            )?.Value;
        }
        finally
        {
            if (held)
                ns.Handle.DangerousRelease();
        }
    }

    /// <exception cref="NetlinkException">ENODEV if <paramref name="linkIndex"/> does not exist.</exception>
    // ip address show [dev ifN]
    public IReadOnlyList<AddressInfo> GetAddresses(AddressFamily family, int? linkIndex = null)
    {
        if (linkIndex is { } index)
            LinkRequests.CheckIndex(index);
        var addresses = Dump(
            AddressMessage.Dump(family, linkIndex ?? 0),
            Rtm.RTM_NEWADDR,
            AddressMessage.Parse,
            $"ip address show{Device(linkIndex)}"
        );
        if (linkIndex is not null)
            addresses.RemoveAll(address => address.LinkIndex != linkIndex);
        return addresses;
    }

    /// <param name="table">
    /// Number of the table; null for all tables. A table without routes does not exist in the kernel; the result is empty.
    /// </param>
    // ip route show table N
    public IReadOnlyList<RouteInfo> GetRoutes(AddressFamily family, int? table = null)
    {
        if (table is { } number)
            ArgumentOutOfRangeException.ThrowIfLessThan(number, 1);
        string operation = $"ip route show table {table?.ToString() ?? "all"}";
        try
        {
            var routes = Dump(RouteMessage.Dump(family, table ?? 0), Rtm.RTM_NEWROUTE, RouteMessage.Parse, operation);
            if (table is not null)
                routes.RemoveAll(route => route.Table != table);
            return routes;
        }
        catch (NetlinkException exception) when (table is not null && exception.Errno == Errno.ENOENT)
        {
            return [];
        }
    }

    // ip rule show
    public IReadOnlyList<RuleInfo> GetRules(AddressFamily family) =>
        Dump(RuleMessage.Dump(family), Rtm.RTM_NEWRULE, RuleMessage.Parse, "ip rule show");

    /// <param name="proxies">Returns the proxy entries instead of the resolved and permanent ones.</param>
    // ip neighbour show [proxy] [dev ifN]
    public IReadOnlyList<NeighbourInfo> GetNeighbours(AddressFamily family, int? linkIndex = null, bool proxies = false)
    {
        if (linkIndex is { } index)
            LinkRequests.CheckIndex(index);
        var neighbours = Dump(
            NeighbourMessage.Dump(family, linkIndex ?? 0, proxies),
            Rtm.RTM_NEWNEIGH,
            NeighbourMessage.Parse,
            $"ip neighbour show{(proxies ? " proxy" : "")}{Device(linkIndex)}"
        );
        if (linkIndex is not null)
            neighbours.RemoveAll(neighbour => neighbour.LinkIndex != linkIndex);
        return neighbours;
    }

    /// <summary>Returns the settings of all links, of conf/all and of conf/default.</summary>
    // ip netconf show
    public IReadOnlyList<LinkConfiguration> GetConfigurations(AddressFamily family) =>
        Dump(ConfigurationMessage.Dump(family), Rtm.RTM_NEWNETCONF, ConfigurationMessage.Parse, "ip netconf show");

    private static string Device(int? linkIndex) => linkIndex is null ? "" : $" dev if{linkIndex}";
}
