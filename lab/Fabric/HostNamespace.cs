// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
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
    /// current distributions). A new namespace copies the machine's parameters, so this sets every one that matters.
    /// </summary>
    public void ConfigureAsNode() =>
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

    /// <summary>Sets address and default route of <see cref="Link"/>, as a DHCP client does.</summary>
    public void Configure(IPAddress address, int prefixLength, IPAddress gateway)
    {
        var link = _netlink.FindLink(Link) ?? throw new FabricException($"namespace {Name} has no link '{Link}'");
        _netlink.Execute([
            LinkRequests.SetUp(link.Index, true),
            AddressRequests.Add(link.Index, address, prefixLength),
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = AddressFamily.InterNetwork,
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

    public void Dispose()
    {
        _netlink.Dispose();
        Network.Dispose();
    }
}
