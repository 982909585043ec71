// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>
/// Packets of pods on a secondary ENI: by which ENI they leave, and what the other side sees; beside the rules that kube-proxy writes in
/// each of its modes.
/// </summary>
public sealed class NatPathTests
{
    private static readonly IPAddress Pod = IPAddress.Parse("10.0.0.21");
    private static readonly IPEndPoint Outside = new(HostLab.Internet, 8080);

    [Fact]
    public async Task To_the_outside_a_pod_leaves_by_the_primary_interface_with_its_address()
    {
        await using var lab = await HostLab.StartAsync();
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.First, Outside));
    }

    [Fact]
    public async Task A_connection_of_the_node_itself_that_was_open_before_the_table_goes_on()
    {
        TakeoverTests.Pair? open = null;
        await using var lab = await HostLab.StartAsync(before: lab => open = TakeoverTests.Pair.Connect(lab.Host, lab.First));
        using (open)
            open!.AssertAlive();
    }

    [Fact]
    public async Task To_an_excluded_range_a_pod_leaves_by_its_own_interface_with_its_own_address()
    {
        await using var lab = await HostLab.StartAsync(new HostNetworkOptions { ExcludedRanges = [IPNetwork.Parse("203.0.113.0/24")] });
        Assert.Equal(Pod, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.Second, Outside));
    }

    [Fact]
    public async Task With_translation_outside_of_the_node_a_pod_leaves_by_its_own_interface_with_its_own_address()
    {
        await using var lab = await HostLab.StartAsync(new HostNetworkOptions { ExternalSnat = true });
        Assert.Equal(Pod, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.Second, Outside));
    }

    [Fact]
    public async Task An_external_service_is_reached_by_the_primary_interface()
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
    public async Task Every_choice_of_ports_is_one_that_the_kernel_takes(string ports)
    {
        await using var lab = await HostLab.StartAsync(new HostNetworkOptions { SnatPorts = Enum.Parse<SnatPorts>(ports) });
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.First, Outside));
    }

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    [InlineData("nft")]
    public async Task Beside_kube_proxy_node_ports_and_services_work(string mode)
    {
        Requirement.NeedProgram(mode);
        await using var lab = await HostLab.StartAsync(before: lab => KubeProxy.Install(lab.Host, mode));
        var (pod, other) = (lab.AddPod("web", "10.0.0.21"), lab.AddPod("client", "10.0.0.22"));
        var web = new IPEndPoint(Pod, 8080);

        // A node port, from outside, to a pod of the secondary ENI, with the client's address kept: the answer must leave by the primary
        // one, from the node's address.
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
        // One that kube-proxy masquerades: the pod sees the node.
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
        // A service, from another pod: outside of the VPC by its address, within it by its pod.
        Assert.Equal(
            IPAddress.Parse("10.0.0.22"),
            await HostLab.ConnectAsync(other, pod, web, new IPEndPoint(KubeProxy.ServiceAddress, 80))
        );
        // A service that comes back to its own pod is masqueraded, or the pod would see itself.
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, pod, web, new IPEndPoint(KubeProxy.ServiceAddress, 80)));
        // And what is no service leaves as ever.
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, Outside));
    }
}
