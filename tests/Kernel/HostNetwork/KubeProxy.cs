// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>
/// Installs the rules that kube-proxy writes in each of its modes for a service with one pod, a node port that masquerades
/// (externalTrafficPolicy Cluster) and one that does not (Local). Hooks, order and marks are those of its documentation (kubernetes.io,
/// "Virtual IPs and Service Proxies").
/// </summary>
internal static class KubeProxy
{
    public static readonly IPAddress ServiceAddress = IPAddress.Parse("172.20.0.10");

    public const int NodePort = 30080,
        LocalNodePort = 30081;

    private const string Pod = "10.0.0.21";

    public static void Install(NetworkNamespace node, string mode)
    {
        if (mode == "nft")
        {
            Run(
                node,
                "nft",
                $$"""
                add table ip kube-proxy
                add chain ip kube-proxy mark-for-masquerade
                add rule ip kube-proxy mark-for-masquerade meta mark set meta mark or 0x4000
                add chain ip kube-proxy services
                add rule ip kube-proxy services ip daddr {{ServiceAddress}} tcp dport 80 ip saddr {{Pod}} jump mark-for-masquerade
                add rule ip kube-proxy services ip daddr {{ServiceAddress}} tcp dport 80 dnat to {{Pod}}:8080
                add rule ip kube-proxy services fib daddr type local tcp dport {{NodePort}} jump mark-for-masquerade
                add rule ip kube-proxy services fib daddr type local tcp dport { {{NodePort}}, {{LocalNodePort}} } dnat to {{Pod}}:8080
                add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority dstnat; }
                add rule ip kube-proxy nat-prerouting jump services
                add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority srcnat; }
                add rule ip kube-proxy nat-postrouting meta mark and 0x4000 == 0 return
                add rule ip kube-proxy nat-postrouting meta mark set meta mark xor 0x4000
                add rule ip kube-proxy nat-postrouting masquerade fully-random
                """
            );
            return;
        }

        foreach (
            var rule in new[]
            {
                "-N KUBE-MARK-MASQ",
                "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
                "-N KUBE-SERVICES",
                $"-A KUBE-SERVICES -d {ServiceAddress}/32 -s {Pod}/32 -p tcp --dport 80 -j KUBE-MARK-MASQ",
                $"-A KUBE-SERVICES -d {ServiceAddress}/32 -p tcp --dport 80 -j DNAT --to-destination {Pod}:8080",
                $"-A KUBE-SERVICES -m addrtype --dst-type LOCAL -p tcp --dport {NodePort} -j KUBE-MARK-MASQ",
                $"-A KUBE-SERVICES -m addrtype --dst-type LOCAL -p tcp --dport {NodePort}:{LocalNodePort} -j DNAT --to-destination "
                    + $"{Pod}:8080",
                "-I PREROUTING 1 -j KUBE-SERVICES",
                "-N KUBE-POSTROUTING",
                "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
                "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
                "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
                "-I POSTROUTING 1 -j KUBE-POSTROUTING",
            }
        )
        {
            Iproute.Run(node, mode, ["-t", "nat", .. rule.Split(' ')]);
        }
    }

    private static void Run(NetworkNamespace node, string program, string script)
    {
        foreach (var line in script.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            Iproute.Run(node, program, line.Split(' '));
    }
}
