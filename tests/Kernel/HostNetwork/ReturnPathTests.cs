// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>
/// Connections that others open to a pod of a secondary ENI, and connections of a pod to an address of its node: the answer must leave by
/// the path by which the request arrived.
/// </summary>
public sealed class ReturnPathTests
{
    private static readonly IPAddress Pod = IPAddress.Parse("10.0.0.21");
    private static readonly IPEndPoint Web = new(Pod, 8080);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Load_balancer_with_pod_targets_reaches_them_by_their_ENI(bool externalSnat)
    {
        await using var lab = await HostLab.StartAsync(new HostNetworkOptions { ExternalSnat = externalSnat });
        var pod = lab.AddPod("web", "10.0.0.21");
        // The client's address is kept, so its route is by the primary ENI, but the pod's ENI receives the request.
        Assert.Equal(HostLab.Internet, await HostLab.ConnectAsync(lab.Second, pod, Web, source: HostLab.Internet));
        // From the balancer's own address in the VPC.
        Assert.Equal(IPAddress.Parse("10.0.0.1"), await HostLab.ConnectAsync(lab.Second, pod, Web));
        // Connections of the pod itself leave as before.
        Assert.Equal(
            externalSnat ? Pod : HostLab.PrimaryAddress,
            await HostLab.ConnectAsync(pod, externalSnat ? lab.Second : lab.First, new IPEndPoint(HostLab.Internet, 8081))
        );
    }

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    public async Task Resolver_on_the_node_answers_pods_of_every_ENI(string mode)
    {
        Requirement.NeedProgram(mode);
        IPAddress local = IPAddress.Parse("169.254.20.10"),
            service = IPAddress.Parse("172.20.0.10");
        await using var lab = await HostLab.StartAsync(before: lab =>
        {
            // As NodeLocal DNSCache does: both addresses on a link of its own, without connection tracking.
            lab.Host.IpBatch(
                "",
                [
                    "link add nodelocaldns type bridge",
                    "link set nodelocaldns up",
                    $"address add {local}/32 dev nodelocaldns",
                    $"address add {service}/32 dev nodelocaldns",
                ]
            );
            foreach (var address in new[] { local, service })
            {
                foreach (
                    var rule in new[]
                    {
                        $"-A PREROUTING -d {address}/32 -p tcp --dport 53 -j NOTRACK",
                        $"-A OUTPUT -d {address}/32 -p tcp --dport 53 -j NOTRACK",
                        $"-A OUTPUT -s {address}/32 -p tcp --sport 53 -j NOTRACK",
                    }
                )
                    Iproute.Run(lab.Host, mode, ["-t", "raw", .. rule.Split(' ')]);
            }
        });
        var (secondary, primary) = (lab.AddPod("web", "10.0.0.21"), lab.AddPod("other", "10.0.0.11", RouteTables.Main));
        foreach (var address in new[] { local, service })
        {
            Assert.Equal(Pod, await HostLab.ConnectAsync(secondary, lab.Host, new IPEndPoint(address, 53)));
            Assert.Equal(IPAddress.Parse("10.0.0.11"), await HostLab.ConnectAsync(primary, lab.Host, new IPEndPoint(address, 53)));
        }
    }

    /// <summary>The daemon has an nftables table of its own, so the backend of other rules does not matter.</summary>
    [Theory]
    [InlineData("iptables-legacy", "iptables-nft")]
    [InlineData("iptables-nft", "iptables-legacy")]
    public async Task Later_rules_in_any_iptables_backend_have_no_effect(string first, string second)
    {
        Requirement.NeedProgram(first);
        Requirement.NeedProgram(second);
        await using var lab = await HostLab.StartAsync();
        var (pod, client) = (lab.AddPod("web", "10.0.0.21"), lab.AddPod("client", "10.0.0.22"));
        await CheckAsync();
        // kube-proxy starts later, in the backend that is not the default, and the other backend has ten rules or more.
        KubeProxy.Install(lab.Host, first);
        for (var rule = 0; rule < 12; rule++)
            Iproute.Run(lab.Host, second, ["-t", "filter", "-A", "FORWARD", "-s", $"192.0.2.{rule}", "-j", "ACCEPT"]);
        await CheckAsync();
        Assert.Equal(
            HostLab.Internet,
            await HostLab.ConnectAsync(
                lab.First,
                pod,
                Web,
                new IPEndPoint(HostLab.PrimaryAddress, KubeProxy.LocalNodePort),
                source: HostLab.Internet
            )
        );
        Assert.Equal(
            IPAddress.Parse("10.0.0.22"),
            await HostLab.ConnectAsync(client, pod, Web, new IPEndPoint(KubeProxy.ServiceAddress, 80))
        );
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        Assert.Null(lab.Reconciler.Problem);
        Assert.Equal(0, lab.Repaired(RepairKind.Nat));

        async Task CheckAsync() =>
            Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
    }
}
