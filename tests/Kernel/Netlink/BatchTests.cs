// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Batches and errors on a real kernel.</summary>
public sealed class BatchTests : IDisposable
{
    private const AddressFamily V4 = IpFamily.V4;

    private readonly NetworkNamespace _ns;
    private readonly RouteNetlink _netlink;
    private readonly int _index;

    public BatchTests()
    {
        Iproute.Need();
        _ns = NetworkNamespace.CreateAnonymous();
        _netlink = _ns.OpenRouteNetlink();
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
        _index = _netlink.FindLink("v0")!.Index;
    }

    public void Dispose()
    {
        _netlink?.Dispose();
        _ns?.Dispose();
    }

    [Fact]
    public void Two_thousand_routes_are_added_and_removed_in_one_call_each()
    {
        var routes = Enumerable.Range(0, 2000).Select(number => Route(number)).ToArray();
        _netlink.Execute([.. routes.Select(RouteRequests.Add)]);
        Assert.Equal(routes, _netlink.GetRoutes(V4, RouteTable.Main));
        Assert.Equal(2000, _ns.IpJson("-4 route show").Count);
        _netlink.Execute([.. routes.Select(RouteRequests.Remove)]);
        Assert.Empty(_netlink.GetRoutes(V4, RouteTable.Main));
    }

    [Fact]
    public void Failure_in_a_batch_stops_nothing_and_has_the_kernels_text()
    {
        var beyond = Route(1) with { Gateway = IPAddress.Parse("172.16.0.1"), Scope = RouteScope.Global, LinkIndex = 0 };
        var failure = Assert.Throws<NetlinkException>(() =>
            _netlink.Execute([
                RouteRequests.Add(Route(0)),
                RouteRequests.Add(beyond),
                LinkRequests.SetMtu(_index, 5),
                RouteRequests.Add(Route(2)),
            ])
        );
        Assert.Equal(2, failure.Succeeded);
        Assert.Equal(
            [
                new NetlinkFailure(
                    1,
                    "ip route add 10.64.1.0/24 via 172.16.0.1 table 254",
                    Errno.ENETUNREACH,
                    "Nexthop has invalid gateway"
                ),
                new NetlinkFailure(2, $"ip link set if{_index} mtu 5", Errno.EINVAL, "mtu less than device minimum"),
            ],
            failure.Failures
        );
        Assert.Equal(2, _netlink.GetRoutes(V4, RouteTable.Main).Count);
    }

    [Fact]
    public void Command_in_an_error_is_accepted_by_ip()
    {
        var failure = Assert.Throws<NetlinkException>(() => _netlink.Execute(LinkRequests.SetMtu(_index, 99999999)));
        string[] words = failure.Operation.Split(' ');
        var rejected = Assert.Throws<InvalidOperationException>(() => Iproute.Run(_ns, words[0], words[1..]));
        Assert.Contains(failure.ExtendedMessage!, rejected.Message, StringComparison.Ordinal);

        var route = RouteRequests.Add(Route(3) with { Protocol = RouteProtocol.Static, Metric = 7, Mtu = 1400 });
        words = route.Description.Split(' ');
        Iproute.Run(_ns, words[0], words[1..]);
        Assert.Equal(Errno.EEXIST, Assert.Throws<NetlinkException>(() => _netlink.Execute(route)).Errno);
    }

    [Fact]
    public void Batch_that_tolerates_errors_is_repeatable()
    {
        NetlinkRequest[] add =
        [
            RouteRequests.Add(Route(0)).Tolerating(Errno.EEXIST),
            AddressRequests.Add(_index, IPAddress.Parse("10.0.0.1"), 32).Tolerating(Errno.EEXIST),
        ];
        NetlinkRequest[] remove =
        [
            RouteRequests.Remove(Route(0)).Tolerating(Errno.ESRCH),
            LinkRequests.Delete("v0").Tolerating(Errno.ENODEV),
        ];
        for (int run = 0; run < 2; run++)
            _netlink.Execute(add);
        for (int run = 0; run < 2; run++)
            _netlink.Execute(remove);
        Assert.Null(_netlink.FindLink("p0"));
    }

    private RouteInfo Route(int number) =>
        new()
        {
            Family = V4,
            Destination = new IPNetwork(new IPAddress([10, (byte)(64 + (number >> 8)), (byte)number, 0]), 24),
            LinkIndex = _index,
            Scope = RouteScope.Link,
        };
}
