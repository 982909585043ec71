// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>
/// Packets of pods on a secondary ENI: the ENI by which they leave and the source address that the peer sees, beside the rules of
/// kube-proxy in each of its modes.
/// </summary>
public sealed class NatPathTests
{
    private static readonly IPAddress Pod = IPAddress.Parse("10.0.0.21");
    private static readonly IPEndPoint Outside = new(HostLab.Internet, 8080);

    [Fact]
    public async Task Packet_to_the_outside_leaves_by_the_primary_ENI_with_its_address()
    {
        await using var lab = await HostLab.StartAsync();
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.First, Outside));
    }

    [Fact]
    public async Task Connection_of_the_node_opened_before_the_table_survives()
    {
        TakeoverTests.Pair? open = null;
        await using var lab = await HostLab.StartAsync(before: lab => open = TakeoverTests.Pair.Connect(lab.Host, lab.First));
        using (open)
            open!.AssertAlive();
    }

    [Fact]
    public async Task Packet_to_an_excluded_range_leaves_by_the_pods_ENI_with_its_address()
    {
        await using var lab = await HostLab.StartAsync(new HostNetworkOptions { ExcludedRanges = [IPNetwork.Parse("203.0.113.0/24")] });
        Assert.Equal(Pod, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.Second, Outside));
    }

    [Fact]
    public async Task Packet_with_external_SNAT_leaves_by_the_pods_ENI_with_its_address()
    {
        await using var lab = await HostLab.StartAsync(new HostNetworkOptions { ExternalSnat = true });
        Assert.Equal(Pod, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.Second, Outside));
    }

    [Fact]
    public async Task External_service_is_reached_by_the_primary_ENI()
    {
        await using var lab = await HostLab.StartAsync(
            new HostNetworkOptions
            {
                ExternalSnat = true,
                NodePorts = false,
                ExternalServiceRanges = [IPNetwork.Parse("203.0.113.0/24")],
            }
        );
        Assert.Equal(Pod, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.First, Outside));
        Assert.DoesNotContain("vpccni", lab.Nft("list tables"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(nameof(SnatPorts.Kept))]
    [InlineData(nameof(SnatPorts.HashRandom))]
    [InlineData(nameof(SnatPorts.FullyRandom))]
    public async Task Every_port_randomization_is_accepted_by_the_kernel(string ports)
    {
        await using var lab = await HostLab.StartAsync(new HostNetworkOptions { SnatPorts = Enum.Parse<SnatPorts>(ports) });
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.First, Outside));
    }

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    [InlineData("nft")]
    public async Task Node_ports_and_services_of_kube_proxy_work(string mode)
    {
        Requirement.NeedProgram(mode);
        await using var lab = await HostLab.StartAsync(before: lab => KubeProxy.Install(lab.Host, mode));
        var (pod, other) = (lab.AddPod("web", "10.0.0.21"), lab.AddPod("client", "10.0.0.22"));
        var web = new IPEndPoint(Pod, 8080);

        // A node port to a pod of the secondary ENI that keeps the client's address: the answer must leave by the primary ENI with the
        // address of the node.
        Assert.Equal(
            HostLab.Internet,
            await HostLab.ConnectAsync(
                lab.First,
                pod,
                web,
                new IPEndPoint(HostLab.PrimaryAddress, KubeProxy.LocalNodePort),
                source: HostLab.Internet
            )
        );
        // A node port that kube-proxy masquerades: the pod sees the node.
        Assert.Equal(
            HostLab.PrimaryAddress,
            await HostLab.ConnectAsync(
                lab.First,
                pod,
                web,
                new IPEndPoint(HostLab.PrimaryAddress, KubeProxy.NodePort),
                source: HostLab.Internet
            )
        );
        // A service, from another pod: translated outside of the VPC, not within it.
        Assert.Equal(
            IPAddress.Parse("10.0.0.22"),
            await HostLab.ConnectAsync(other, pod, web, new IPEndPoint(KubeProxy.ServiceAddress, 80))
        );
        // A connection of a pod to itself through a service is masqueraded; otherwise the pod would see its own address.
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, pod, web, new IPEndPoint(KubeProxy.ServiceAddress, 80)));
        // Other connections leave as without kube-proxy.
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, Outside));
    }
}
