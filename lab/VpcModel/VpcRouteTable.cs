// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>A route to a network interface. A table's <c>local</c> routes are the VPC's ranges and not among these.</summary>
/// <param name="Destination">IPv4 or IPv6 destination, without host bits.</param>
/// <param name="Interface">The interface that gets the packets. The route is a blackhole while it is not attached.</param>
public sealed record VpcRoute(IPNetwork Destination, EniId Interface);

/// <summary>
/// A route table at one moment. It applies to the subnets that it is associated with; the main table also applies to all subnets that no
/// other table is associated with.
/// </summary>
public sealed record VpcRouteTable
{
    public required RouteTableId Id { get; init; }
    public required VpcId Vpc { get; init; }
    public required bool IsMain { get; init; }

    /// <summary>The subnets that the table is explicitly associated with.</summary>
    public ImmutableArray<SubnetId> Subnets { get; init; } = [];
    public ImmutableArray<VpcRoute> Routes { get; init; } = [];
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

/// <summary>State of a route, as DescribeRouteTables returns it.</summary>
public enum RouteState
{
    Active,

    /// <summary>The target is not attached, or does not exist.</summary>
    Blackhole,
}

/// <summary>A route with the instance of its target.</summary>
/// <param name="Instance">The instance that the interface is attached to; null if the route is a blackhole.</param>
public sealed record RouteDescription(VpcRoute Route, InstanceId? Instance)
{
    public RouteState State => Instance is null ? RouteState.Blackhole : RouteState.Active;
}

/// <summary>A route table with its VPC's ranges, which are its <c>local</c> routes, and the state of its other routes.</summary>
public sealed record RouteTableDescription(
    VpcRouteTable Table,
    IReadOnlyList<IPNetwork> LocalRanges,
    IReadOnlyList<RouteDescription> Routes
);

/// <summary>Request of CreateRoute and ReplaceRoute, with exactly one target.</summary>
public sealed record RouteRequest
{
    public required RouteTableId Table { get; init; }

    /// <summary>IPv4 or IPv6 destination, without host bits.</summary>
    public required IPNetwork Destination { get; init; }
    public EniId? Interface { get; init; }

    /// <summary>An instance with one interface, which becomes the target.</summary>
    public InstanceId? Instance { get; init; }
}
