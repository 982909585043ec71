// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.AzureModel;

/// <summary>
/// Methods on virtual networks, subnets and route tables (https://learn.microsoft.com/rest/api/virtualnetwork/routes).
/// </summary>
public sealed partial class AzureWorld
{
    public AzureNetwork GetNetwork(DateTimeOffset now, string id) =>
        Call(
            now,
            "virtualNetworks.get",
            AzureCallKind.Read,
            () =>
                _networks.GetValueOrDefault(id)
                ?? throw AzureFaults.NotFound("Microsoft.Network/virtualNetworks", ArmId.NameOf(id), Options.ResourceGroup)
        );

    public AzureSubnet GetSubnet(DateTimeOffset now, string id) =>
        Call(now, "subnets.get", AzureCallKind.Read, () => FindSubnet(id) ?? throw AzureFaults.ChildNotFound(id));

    public IReadOnlyList<AzureSubnet> ListSubnets(DateTimeOffset now, string network) =>
        Call<IReadOnlyList<AzureSubnet>>(
            now,
            "subnets.list",
            AzureCallKind.Read,
            () =>
                [
                    .. Subnets
                        .Where(subnet => ArmId.Comparer.Equals(subnet.Network, network))
                        .OrderBy(subnet => subnet.Name, StringComparer.Ordinal),
                ]
        );

    /// <summary>Sets the route table of a subnet, which is all that the lab changes of one.</summary>
    /// <param name="range">The subnet's range, which must be the current one.</param>
    /// <param name="routeTable">Id of the table; null for none.</param>
    public AzureChange<AzureSubnet> PutSubnet(DateTimeOffset now, string id, IPNetwork range, string? routeTable, string? ifMatch) =>
        Call(
            now,
            "subnets.createOrUpdate",
            AzureCallKind.Write,
            () =>
            {
                if (FindSubnet(id) is not { } subnet)
                    throw AzureFaults.NotAllowed("The lab creates subnets only when it starts.");
                RequireIdle(id);
                RequireTag(ifMatch, subnet.Tag, id);
                if (!subnet.Range.Equals(range))
                    throw AzureFaults.NotAllowed($"Subnet {subnet.Name} is in use and its range {subnet.Range} cannot be changed.");
                if (routeTable is not null && !_tables.ContainsKey(routeTable))
                    throw AzureFaults.InvalidReference(routeTable, id);
                PutSubnet(subnet with { State = AzureProvisioningState.Updating, Tag = NextTag() });
                var operation = Start(
                    now,
                    id,
                    Injected("subnets.createOrUpdate"),
                    (_, hasFailed) =>
                    {
                        PutSubnet(
                            FindSubnet(id)! with
                            {
                                RouteTable = hasFailed ? subnet.RouteTable : routeTable,
                                State = hasFailed ? AzureProvisioningState.Failed : AzureProvisioningState.Succeeded,
                                Tag = NextTag(),
                            }
                        );
                        NetworkChanged?.Invoke();
                    }
                );
                return new AzureChange<AzureSubnet>(FindSubnet(id)!, operation);
            }
        );

    public AzureOperation DeleteSubnet(DateTimeOffset now, string id) =>
        Call(
            now,
            "subnets.delete",
            AzureCallKind.Write,
            () =>
            {
                var subnet = FindSubnet(id) ?? throw AzureFaults.ChildNotFound(id);
                RequireIdle(id);
                foreach (var nic in Interfaces)
                {
                    if (nic.Configurations.FirstOrDefault(each => ArmId.Comparer.Equals(each.Subnet, id)) is { } user)
                        throw AzureFaults.SubnetInUse(subnet.Name, $"{nic.Id}/ipConfigurations/{user.Name}");
                }

                PutSubnet(subnet with { State = AzureProvisioningState.Deleting });
                return Start(
                    now,
                    id,
                    Injected("subnets.delete"),
                    (_, hasFailed) =>
                    {
                        if (hasFailed)
                            PutSubnet(subnet with { State = AzureProvisioningState.Failed });
                        else
                            _subnets.Remove(id);
                    }
                );
            }
        );

    public AzureRouteTable GetRouteTable(DateTimeOffset now, string id) =>
        Call(now, "routeTables.get", AzureCallKind.Read, () => ExistingTable(id));

    public IReadOnlyList<AzureRouteTable> ListRouteTables(DateTimeOffset now) =>
        Call<IReadOnlyList<AzureRouteTable>>(
            now,
            "routeTables.list",
            AzureCallKind.Read,
            () => [.. RouteTables.OrderBy(table => table.Id, StringComparer.Ordinal)]
        );

    /// <summary>Creates a table, or replaces all of its routes.</summary>
    public AzureChange<AzureRouteTable> PutRouteTable(
        DateTimeOffset now,
        string id,
        IReadOnlyList<AzureRouteRequest> routes,
        string? ifMatch
    ) =>
        Call(
            now,
            "routeTables.createOrUpdate",
            AzureCallKind.Write,
            () =>
            {
                var before = _tables.GetValueOrDefault(id);
                RequireIdle(id);
                RequireTag(ifMatch, before?.Tag ?? "", id);
                CheckRoutes(id, routes);
                var table =
                    before
                    ?? new AzureRouteTable
                    {
                        Id = id,
                        Tag = "",
                        ResourceGuid = _numbers.NextGuid(),
                    };
                _tables[id] = table with { State = AzureProvisioningState.Updating, Tag = NextTag() };
                var operation = Start(
                    now,
                    id,
                    Injected("routeTables.createOrUpdate"),
                    (_, hasFailed) => Finish(id, hasFailed, current => [.. routes.Select(route => Kept(current, route))])
                );
                return new AzureChange<AzureRouteTable>(_tables[id], operation, IsNew: before is null);
            }
        );

    public AzureRoute GetRoute(DateTimeOffset now, string table, string name) =>
        Call(
            now,
            "routes.get",
            AzureCallKind.Read,
            () => Find(ExistingTable(table), name) ?? throw AzureFaults.ChildNotFound($"{table}/routes/{name}")
        );

    /// <summary>
    /// Creates or replaces a route. Routes are part of their table: while one changes, the table and its other routes cannot.
    /// </summary>
    public AzureChange<AzureRoute> PutRoute(DateTimeOffset now, string tableId, AzureRouteRequest request, string? ifMatch) =>
        Call(
            now,
            "routes.createOrUpdate",
            AzureCallKind.Write,
            () =>
            {
                var table = ExistingTable(tableId);
                RequireIdle(tableId);
                var before = Find(table, request.Name);
                RequireTag(ifMatch, before?.Tag ?? "", $"{tableId}/routes/{request.Name}");
                CheckRoutes(
                    tableId,
                    [
                        .. table
                            .Routes.Where(route => !ArmId.Comparer.Equals(route.Name, request.Name))
                            .Select(route => new AzureRouteRequest
                            {
                                Name = route.Name,
                                Destination = route.Destination,
                                NextHop = route.NextHop,
                                NextHopAddress = route.NextHopAddress,
                            }),
                        request,
                    ]
                );
                var route = Made(request) with { State = AzureProvisioningState.Updating };
                _tables[tableId] = table with { State = AzureProvisioningState.Updating, Tag = NextTag() };
                var operation = Start(
                    now,
                    tableId,
                    Injected("routes.createOrUpdate"),
                    (_, hasFailed) =>
                        Finish(
                            tableId,
                            hasFailed,
                            current =>
                                [
                                    .. current.Routes.Where(other => !ArmId.Comparer.Equals(other.Name, request.Name)),
                                    route with
                                    {
                                        State = AzureProvisioningState.Succeeded,
                                    },
                                ]
                        )
                );
                return new AzureChange<AzureRoute>(Find(_tables[tableId], request.Name) ?? route, operation, IsNew: before is null);
            }
        );

    /// <summary>Deletes a route; null if it does not exist, which is no error.</summary>
    public AzureOperation? DeleteRoute(DateTimeOffset now, string tableId, string name) =>
        Call(
            now,
            "routes.delete",
            AzureCallKind.Write,
            () =>
            {
                var table = ExistingTable(tableId);
                if (Find(table, name) is null)
                    return null;
                RequireIdle(tableId);
                _tables[tableId] = table with { State = AzureProvisioningState.Updating, Tag = NextTag() };
                return Start(
                    now,
                    tableId,
                    Injected("routes.delete"),
                    (_, hasFailed) =>
                        Finish(tableId, hasFailed, current => [.. current.Routes.Where(other => !ArmId.Comparer.Equals(other.Name, name))])
                );
            }
        );

    /// <summary>The interface that a route sends packets to; null for other kinds of next hops, or if none has the address.</summary>
    public AzureInterface? NextHopOf(AzureRoute route) =>
        route.NextHopAddress is { } address
            ? Interfaces.FirstOrDefault(nic =>
                nic.Applied.Any(each => each.Range.PrefixLength == 32 && each.Range.BaseAddress.Equals(address))
            )
            : null;

    private void Finish(string id, bool hasFailed, Func<AzureRouteTable, ImmutableArray<AzureRoute>> routes)
    {
        var table = _tables[id];
        _tables[id] = table with
        {
            Routes = hasFailed ? table.Routes : routes(table),
            State = hasFailed ? AzureProvisioningState.Failed : AzureProvisioningState.Succeeded,
            Tag = NextTag(),
        };
        NetworkChanged?.Invoke();
    }

    private static AzureRoute? Find(AzureRouteTable table, string name) =>
        table.Routes.FirstOrDefault(route => ArmId.Comparer.Equals(route.Name, name));

    /// <summary>The table's route of a request if it is the same, with its tag; otherwise a new one.</summary>
    private AzureRoute Kept(AzureRouteTable table, AzureRouteRequest request) =>
        Find(table, request.Name) is { } route
        && route.Destination.Equals(request.Destination)
        && route.NextHop == request.NextHop
        && Equals(route.NextHopAddress, request.NextHopAddress)
            ? route
            : Made(request);

    private AzureRoute Made(AzureRouteRequest request) =>
        new()
        {
            Name = request.Name,
            Tag = NextTag(),
            Destination = request.Destination,
            NextHop = request.NextHop,
            NextHopAddress = request.NextHopAddress,
        };

    private void CheckRoutes(string table, IReadOnlyList<AzureRouteRequest> routes)
    {
        if (routes.Count > Options.RoutesPerTable)
            throw AzureFaults.NotAllowed(
                $"Route table {ArmId.NameOf(table)} would have {routes.Count} routes; the maximum is {Options.RoutesPerTable}."
            );
        foreach (var (index, route) in routes.Index())
        {
            if (route.NextHop == AzureNextHop.VirtualAppliance && route.NextHopAddress is null)
                throw AzureFaults.InvalidFormat($"Route {route.Name}: nextHopType VirtualAppliance needs nextHopIpAddress.");
            if (route.NextHop != AzureNextHop.VirtualAppliance && route.NextHopAddress is not null)
                throw AzureFaults.InvalidFormat($"Route {route.Name}: nextHopIpAddress is only for nextHopType VirtualAppliance.");
            if (
                routes
                    .Take(index)
                    .FirstOrDefault(other =>
                        other.Destination.Equals(route.Destination) || ArmId.Comparer.Equals(other.Name, route.Name)
                    ) is
                { } clash
            )
                throw AzureFaults.Bad(
                    "RouteConflictDetected",
                    $"Route {route.Name} conflicts with route {clash.Name}: routes of a table differ in name and addressPrefix."
                );
        }
    }

    private AzureRouteTable ExistingTable(string id) =>
        _tables.GetValueOrDefault(id)
        ?? throw AzureFaults.NotFound("Microsoft.Network/routeTables", ArmId.NameOf(id), Options.ResourceGroup);

    private void PutSubnet(AzureSubnet subnet) => _subnets[subnet.Id] = (subnet, _subnets[subnet.Id].Pool);

    private static void RequireTag(string? ifMatch, string current, string id)
    {
        if (ifMatch is not null && ifMatch != "*" && ifMatch != current)
            throw AzureFaults.StaleTag(ifMatch, current, id);
    }
}
