// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Notifications of a real kernel.</summary>
public sealed class MonitorTests : IDisposable
{
    private const AddressFamily V4 = IpFamily.V4;
    private const AddressFamily V6 = IpFamily.V6;

    private readonly NetworkNamespace _ns;
    private readonly RouteNetlink _netlink;
    private readonly ConcurrentQueue<RouteNotification> _seen = new();
    private readonly ConcurrentQueue<Exception> _errors = new();

    public MonitorTests()
    {
        Iproute.Need();
        _ns = NetworkNamespace.CreateAnonymous();
        _netlink = _ns.OpenRouteNetlink();
    }

    public void Dispose()
    {
        _netlink?.Dispose();
        _ns?.Dispose();
    }

    [Fact]
    public async Task Every_kind_of_object_is_reported_when_set_and_when_removed()
    {
        using var monitor = RouteMonitor.Start(_ns, RouteMonitorGroups.All, _seen.Enqueue, _errors.Enqueue);
        _netlink.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "v0",
                    PeerName = "p0",
                    Up = true,
                    PeerUp = true,
                }
            )
        );
        int index = _netlink.FindLink("v0")!.Index;
        var address = IPAddress.Parse("10.0.0.1");
        var address6 = IPAddress.Parse("fd00::1");
        var route = new RouteInfo
        {
            Family = V4,
            Destination = IPNetwork.Parse("10.1.0.0/16"),
            LinkIndex = index,
            Scope = RouteScope.Link,
            Table = 1000,
        };
        var route6 = new RouteInfo
        {
            Family = V6,
            Destination = IPNetwork.Parse("fd01::/64"),
            LinkIndex = index,
            Table = 1000,
            Metric = 5,
        };
        var rule = new RuleInfo
        {
            Family = V4,
            Source = IPNetwork.Parse("10.1.0.0/16"),
            Table = 1000,
            Priority = 7,
        };
        var rule6 = new RuleInfo
        {
            Family = V6,
            Source = IPNetwork.Parse("fd01::/64"),
            Table = 1000,
            Priority = 7,
        };
        var neighbour = new NeighbourInfo
        {
            LinkIndex = index,
            Address = IPAddress.Parse("10.0.0.9"),
            Mac = MacAddress.Parse("02:00:00:00:00:09"),
        };
        _netlink.Execute([
            AddressRequests.Add(index, address, 32),
            AddressRequests.Add(index, address6, 128, new AddressOptions { NoDad = true }),
            RouteRequests.Add(route),
            RouteRequests.Add(route6),
            RuleRequests.Add(rule),
            RuleRequests.Add(rule6),
            NeighbourRequests.Replace(neighbour),
        ]);
        // The kernel reports an IPv6 address with a delay, in the background.
        await AllSeen(RouteChange.Set);
        _netlink.Execute([
            NeighbourRequests.Remove(neighbour),
            RuleRequests.Remove(rule),
            RuleRequests.Remove(rule6),
            RouteRequests.Remove(route),
            RouteRequests.Remove(route6),
            AddressRequests.Remove(index, address, 32),
            AddressRequests.Remove(index, address6, 128),
            LinkRequests.Delete(index),
        ]);

        await AllSeen(RouteChange.Removed);
        await Seen(n => n is RouteNotification.NeighbourChanged seen && seen.Neighbour == neighbour);
        Assert.Empty(_errors);

        async Task AllSeen(RouteChange change)
        {
            await Seen(n => n is RouteNotification.LinkChanged { Link.Name: "v0" } seen && seen.Change == change);
            await Seen(n => n is RouteNotification.AddressChanged seen && seen.Change == change && seen.Address.Address.Equals(address));
            await Seen(n => n is RouteNotification.AddressChanged seen && seen.Change == change && seen.Address.Address.Equals(address6));
            await Seen(n => n is RouteNotification.RouteChanged seen && seen == new RouteNotification.RouteChanged(change, route));
            await Seen(n => n is RouteNotification.RouteChanged seen && seen == new RouteNotification.RouteChanged(change, route6));
            await Seen(n => n is RouteNotification.RuleChanged seen && seen == new RouteNotification.RuleChanged(change, rule));
            await Seen(n => n is RouteNotification.RuleChanged seen && seen == new RouteNotification.RuleChanged(change, rule6));
        }
    }

    [Fact]
    public async Task Only_the_requested_groups_are_reported()
    {
        using var monitor = RouteMonitor.Start(_ns, RouteMonitorGroups.Ipv4Rules, _seen.Enqueue, _errors.Enqueue);
        _netlink.Execute([
            LinkRequests.SetUp("lo", true),
            RuleRequests.Add(new RuleInfo { Family = V6, Priority = 7 }),
            RuleRequests.Add(new RuleInfo { Family = V4, Priority = 8 }),
        ]);
        await Seen(n => n is RouteNotification.RuleChanged { Rule.Priority: 8 });
        Assert.Single(_seen);
    }

    [Fact]
    public async Task Overflow_is_reported_and_notifications_continue()
    {
        using var gate = new ManualResetEventSlim();
        using var monitor = RouteMonitor.Start(
            _ns,
            RouteMonitorGroups.Rules,
            notification =>
            {
                gate.Wait(TimeSpan.FromSeconds(20));
                _seen.Enqueue(notification);
            },
            _errors.Enqueue
        );
        // The queue contains at most 2 MiB (twice the size requested); a notification occupies at least 512 octets of it.
        var rule = new RuleInfo { Family = V4, Priority = 7 };
        NetlinkRequest[] pair = [RuleRequests.Add(rule), RuleRequests.Remove(rule)];
        var many = Enumerable.Repeat(pair, 64).SelectMany(requests => requests).ToArray();
        for (int round = 0; round < 40; round++)
            _netlink.Execute(many);
        gate.Set();
        await Seen(n => n is RouteNotification.Overflow);
        _netlink.Execute(RuleRequests.Add(rule with { Priority = 99 }));
        await Seen(n => n is RouteNotification.RuleChanged { Rule.Priority: 99 });
        Assert.Empty(_errors);
    }

    [Fact]
    public async Task Exception_of_a_callback_is_reported_and_notifications_continue()
    {
        using var monitor = RouteMonitor.Start(
            _ns,
            RouteMonitorGroups.Rules,
            notification =>
            {
                _seen.Enqueue(notification);
                if (_seen.Count == 1)
                    throw new InvalidDataException("first");
            },
            _errors.Enqueue
        );
        _netlink.Execute([
            RuleRequests.Add(new RuleInfo { Family = V4, Priority = 7 }),
            RuleRequests.Add(new RuleInfo { Family = V4, Priority = 8 }),
        ]);
        await Seen(n => n is RouteNotification.RuleChanged { Rule.Priority: 8 });
        Assert.IsType<InvalidDataException>(Assert.Single(_errors));
    }

    [Fact]
    public void Dispose_ends_the_notifications()
    {
        var monitor = RouteMonitor.Start(_ns, RouteMonitorGroups.All, _seen.Enqueue, _errors.Enqueue);
        monitor.Dispose();
        monitor.Dispose();
        int before = _seen.Count;
        _netlink.Execute(LinkRequests.SetUp("lo", true));
        Assert.Equal(before, _seen.Count);
        Assert.Empty(_errors);
    }

    [Fact]
    public async Task Callback_may_dispose_its_monitor()
    {
        RouteMonitor? monitor = null;
        using var started = new ManualResetEventSlim();
        monitor = RouteMonitor.Start(
            _ns,
            RouteMonitorGroups.Rules,
            notification =>
            {
                started.Wait(TimeSpan.FromSeconds(20));
                monitor!.Dispose();
                _seen.Enqueue(notification);
            },
            _errors.Enqueue
        );
        started.Set();
        _netlink.Execute([
            RuleRequests.Add(new RuleInfo { Family = V4, Priority = 7 }),
            RuleRequests.Add(new RuleInfo { Family = V4, Priority = 8 }),
        ]);
        await Seen(n => n is RouteNotification.RuleChanged { Rule.Priority: 7 });
        Assert.Single(_seen);
        Assert.Empty(_errors);
    }

    private Task Seen(Func<RouteNotification, bool> condition) => Eventually.TrueAsync(() => _seen.Any(condition));
}
