// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>What the audit sees of real namespaces.</summary>
public sealed class KernelNodeViewTests
{
    [Fact]
    public void A_namespace_of_a_pod_is_read_from_within_with_the_proof_of_whose_it_is()
    {
        Requirement.NeedRoot();
        var name = $"vpccni-audit-{Guid.NewGuid():N}"[..24];
        using var pod = NetworkNamespace.CreateNamed(name);
        try
        {
            pod.Ip("link add eth0 type veth peer name host0");
            pod.Ip("address add 10.0.0.5/32 dev eth0");
            pod.Ip("link set eth0 up");
            pod.Ip("neighbour add 169.254.1.1 lladdr 0a:00:00:00:00:07 dev eth0 nud permanent");
            var path = $"/run/netns/{name}";
            var facts = new KernelNodeView().Runtime([path, "/run/netns/vpccni-is-not-there"], TestContext.Current.CancellationToken);
            var sandbox = Assert.Single(facts.Sandboxes, item => item.Path == path);
            Assert.Equal([("eth0", IPAddress.Parse("10.0.0.5"))], sandbox.Addresses);
            Assert.Equal([MacAddress.Parse("0a:00:00:00:00:07")], sandbox.Gateways);
            Assert.Contains("/run/netns", facts.Folders);
        }
        finally
        {
            NetworkNamespace.DeleteNamed(name);
        }
    }

    [Fact]
    public void The_kernel_is_read_as_it_is()
    {
        Requirement.NeedRoot();
        using var host = NetworkNamespace.CreateAnonymous();
        host.Ip("link add eniabc type veth peer name x0");
        host.Ip("link set eniabc up");
        host.Ip("route add 10.0.0.5/32 dev eniabc");
        host.Ip("rule add from 10.0.0.5 lookup 7 priority 1536");
        var facts = host.Run(() => new KernelNodeView().Kernel());
        Assert.Contains(facts.Links, link => link is { Name: "eniabc", Kind: "veth", IsUp: true });
        Assert.Contains(facts.Routes, route => route.Destination == IPNetwork.Parse("10.0.0.5/32") && route.Table == RouteTables.Main);
        Assert.Contains(facts.Rules, rule => rule is { Priority: RouteTables.FromPodPriority, Table: 7 } && rule.Source == IPNetwork.Parse("10.0.0.5/32"));
    }

    [Fact]
    public void A_folder_that_cannot_be_seen_is_said_and_not_taken_for_empty()
        => Assert.Throws<HostNetworkException>(() => new KernelNodeView().Runtime(["/nowhere/netns/cni-1"], TestContext.Current.CancellationToken));
}
