// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.AzureModel;
using Xunit;

namespace VpcCni.Lab.Tests.AzureModel;

public sealed class AzureRouteTests
{
    private readonly AzureTestWorld _test = new();

    private AzureRouteTable Table => _test.World.RouteTables.Single();

    [Fact]
    public void Route_is_created_replaced_and_deleted()
    {
        var nic = _test.Launch();
        var created = _test.World.PutRoute(_test.Now, _test.Table, Route("r1"), ifMatch: null);
        Assert.True(created.IsNew);
        Assert.Equal(nic, _test.World.NextHopOf(Assert.Single(Table.Routes)));
        _test.Rejected("PreconditionFailed", () => _test.World.PutRoute(_test.Now, _test.Table, Route("r1"), ifMatch: "W/\"old\""));

        var replaced = _test.World.PutRoute(
            _test.Now,
            _test.Table,
            Route("R1") with
            {
                NextHopAddress = IPAddress.Parse("10.0.0.20"),
            },
            Table.Routes[0].Tag
        );
        Assert.False(replaced.IsNew);
        Assert.Null(_test.World.NextHopOf(Assert.Single(Table.Routes)));
        Assert.NotNull(_test.World.DeleteRoute(_test.Now, _test.Table, "r1"));
        Assert.Null(_test.World.DeleteRoute(_test.Now, _test.Table, "r1"));
        _test.Rejected("NotFound", () => _test.World.GetRoute(_test.Now, _test.Table, "r1"));
    }

    [Fact]
    public void One_operation_at_a_time_changes_a_table()
    {
        _test.World.Timing.Operation = TimeSpan.FromSeconds(3);
        _test.World.PutRoute(_test.Now, _test.Table, Route("r1"), ifMatch: null);
        Assert.Empty(Table.Routes);
        _test.Rejected("AnotherOperationInProgress", () => _test.World.PutRoute(_test.Now, _test.Table, Route("r2"), ifMatch: null));
        _test.Rejected("AnotherOperationInProgress", () => _test.World.PutRouteTable(_test.Now, _test.Table, [], ifMatch: null));
        _test.Now += TimeSpan.FromSeconds(3);
        _test.World.Advance(_test.Now);
        Assert.Single(Table.Routes);
    }

    [Fact]
    public void Put_of_a_table_replaces_its_routes_and_keeps_equal_ones()
    {
        _test.World.PutRoute(_test.Now, _test.Table, Route("r1"), ifMatch: null);
        var tag = Table.Routes[0].Tag;
        _test.World.PutRouteTable(
            _test.Now,
            _test.Table,
            [Route("r1"), Route("r2") with { Destination = IPNetwork.Parse("172.20.2.0/24") }],
            Table.Tag
        );
        Assert.Equal(["r1", "r2"], Table.Routes.Select(route => route.Name));
        Assert.Equal(tag, Table.Routes[0].Tag);
        Assert.True(_test.World.PutRouteTable(_test.Now, _test.World.RouteTableId("new"), [], ifMatch: null).IsNew);
    }

    public sealed record Case(string Name, string Code, Func<AzureRouteRequest, AzureRouteRequest> Change)
    {
        public override string ToString() => Name;
    }

    public static TheoryData<Case> Bad { get; } =
    [
        new Case("same prefix", "RouteConflictDetected", request => request),
        new Case(
            "appliance without an address",
            "InvalidRequestFormat",
            request => request with { Destination = IPNetwork.Parse("172.20.2.0/24"), NextHopAddress = null }
        ),
        new Case(
            "address without an appliance",
            "InvalidRequestFormat",
            request => request with { Destination = IPNetwork.Parse("172.20.2.0/24"), NextHop = AzureNextHop.None }
        ),
    ];

    [Theory]
    [MemberData(nameof(Bad))]
    public void Invalid_routes_are_rejected(Case @case)
    {
        _test.World.PutRoute(_test.Now, _test.Table, Route("r1"), ifMatch: null);
        _test.Rejected(@case.Code, () => _test.World.PutRoute(_test.Now, _test.Table, @case.Change(Route("r2")), ifMatch: null));
    }

    [Fact]
    public void Table_has_at_most_400_routes()
    {
        AzureRouteRequest[] many =
        [
            .. Enumerable
                .Range(0, 400)
                .Select(number =>
                    Route($"r{number}") with
                    {
                        Destination = IPNetwork.Parse($"172.{20 + number / 256}.{number % 256}.0/24"),
                    }
                ),
        ];
        _test.World.PutRouteTable(_test.Now, _test.Table, many, ifMatch: null);
        Assert.Equal(400, Table.Routes.Length);
        var one = Route("one") with { Destination = IPNetwork.Parse("172.30.0.0/24") };
        _test.Rejected("OperationNotAllowed", () => _test.World.PutRoute(_test.Now, _test.Table, one, ifMatch: null));
    }

    [Fact]
    public void Subnet_gets_another_table_and_is_deleted_only_when_unused()
    {
        var nic = _test.Launch();
        var other = _test.World.CreateRouteTable(_test.Now, "other").Id;
        _test.World.PutSubnet(_test.Now, _test.Subnet, IPNetwork.Parse("10.0.0.0/26"), other, ifMatch: null);
        Assert.Equal(other, _test.World.FindSubnet(_test.Subnet)!.RouteTable);
        _test.Rejected(
            "InvalidResourceReference",
            () => _test.World.PutSubnet(_test.Now, _test.Subnet, IPNetwork.Parse("10.0.0.0/26"), "/nothing", ifMatch: null)
        );
        var inUse = _test.Rejected("InUseSubnetCannotBeDeleted", () => _test.World.DeleteSubnet(_test.Now, _test.Subnet));
        Assert.Contains(nic.Id, inUse.Message, StringComparison.Ordinal);
        _test.World.DeleteSubnet(_test.Now, _test.Other);
        Assert.Null(_test.World.FindSubnet(_test.Other));
    }

    private static AzureRouteRequest Route(string name) =>
        new()
        {
            Name = name,
            Destination = IPNetwork.Parse("172.20.1.0/24"),
            NextHop = AzureNextHop.VirtualAppliance,
            NextHopAddress = IPAddress.Parse("10.0.0.4"),
        };
}
