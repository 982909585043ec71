// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

public sealed class RouteTests
{
    private static readonly IPNetwork Pods = IPNetwork.Parse("172.20.1.0/24");
    private readonly TestWorld _test = new();

    private VpcRouteTable Main => _test.World.RouteTables.Single(table => table.IsMain);

    [Fact]
    public void Route_to_an_interface_is_active_while_it_is_attached()
    {
        var instance = _test.Launch();
        var eni = _test.CreateAttached(instance, device: 1);
        _test.World.CreateRoute(To(eni.Id));

        Assert.IsType<VpcEvent.RoutesChanged>(_test.Events[^1]);
        var described = Assert.Single(Describe(Main.Id).Routes);
        Assert.Equal((Pods, eni.Id, instance.Id), (described.Route.Destination, described.Route.Interface, described.Instance));
        Assert.Equal(RouteState.Active, described.State);

        _test.World.DetachNetworkInterface(eni.Attachment!.Id);
        Assert.Equal(RouteState.Blackhole, Assert.Single(Describe(Main.Id).Routes).State);
        _test.World.DeleteNetworkInterface(eni.Id);
        Assert.Equal(RouteState.Blackhole, Assert.Single(Describe(Main.Id).Routes).State);
    }

    [Fact]
    public void Route_to_an_instance_goes_to_its_only_interface()
    {
        var one = _test.Launch();
        var two = _test.Launch();
        _test.CreateAttached(two, device: 1);

        _test.World.CreateRoute(To(one.Id));
        Assert.Equal(one.PrimaryInterface, Assert.Single(Main.Routes).Interface);
        _test.AssertRejected("InvalidInstanceID", () => _test.World.ReplaceRoute(To(two.Id)));
    }

    [Fact]
    public void Replaced_route_has_the_new_target_and_a_deleted_one_is_gone()
    {
        var (one, two) = (_test.Launch(), _test.Launch());
        _test.AssertRejected("InvalidRoute.NotFound", () => _test.World.ReplaceRoute(To(one.Id)));
        _test.World.CreateRoute(To(one.Id));
        _test.AssertRejected("RouteAlreadyExists", () => _test.World.CreateRoute(To(two.Id)));

        _test.World.ReplaceRoute(To(two.Id));
        Assert.Equal(two.PrimaryInterface, Assert.Single(Main.Routes).Interface);
        _test.World.DeleteRoute(Main.Id, Pods);
        Assert.Empty(Main.Routes);
        _test.AssertRejected("InvalidRoute.NotFound", () => _test.World.DeleteRoute(Main.Id, Pods));
    }

    [Fact]
    public void Local_routes_exist_from_the_start_and_stay()
    {
        var described = Describe(Main.Id);
        Assert.Equal([.. _test.Vpc.Ipv4Ranges, .. _test.Vpc.Ipv6Ranges], described.LocalRanges);
        var local = _test.Vpc.Ipv4Ranges[0];
        var instance = _test.Launch();
        _test.AssertRejected("RouteAlreadyExists", () => _test.World.CreateRoute(To(instance.Id) with { Destination = local }));
        _test.AssertRejected("InvalidParameterValue", () => _test.World.DeleteRoute(Main.Id, local));
    }

    [Fact]
    public void Table_applies_to_its_subnets_and_the_main_table_to_the_others()
    {
        var table = _test.World.CreateRouteTable(_test.Vpc.Id);
        Assert.Equal(Main.Id, _test.World.RouteTableOf(_test.SubnetB.Id).Id);
        _test.World.AssociateRouteTable(table.Id, _test.SubnetB.Id);
        Assert.Equal(table.Id, _test.World.RouteTableOf(_test.SubnetB.Id).Id);
        Assert.Equal(Main.Id, _test.World.RouteTableOf(_test.SubnetA.Id).Id);

        Assert.Equal([table.Id], Found(new Filter("association.subnet-id", _test.SubnetB.Id.Value)));
        Assert.Empty(Found(new Filter("association.subnet-id", _test.SubnetA.Id.Value)));
        Assert.Equal([Main.Id], Found(new Filter("association.main", "true")));
        Assert.Equal([Main.Id, table.Id], Found(new Filter("vpc-id", _test.Vpc.Id.Value)));
    }

    [Fact]
    public void Routes_of_a_table_are_limited()
    {
        var test = new TestWorld(new WorldOptions { RoutesPerTable = 2 });
        var (instance, main) = (test.Launch(), test.World.RouteTables.Single());
        RouteRequest Request(int n) =>
            new()
            {
                Table = main.Id,
                Destination = IPNetwork.Parse($"172.20.{n}.0/24"),
                Instance = instance.Id,
            };
        test.World.CreateRoute(Request(1));
        test.World.CreateRoute(Request(2));
        test.AssertRejected("RouteLimitExceeded", () => test.World.CreateRoute(Request(3)));
    }

    [Fact]
    public void Unknown_tables_and_targets_are_rejected()
    {
        var instance = _test.Launch();
        _test.AssertRejected(
            "InvalidRouteTableID.NotFound",
            () => _test.World.CreateRoute(To(instance.Id) with { Table = new RouteTableId("rtb-0") })
        );
        _test.AssertRejected("InvalidNetworkInterfaceID.NotFound", () => _test.World.CreateRoute(To(new EniId("eni-0"))));
        _test.AssertRejected("InvalidInstanceID.NotFound", () => _test.World.CreateRoute(To(new InstanceId("i-0"))));
        _test.AssertRejected(
            "InvalidParameterCombination",
            () => _test.World.CreateRoute(To(instance.Id) with { Interface = instance.PrimaryInterface })
        );
        _test.AssertRejected("InvalidRouteTableID.NotFound", () => Describe(new RouteTableId("rtb-0")));
    }

    [Fact]
    public void Changed_source_destination_check_raises_an_event()
    {
        var instance = _test.Launch();
        _test.World.ModifyNetworkInterfaceAttribute(
            new ModifyInterfaceRequest { Interface = instance.PrimaryInterface, SourceDestCheck = false }
        );
        var changed = Assert.IsType<VpcEvent.SourceDestCheckChanged>(_test.Events[^1]);
        Assert.Equal((instance.PrimaryInterface, false), (changed.Interface, changed.Enabled));
    }

    private RouteRequest To(EniId eni) =>
        new()
        {
            Table = Main.Id,
            Destination = Pods,
            Interface = eni,
        };

    private RouteRequest To(InstanceId instance) =>
        new()
        {
            Table = Main.Id,
            Destination = Pods,
            Instance = instance,
        };

    private RouteTableDescription Describe(RouteTableId id) =>
        Assert.Single(_test.World.DescribeRouteTables(new Query { Ids = [id.Value] }).Items);

    private IEnumerable<RouteTableId> Found(params Filter[] filters) =>
        _test.World.DescribeRouteTables(new Query { Filters = filters }).Items.Select(item => item.Table.Id);
}
