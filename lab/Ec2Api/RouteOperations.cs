// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Operations on routes and route tables. A route's target is a network interface or an instance.</summary>
internal static class RouteOperations
{
    public static Func<VpcWorld, Action<Ec2Xml>> Create(QueryRequest request)
    {
        var route = Route(request);
        return world =>
        {
            world.CreateRoute(route);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Replace(QueryRequest request)
    {
        var route = Route(request);
        return world =>
        {
            world.ReplaceRoute(route);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Delete(QueryRequest request)
    {
        var table = new RouteTableId(request.Required("RouteTableId"));
        var destination = Destination(request);
        return world =>
        {
            world.DeleteRoute(table, destination);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Describe(QueryRequest request)
    {
        var query = request.Query("RouteTableId");
        return world =>
        {
            var page = world.DescribeRouteTables(query);
            var owner = world.Options.OwnerId;
            return xml =>
            {
                xml.List("routeTableSet", page.Items, item => WriteTable(xml, item, owner));
                xml.NextToken(page.NextToken);
            };
        };
    }

    private static RouteRequest Route(QueryRequest request) =>
        new()
        {
            Table = new RouteTableId(request.Required("RouteTableId")),
            Destination = Destination(request),
            Interface = request.Text("NetworkInterfaceId") is { } eni ? new EniId(eni) : null,
            Instance = request.Text("InstanceId") is { } instance ? new InstanceId(instance) : null,
        };

    private static IPNetwork Destination(QueryRequest request)
    {
        var (ipv4, ipv6) = (request.Text("DestinationCidrBlock"), request.Text("DestinationIpv6CidrBlock"));
        if (ipv4 is null == ipv6 is null)
            throw Ec2Faults.BadCombination("Exactly one of destinationCidrBlock and destinationIpv6CidrBlock must be specified");
        var text = ipv4 ?? ipv6!;
        var family = ipv4 is null ? IpFamily.V6 : IpFamily.V4;
        return Canonical(text) is { } destination && destination.BaseAddress.AddressFamily == family
            ? destination
            : throw Ec2Faults.BadValue($"Value ({text}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.");
    }

    /// <summary>Parses a CIDR block; EC2 clears its host bits. Null if it is malformed.</summary>
    private static IPNetwork? Canonical(string text)
    {
        if (
            text.Split('/') is not [var first, var second]
            || !IPAddress.TryParse(first, out var address)
            || !byte.TryParse(second, out var length)
        )
            return null;
        var bytes = address.GetAddressBytes();
        if (length > bytes.Length * 8)
            return null;
        for (var bit = (int)length; bit < bytes.Length * 8; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), length);
    }

    private static void WriteTable(Ec2Xml xml, RouteTableDescription item, string owner)
    {
        var table = item.Table;
        xml.Value("routeTableId", table.Id.Value);
        xml.Value("vpcId", table.Vpc.Value);
        xml.Value("ownerId", owner);
        xml.List(
            "routeSet",
            item.LocalRanges.Select(range => (Action)(() => WriteLocal(xml, range)))
                .Concat(item.Routes.Select(route => (Action)(() => WriteRoute(xml, route, owner)))),
            write => write()
        );
        xml.List(
            "associationSet",
            table.Subnets.Select(subnet => (SubnetId?)subnet).Concat(table.IsMain ? [null] : (SubnetId?[])[]),
            subnet =>
            {
                xml.Value("routeTableAssociationId", AssociationId(table, subnet));
                xml.Value("routeTableId", table.Id.Value);
                if (subnet is { } id)
                    xml.Value("subnetId", id.Value);
                xml.Value("main", subnet is null);
                xml.Element("associationState", () => xml.Value("state", "associated"));
            }
        );
        xml.List("propagatingVgwSet", (string[])[], _ => { });
        xml.Tags(table.Tags);
    }

    private static void WriteLocal(Ec2Xml xml, IPNetwork range)
    {
        WriteDestination(xml, range);
        xml.Value("gatewayId", "local");
        xml.Value("state", EnumText.Of(RouteState.Active));
        xml.Value("origin", "CreateRouteTable");
    }

    private static void WriteRoute(Ec2Xml xml, RouteDescription route, string owner)
    {
        WriteDestination(xml, route.Route.Destination);
        if (route.Instance is { } instance)
        {
            xml.Value("instanceId", instance.Value);
            xml.Value("instanceOwnerId", owner);
        }

        xml.Value("networkInterfaceId", route.Route.Interface.Value);
        xml.Value("state", EnumText.Of(route.State));
        xml.Value("origin", "CreateRoute");
    }

    private static void WriteDestination(Ec2Xml xml, IPNetwork destination) =>
        xml.Value(
            destination.BaseAddress.AddressFamily == IpFamily.V6 ? "destinationIpv6CidrBlock" : "destinationCidrBlock",
            destination.ToString()
        );

    /// <summary>Id of the association with a subnet, or of the main association (null), derived from the digits of their ids.</summary>
    private static string AssociationId(VpcRouteTable table, SubnetId? subnet)
    {
        var id = subnet?.Value ?? table.Id.Value;
        return "rtbassoc" + id[id.LastIndexOf('-')..];
    }
}
