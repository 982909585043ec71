// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>The audit's view of real namespaces.</summary>
public sealed class KernelNodeViewTests
{
    [Fact]
    public void Pod_namespace_is_read_with_the_MAC_that_identifies_its_host_link()
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

    /// <summary>Runs with the privileges of the chart's container, which has CAP_NET_ADMIN but not CAP_SYS_ADMIN.</summary>
    [Fact]
    public void Pod_namespace_is_read_by_id_without_entering_it()
    {
        Requirement.NeedRoot();
        var names = new[] { "pod", "bare", "host" }.Select(name => $"vpccni-{name}-{Guid.NewGuid():N}"[..24]).ToArray();
        try
        {
            using var pod = NetworkNamespace.CreateNamed(names[0]);
            using var bare = NetworkNamespace.CreateNamed(names[1]);
            using var host = NetworkNamespace.CreateNamed(names[2]);
            host.Ip($"link add eniabc type veth peer name eth0 netns {names[0]}");
            pod.Ip("address add 10.0.0.5/32 dev eth0");
            pod.Ip("address add 2001:db8::5/128 dev eth0 nodad");
            pod.Ip("link set eth0 up");
            string[] paths = [$"/run/netns/{names[0]}", $"/run/netns/{names[1]}", $"/run/netns/{names[0]}-is-not-there"];

            var facts = host.Run(() => new KernelNodeView(entersNamespaces: false).Runtime(paths, TestContext.Current.CancellationToken));

            var sandbox = Assert.Single(facts.Sandboxes, item => item.Path == paths[0]);
            Assert.Equal([("eth0", IPAddress.Parse("10.0.0.5")), ("eth0", IPAddress.Parse("2001:db8::5"))], sandbox.Addresses);
            var link = Assert.Single(host.Run(() => new KernelNodeView().Kernel()).Links, link => link.Name == "eniabc");
            Assert.Equal(link.PeerNamespaceId, sandbox.NamespaceId);
            // The namespace exists, but no link of the host leads to it.
            Assert.Empty(Assert.Single(facts.Sandboxes, item => item.Path == paths[1]).Addresses);
            Assert.DoesNotContain(facts.Sandboxes, item => item.Path == paths[2]);
        }
        finally
        {
            foreach (var name in names)
                NetworkNamespace.DeleteNamed(name);
        }
    }

    [Fact]
    public void Links_routes_and_rules_of_the_host_are_read()
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
        Assert.Contains(
            facts.Rules,
            rule => rule is { Priority: RulePriorities.FromPod, Table: 7 } && rule.Source == IPNetwork.Parse("10.0.0.5/32")
        );
    }

    [Fact]
    public void Folder_that_cannot_be_read_is_reported_and_not_treated_as_empty() =>
        Assert.Throws<HostNetworkException>(() =>
            new KernelNodeView().Runtime(["/nowhere/netns/cni-1"], TestContext.Current.CancellationToken)
        );
}
