// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Simulation.Tests.Model;

public sealed class ModelKernelTests
{
    private const AddressFamily V4 = IpFamily.V4,
        V6 = IpFamily.V6;

    /// <summary>Index of the link that the tests change; 1 is lo and 2 the primary interface's.</summary>
    private const int Link = 3;

    private const int NoLink = 99,
        Table = 7;

    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private readonly VirtualTime _time = new(Start);
    private readonly ModelKernel _model;
    private readonly List<RouteNotification> _reports = [];

    public ModelKernelTests()
    {
        var world = ModelWorld.Create(_time, new Random(1));
        var vpc = world.CreateVpc(IPNetwork.Parse("10.0.0.0/16"), IPNetwork.Parse("2001:db8:0:100::/56"));
        var subnet = world.CreateSubnet(vpc.Id, "us-west-2a", IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("2001:db8:0:100::/64"));
        var group = world.CreateSecurityGroup(vpc.Id, "nodes");
        var instance = world.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = "m5.large",
                Subnet = subnet.Id,
                Groups = [group.Id],
                Ipv6 = AddressRequest.Any(1),
                EnablePrimaryIpv6 = true,
            }
        );
        _model = new ModelKernel(world, instance.Id);
    }

    /// <summary>One sequence on the model and in a network namespace: the same errors, and the same state in the end.</summary>
    [Fact]
    public void Changes_have_the_same_outcome_as_in_the_real_kernel()
    {
        Requirement.NeedRoot();
        using var ns = NetworkNamespace.CreateAnonymous();
        using var netlink = ns.OpenRouteNetlink();
        netlink.Execute(LinkRequests.CreateVeth(new VethSpec { Name = "d3", PeerName = "eth0" }));
        Assert.Equal(Link, netlink.FindLink("d3")!.Index);
        Assert.Equal(Link, _model.AddVeth("d3", MacAddress.Random(new Random(1))).Index);
        using var kernel = new RtnetlinkKernel(ns);

        foreach (var change in Changes())
        {
            var expected = Errno.None;
            try
            {
                kernel.Apply([change]);
            }
            catch (NetlinkException exception)
            {
                expected = exception.Errno;
            }

            Assert.Equal((change.Description, expected), (change.Description, _model.Apply(KernelActor.Other, change)));
            foreach (var family in (AddressFamily[])[V4, V6])
            {
                Assert.Equal(kernel.Rules(family), _model.Rules(family));
                Assert.Equal(Shown(kernel.Routes(family, Table)), Shown(_model.Routes(family, Table)));
            }
        }

        Assert.Equal(
            kernel.Addresses(V4, Link).Select(item => item.Address),
            _model.Addresses.Where(item => item.LinkIndex == Link).Select(item => item.Address)
        );
    }

    private static IEnumerable<HostChange> Changes()
    {
        foreach (var (pod, gateway) in new[] { ("10.1.0.5", "10.9.0.1"), ("2001:db8::5", "fe80:ec2::1") })
        {
            var (toGateway, byGateway) = (Route(gateway), Default(gateway));
            yield return new HostChange.AddRoute(toGateway);
            yield return new HostChange.AddRoute(toGateway with { LinkIndex = NoLink });
            yield return new HostChange.SetUp(Link);
            if (gateway.Contains('.', StringComparison.Ordinal))
                yield return new HostChange.ReplaceRoute(byGateway);
            yield return new HostChange.ReplaceRoute(toGateway);
            yield return new HostChange.AddRoute(toGateway);
            yield return new HostChange.ReplaceRoute(byGateway);
            yield return new HostChange.ReplaceRoute(byGateway);
            yield return new HostChange.AddRoute(Route(pod));
            yield return new HostChange.RemoveRoute(Route(pod));
            yield return new HostChange.RemoveRoute(Route(pod));

            var to = new RuleInfo
            {
                Family = toGateway.Family,
                Priority = 512,
                Destination = Route(pod).Destination,
            };
            yield return new HostChange.AddRule(to);
            yield return new HostChange.AddRule(to);
            yield return new HostChange.AddRule(to with { InputInterface = "docker0" });
            yield return new HostChange.RemoveRule(to);
            // What is left out matches anything: the rule with another selector is removed next.
            yield return new HostChange.RemoveRule(to);
            yield return new HostChange.RemoveRule(to);
            var fromPod = to with { Priority = 1536, Source = to.Destination, Destination = null, Table = Table };
            yield return new HostChange.AddRule(fromPod);
            yield return new HostChange.AddRule(fromPod with { Table = Table + 1 });
            yield return new HostChange.RemoveRule(fromPod with { Table = RouteTable.Unspecified });
            yield return new HostChange.RemoveRule(fromPod);
        }

        var address = IPAddress.Parse("10.9.0.20");
        yield return new HostChange.AddAddress(NoLink, address, 24);
        yield return new HostChange.AddAddress(Link, address, 24);
        yield return new HostChange.AddAddress(Link, address, 24);
        yield return new HostChange.RemoveAddress(Link, address, 24);
        yield return new HostChange.RemoveAddress(Link, address, 24);
        yield return new HostChange.AddAddress(Link, address, 20);
        yield return new HostChange.SetMtu(NoLink, 1400);
        yield return new HostChange.SetMtu(Link, 1400);
        yield return new HostChange.SetMac(Link, MacAddress.Parse("02:00:00:00:00:07"));
    }

    [Fact]
    public void Routes_of_a_link_that_goes_down_vanish_without_reports_in_IPv4_only()
    {
        var link = _model.AddVeth("d3", MacAddress.Random(new Random(1)));
        _model.Apply(KernelActor.Other, new HostChange.SetUp(Link));
        _model.Apply(KernelActor.Other, new HostChange.AddRoute(Route("10.1.0.5")));
        _model.Apply(KernelActor.Other, new HostChange.AddRoute(Route("2001:db8::5")));
        Watch();
        _model.SetLink(KernelActor.Other, link);
        Deliver();
        Assert.Empty(_model.Routes(V4, Table).Concat(_model.Routes(V6, Table)));
        Assert.Equal([V6], _reports.OfType<RouteNotification.RouteChanged>().Select(report => report.Route.Family));
        Assert.Single(_reports.OfType<RouteNotification.LinkChanged>());
    }

    [Fact]
    public void Neighbour_entries_go_with_the_state_and_the_MAC_address_of_their_link()
    {
        var link = _model.AddVeth("d3", MacAddress.Random(new Random(1)));
        var pod = IPAddress.Parse("2001:db8::5");
        var entry = new NeighbourInfo
        {
            LinkIndex = Link,
            Address = pod,
            Mac = MacAddress.Random(new Random(2)),
        };
        _model.SetNeighbour(entry);
        Assert.Null(_model.Neighbour(Link, pod));
        _model.Apply(KernelActor.Other, new HostChange.SetUp(Link));
        _model.SetNeighbour(entry);
        Assert.Equal(entry.Mac, _model.Neighbour(Link, pod));
        _model.Apply(KernelActor.Other, new HostChange.SetMac(Link, MacAddress.Random(new Random(3))));
        Assert.Null(_model.Neighbour(Link, pod));
        _model.SetNeighbour(entry);
        _model.SetLink(KernelActor.Other, link);
        Assert.Null(_model.Neighbour(Link, pod));
    }

    [Theory]
    [InlineData("1", 0)]
    [InlineData("2", 1)]
    public void Forwarding_purges_advertised_routes_of_links_that_then_ignore_advertisements(string acceptAdvertisements, int routes)
    {
        Assert.Single(_model.Routes(V6, RouteTable.Main));
        _model.Settings.Write("ipv6/conf/eth0/accept_ra", acceptAdvertisements);
        _model.Settings.Write("ipv6/conf/all/forwarding", "1");
        Assert.Equal(routes, _model.Routes(V6, RouteTable.Main).Count);
    }

    [Fact]
    public void Overrun_loses_reports_and_is_reported()
    {
        Watch();
        _model.OverrunReports(2);
        for (var link = 0; link < 3; link++)
            _model.AddVeth($"v{link}", MacAddress.Random(new Random(link)));
        Deliver();
        Assert.Equal([typeof(RouteNotification.Overflow), typeof(RouteNotification.LinkChanged)], _reports.Select(item => item.GetType()));
    }

    [Fact]
    public void Ended_reports_deliver_nothing_more()
    {
        var reports = Watch();
        _model.EndReports();
        _model.AddVeth("v0", MacAddress.Random(new Random(1)));
        Deliver();
        Assert.True(reports.HasEnded);
        Assert.Empty(_reports);
    }

    private ModelReports Watch() =>
        _model.Watch(new DaemonRun(_time, "daemon"), RouteMonitorGroups.All, _reports.Add, onTable: null, onError: _ => { });

    private void Deliver() => _time.Advance(TimeSpan.FromSeconds(1));

    private static IEnumerable<string> Shown(IEnumerable<RouteInfo> routes) =>
        routes.Select(route => $"{route.Destination} via {route.Gateway} dev {route.LinkIndex}").Order(StringComparer.Ordinal);

    private static RouteInfo Route(string host)
    {
        var address = IPAddress.Parse(host);
        return new RouteInfo
        {
            Family = address.AddressFamily,
            Destination = IpRanges.Single(address),
            LinkIndex = Link,
            Table = Table,
            Scope = RouteScope.Link,
        };
    }

    private static RouteInfo Default(string gateway) =>
        Route(gateway) with
        {
            Destination = null,
            Gateway = IPAddress.Parse(gateway),
            Scope = RouteScope.Global,
        };
}
