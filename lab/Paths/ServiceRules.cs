// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Installs service rules on a node as kube-proxy does in nftables mode: DNAT at dstnat, SNAT at srcnat, mark 0x4000 for packets to
/// masquerade (kubernetes.io, "Virtual IPs and Service Proxies"). The lab has no kube-proxy.
/// </summary>
internal static class ServiceRules
{
    /// <summary>Service of the local pod; its address is in the usual range of services, which is outside the VPC.</summary>
    public static readonly IPEndPoint Local = new(IPAddress.Parse("172.20.0.10"), 80);

    /// <summary>Service of a pod on another node.</summary>
    public static readonly IPEndPoint Remote = new(IPAddress.Parse("172.20.0.11"), 80);

    /// <summary>Node port of the local pod that preserves the client's address (externalTrafficPolicy Local).</summary>
    public const int NodePort = 30080;

    /// <summary>Node port of the local pod that masquerades the client's address (externalTrafficPolicy Cluster).</summary>
    public const int MasqueradedNodePort = 30081;

    /// <summary>Port on which the pods listen.</summary>
    public const int PodPort = 8080;

    private const string Table = "kube-proxy";

    public static Task InstallAsync(
        NetworkNamespace node,
        IPAddress local,
        IPAddress remote,
        TimeProvider time,
        CancellationToken cancellationToken
    ) =>
        new Nft(node, time).ApplyAsync(
            $$"""
            add table ip {{Table}}
            delete table ip {{Table}}
            table ip {{Table}} {
              chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
              chain services {
                ip daddr {{Local.Address}} tcp dport {{Local.Port}} ip saddr {{local}} jump mark-for-masquerade
                ip daddr {{Local.Address}} tcp dport {{Local.Port}} dnat to {{local}}:{{PodPort}}
                ip daddr {{Remote.Address}} tcp dport {{Remote.Port}} dnat to {{remote}}:{{PodPort}}
                fib daddr type local tcp dport {{MasqueradedNodePort}} jump mark-for-masquerade
                fib daddr type local tcp dport { {{NodePort}}, {{MasqueradedNodePort}} } dnat to {{local}}:{{PodPort}}
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
}
