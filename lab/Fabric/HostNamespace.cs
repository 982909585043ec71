// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>A machine of the lab (a node, the internet host or the on-premises host): a named namespace with loopback up.</summary>
internal sealed class HostNamespace : IDisposable
{
    /// <summary>Name of a machine's first link.</summary>
    public const string Link = "eth0";

    private readonly RouteNetlink _netlink;

    private HostNamespace(string name, NetworkNamespace network, RouteNetlink netlink)
    {
        Name = name;
        Network = network;
        _netlink = netlink;
    }

    /// <summary>Name of the namespace, as <c>ip netns</c> shows it.</summary>
    public string Name { get; }

    public NetworkNamespace Network { get; }

    public RouteNetlink Netlink => _netlink;

    public static HostNamespace Create(string name)
    {
        var network = NetworkNamespace.CreateNamed(name);
        RouteNetlink? netlink = null;
        try
        {
            netlink = network.OpenRouteNetlink();
            netlink.Execute(LinkRequests.SetUp("lo", true));
            return new HostNamespace(name, network, netlink);
        }
        catch
        {
            netlink?.Dispose();
            network.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Sets the kernel parameters of a Kubernetes node: forwarding and a loose reverse path filter (systemd's default for new links on
    /// current distributions). A new namespace copies the machine's parameters, so this sets every one that matters. IPv6 has the kernel's
    /// defaults: a daemon that needs forwarding enables it.
    /// </summary>
    public void ConfigureAsNode(bool hasIpv6)
    {
        Sysctl.Write(
            Network,
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "2"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/default/send_redirects", "0"),
            ("ipv4/conf/all/proxy_arp", "0"),
            ("ipv4/conf/default/proxy_arp", "0")
        );
        if (hasIpv6)
            EnableIpv6();
    }

    /// <summary>Enables IPv6 on the namespace's links, with the kernel's defaults, whatever the machine's are.</summary>
    public void EnableIpv6() =>
        Sysctl.Write(
            Network,
            ("ipv6/conf/all/disable_ipv6", "0"),
            ("ipv6/conf/default/disable_ipv6", "0"),
            ("ipv6/conf/all/forwarding", "0"),
            ("ipv6/conf/default/forwarding", "0"),
            ("ipv6/conf/default/accept_ra", "1"),
            ("ipv6/conf/default/autoconf", "1"),
            ("ipv6/conf/default/addr_gen_mode", "0")
        );

    /// <summary>Sets address and default route of <see cref="Link"/>, as a DHCP client does.</summary>
    /// <param name="acceptRouters">
    /// Whether the link gets its IPv6 default route from the router's advertisements, also when the node forwards (accept_ra=2).
    /// </param>
    public void Configure(IPAddress address, int prefixLength, IPAddress gateway, bool acceptRouters = false)
    {
        var link = FindLink();
        if (acceptRouters)
            Sysctl.Write(Network, ($"ipv6/conf/{Link}/accept_ra", "2"));
        _netlink.Execute([
            LinkRequests.SetUp(link.Index, true),
            AddressRequests.Add(link.Index, address, prefixLength),
            .. prefixLength == 32 ? [RouteRequests.Add(GatewayRoute(link.Index, gateway, address))] : (NetlinkRequest[])[],
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Destination = null,
                    Gateway = gateway,
                    LinkIndex = link.Index,
                    Table = RouteTable.Main,
                    Scope = RouteScope.Global,
                    Protocol = RouteProtocol.Dhcp,
                    Type = RouteType.Unicast,
                    PreferredSource = address,
                }
            ),
        ]);
    }

    /// <summary>The route that makes a gateway outside the address's network reachable, as DHCP option 121 sets it.</summary>
    private static RouteInfo GatewayRoute(int link, IPAddress gateway, IPAddress address) =>
        new()
        {
            Family = IpFamily.V4,
            Destination = new IPNetwork(gateway, 32),
            LinkIndex = link,
            Table = RouteTable.Main,
            Scope = RouteScope.Link,
            Protocol = RouteProtocol.Dhcp,
            Type = RouteType.Unicast,
            PreferredSource = address,
        };

    /// <summary>Sets the IPv6 address and default route of <see cref="Link"/>, by hand.</summary>
    public void ConfigureIpv6(IPAddress address, int prefixLength, IPAddress gateway)
    {
        EnableIpv6();
        var link = FindLink();
        _netlink.Execute([
            AddressRequests.Add(link.Index, address, prefixLength, new AddressOptions { NoDad = true }),
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = IpFamily.V6,
                    Destination = null,
                    Gateway = gateway,
                    LinkIndex = link.Index,
                    Table = RouteTable.Main,
                    Protocol = RouteProtocol.Static,
                }
            ),
        ]);
    }

    /// <summary>
    /// Replaces the IPv6 address of <see cref="Link"/>, as a DHCPv6 client does: a /128, because a VPC's subnets are not on-link.
    /// </summary>
    /// <param name="before">The address to remove; null for none.</param>
    /// <param name="now">The address to add; null for none.</param>
    public void ReplaceIpv6Address(IPAddress? before, IPAddress? now)
    {
        var link = FindLink();
        if (before is not null)
            _netlink.Execute(AddressRequests.Remove(link.Index, before, 128).Tolerating(Errno.EADDRNOTAVAIL));
        if (now is not null)
            _netlink.Execute(AddressRequests.Replace(link.Index, now, 128, new AddressOptions { NoDad = true }));
    }

    private LinkInfo FindLink() => _netlink.FindLink(Link) ?? throw new FabricException($"namespace {Name} has no link '{Link}'");

    public void Dispose()
    {
        _netlink.Dispose();
        Network.Dispose();
    }
}
