// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Installs service rules on a node as kube-proxy does in nftables mode: DNAT at dstnat, SNAT at srcnat, mark 0x4000 for packets to
/// masquerade (kubernetes.io, "Virtual IPs and Service Proxies"). The lab has no kube-proxy.
/// </summary>
/// <param name="Family">Name of the family in nft: <c>ip</c> or <c>ip6</c>.</param>
/// <param name="Local">Service of the local pod; its address is in the usual range of services, which is outside the VPC.</param>
/// <param name="Remote">Service of a pod on another node.</param>
internal sealed record ServiceRules(string Family, IPEndPoint Local, IPEndPoint Remote)
{
    private static readonly ServiceRules Ipv4 = new("ip", EndPoint("172.20.0.10"), EndPoint("172.20.0.11")),
        Ipv6 = new("ip6", EndPoint("fd30:172::10"), EndPoint("fd30:172::11"));

    public static ServiceRules Of(AddressFamily family) => family == IpFamily.V6 ? Ipv6 : Ipv4;

    /// <summary>Node port of the local pod that preserves the client's address (externalTrafficPolicy Local).</summary>
    public const int NodePort = 30080;

    /// <summary>Node port of the local pod that masquerades the client's address (externalTrafficPolicy Cluster).</summary>
    public const int MasqueradedNodePort = 30081;

    /// <summary>Port on which the pods listen.</summary>
    public const int PodPort = 8080;

    private const string Table = "kube-proxy";

    public Task InstallAsync(
        NetworkNamespace node,
        IPAddress local,
        IPAddress remote,
        TimeProvider time,
        CancellationToken cancellationToken
    ) =>
        new Nft(node, time).ApplyAsync(
            $$"""
            add table {{Family}} {{Table}}
            delete table {{Family}} {{Table}}
            table {{Family}} {{Table}} {
              chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
              chain services {
                {{Family}} daddr {{Local.Address}} tcp dport {{Local.Port}} {{Family}} saddr {{local}} jump mark-for-masquerade
                {{Family}} daddr {{Local.Address}} tcp dport {{Local.Port}} dnat to {{new IPEndPoint(local, PodPort)}}
                {{Family}} daddr {{Remote.Address}} tcp dport {{Remote.Port}} dnat to {{new IPEndPoint(remote, PodPort)}}
                fib daddr type local tcp dport {{MasqueradedNodePort}} jump mark-for-masquerade
                fib daddr type local tcp dport { {{NodePort}}, {{MasqueradedNodePort}} } dnat to {{new IPEndPoint(local, PodPort)}}
              }
              chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
              chain nat-output { type nat hook output priority -100; jump services; }
              chain nat-postrouting {
                type nat hook postrouting priority srcnat;
                meta mark and 0x4000 == 0 return
                meta mark set meta mark xor 0x4000
                masquerade fully-random
              }
            }

            """,
            cancellationToken
        );

    private static IPEndPoint EndPoint(string address) => new(IPAddress.Parse(address), 80);
}
