// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Route tables and their routes to network interfaces. Other targets (gateways, endpoints, peerings) do not exist in the model.
/// </summary>
public sealed partial class VpcWorld
{
    private static readonly FilterSet<RouteTableDescription> RouteTableFilters = new(
        new Dictionary<string, Func<RouteTableDescription, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["association.main"] = item =>
                item.Table.IsMain ? ["true"]
                : item.Table.Subnets.IsEmpty ? []
                : ["false"],
            ["association.route-table-id"] = item => [item.Table.Id.Value],
            ["association.subnet-id"] = item => item.Table.Subnets.Select(subnet => subnet.Value),
            ["route-table-id"] = item => [item.Table.Id.Value],
            ["route.destination-cidr-block"] = item => DestinationsOf(item, isIpv6: false),
            ["route.destination-ipv6-cidr-block"] = item => DestinationsOf(item, isIpv6: true),
            ["route.instance-id"] = item => item.Routes.Select(route => route.Instance?.Value).OfType<string>(),
            ["route.state"] = item => item.Routes.Select(route => EnumText.Of(route.State)).Append(EnumText.Of(RouteState.Active)),
            ["vpc-id"] = item => [item.Table.Vpc.Value],
        },
        item => item.Table.Tags
    );

    private readonly Dictionary<RouteTableId, VpcRouteTable> _routeTables = [];

    /// <summary>The current route tables, in order of creation.</summary>
    public IEnumerable<VpcRouteTable> RouteTables => _routeTables.Values;

    public VpcRouteTable? FindRouteTable(RouteTableId id) => _routeTables.GetValueOrDefault(id);

    /// <summary>The table that applies to a subnet.</summary>
    public VpcRouteTable RouteTableOf(SubnetId id)
    {
        var subnet = GetSubnet(id).Subnet;
        var tables = RouteTables.Where(table => table.Vpc == subnet.Vpc).ToArray();
        return Array.Find(tables, table => table.Subnets.Contains(id)) ?? Array.Find(tables, table => table.IsMain)!;
    }

    /// <summary>Creates a route table that no subnet is associated with. Every VPC has a main table from the start.</summary>
    public VpcRouteTable CreateRouteTable(VpcId vpc, IReadOnlyDictionary<string, string>? tags = null) =>
        ChangeTopology(() =>
        {
            if (!_vpcs.ContainsKey(vpc))
                throw Ec2Faults.NoSuchVpc(vpc.Value);
            var table = new VpcRouteTable
            {
                Id = new RouteTableId(_ids.Next("rtb")),
                Vpc = vpc,
                IsMain = false,
                Tags = CheckedTags(NoTags.Value, tags),
            };
            _routeTables.Add(table.Id, table);
            return table;
        });

    /// <summary>Associates a table with a subnet, in place of the table that applied to it.</summary>
    public VpcRouteTable AssociateRouteTable(RouteTableId id, SubnetId subnet) =>
        ChangeTopology(() =>
        {
            var table = GetRouteTable(id);
            if (GetSubnet(subnet).Subnet.Vpc != table.Vpc)
                throw Ec2Faults.BadValue($"Route table {id} and subnet {subnet} belong to different networks");
            foreach (var other in RouteTables.Where(other => other.Subnets.Contains(subnet)).ToArray())
                _routeTables[other.Id] = other with { Subnets = other.Subnets.Remove(subnet) };
            table = GetRouteTable(id);
            return PutRoutes(table with { Subnets = table.Subnets.Add(subnet) });
        });

    public void CreateRoute(RouteRequest request) =>
        Call(
            "CreateRoute",
            CallKind.Mutating,
            () =>
            {
                var table = GetRouteTable(request.Table);
                var target = TargetOf(request, table);
                if (
                    RangesOf(_vpcs[table.Vpc]).Contains(request.Destination)
                    || table.Routes.Any(route => route.Destination.Equals(request.Destination))
                )
                    throw Ec2Faults.RouteExists(request.Destination);
                if (table.Routes.Length >= Options.RoutesPerTable)
                    throw Ec2Faults.RouteLimit(Options.RoutesPerTable);
                return PutRoutes(table with { Routes = table.Routes.Add(new VpcRoute(request.Destination, target)) });
            }
        );

    public void ReplaceRoute(RouteRequest request) =>
        Call(
            "ReplaceRoute",
            CallKind.Mutating,
            () =>
            {
                var table = GetRouteTable(request.Table);
                var target = TargetOf(request, table);
                var before = FindRoute(table, request.Destination);
                return PutRoutes(table with { Routes = table.Routes.Replace(before, before with { Interface = target }) });
            }
        );

    /// <summary>Deletes the route to exactly this destination.</summary>
    public void DeleteRoute(RouteTableId id, IPNetwork destination) =>
        Call(
            "DeleteRoute",
            CallKind.Mutating,
            () =>
            {
                var table = GetRouteTable(id);
                if (RangesOf(_vpcs[table.Vpc]).Contains(destination))
                    throw Ec2Faults.BadValue($"cannot remove local route {destination} in route table {id}");
                return PutRoutes(table with { Routes = table.Routes.Remove(FindRoute(table, destination)) });
            }
        );

    public Page<RouteTableDescription> DescribeRouteTables(Query query) =>
        Call(
            "DescribeRouteTables",
            query.Kind,
            () =>
            {
                var chosen = SelectById(query, RouteTables, id => FindRouteTable(new RouteTableId(id)), Ec2Faults.NoSuchRouteTable)
                    .Select(table => new RouteTableDescription(
                        table,
                        RangesOf(_vpcs[table.Vpc]),
                        [.. table.Routes.Select(route => new RouteDescription(route, FindInterface(route.Interface)?.Attachment?.Instance))]
                    ));
                return Paging.Paginate(
                    query,
                    chosen.Where(RouteTableFilters.Compile(query.Filters)),
                    item => item.Table.Id.Value,
                    "routeTableIds"
                );
            }
        );

    /// <summary>
    /// Creates the main table of a new VPC. Its id has the digits of the VPC's, so that it takes nothing from the world's randomness.
    /// </summary>
    private void CreateMainRouteTable(VpcId vpc)
    {
        var id = new RouteTableId("rtb" + vpc.Value[vpc.Value.IndexOf('-', StringComparison.Ordinal)..]);
        _routeTables.Add(
            id,
            new VpcRouteTable
            {
                Id = id,
                Vpc = vpc,
                IsMain = true,
            }
        );
    }

    private VpcRouteTable PutRoutes(VpcRouteTable table)
    {
        _routeTables[table.Id] = table;
        Raise(new VpcEvent.RoutesChanged(table.Vpc));
        return table;
    }

    private VpcRouteTable GetRouteTable(RouteTableId id) => FindRouteTable(id) ?? throw Ec2Faults.NoSuchRouteTable(id.Value);

    private static VpcRoute FindRoute(VpcRouteTable table, IPNetwork destination) =>
        table.Routes.FirstOrDefault(route => route.Destination.Equals(destination)) ?? throw Ec2Faults.NoSuchRoute(table.Id, destination);

    private EniId TargetOf(RouteRequest request, VpcRouteTable table)
    {
        if (request.Interface is null == request.Instance is null)
            throw Ec2Faults.BadCombination("Exactly one of networkInterfaceId and instanceId must be specified");
        var eni = request.Interface is { } id ? Get(id) : OnlyInterfaceOf(GetInstance(request.Instance!.Value));
        return eni.Vpc == table.Vpc
            ? eni.Id
            : throw Ec2Faults.BadValue($"route table {table.Id} and interface {eni.Id} belong to different networks");
    }

    private NetworkInterface OnlyInterfaceOf(Instance instance) =>
        InterfacesOf(instance.Id) switch
        {
            [var only] => only,
            [] => throw Ec2Faults.BadInstance($"There are no interfaces attached to instance '{instance.Id}'."),
            _ => throw Ec2Faults.BadInstance(
                $"There are multiple interfaces attached to instance '{instance.Id}'. Please specify an interface ID for the "
                    + "operation instead."
            ),
        };

    private static IEnumerable<string> DestinationsOf(RouteTableDescription item, bool isIpv6) =>
        item
            .LocalRanges.Concat(item.Routes.Select(route => route.Route.Destination))
            .Where(destination => destination.BaseAddress.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 == isIpv6)
            .Select(destination => destination.ToString());
}
