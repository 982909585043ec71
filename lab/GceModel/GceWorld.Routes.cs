// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.GceModel;

/// <summary>Methods on routes (https://cloud.google.com/compute/docs/reference/rest/v1/routes).</summary>
public sealed partial class GceWorld
{
    private const int MaxPriority = 65_535;

    /// <summary>
    /// The instance that a route sends packets to; null for a route to the internet or of a subnetwork, and if the instance does not exist.
    /// </summary>
    public GceInstance? NextHopOf(GceRoute route) =>
        route.NextHopInstance is var (zone, name) ? FindInstance(zone, name)
        : route.NextHopAddress is { } address ? Instances.FirstOrDefault(instance => instance.Interface.Address.Equals(address))
        : null;

    public GceRoute GetRoute(DateTimeOffset now, string project, string name) =>
        Call(now, project, "routes.get", GceCallKind.Read, () => ExistingRoute(name));

    /// <summary>All routes, those of subnetworks and to the internet included, in order of their names.</summary>
    public IReadOnlyList<GceRoute> ListRoutes(DateTimeOffset now, string project) =>
        Call<IReadOnlyList<GceRoute>>(
            now,
            project,
            "routes.list",
            GceCallKind.Read,
            () => [.. Routes.OrderBy(route => route.Name, StringComparer.Ordinal)]
        );

    public GceOperation InsertRoute(DateTimeOffset now, string project, GceRouteRequest request) =>
        Call(
            now,
            project,
            "routes.insert",
            GceCallKind.Mutation,
            () =>
            {
                if (Repeated(request.RequestId) is { } earlier)
                    return earlier;
                CheckRoute(request);
                var target = Path($"global/routes/{request.Name}");
                if (_routes.ContainsKey(request.Name))
                    throw GceFaults.AlreadyExists(target);
                if (IsBusy(target))
                    throw GceFaults.NotReady(target);
                if (Routes.Count(route => !route.IsSubnetRoute && !route.IsInternet) + PendingInserts >= Options.Routes)
                    throw GceFaults.QuotaExceeded("ROUTES", Options.Routes);

                var id = _ids.NextId();
                return Start(
                    now,
                    new OperationStart(Zone: null, "insert", target, id, request.RequestId, Injected("routes.insert")),
                    at =>
                    {
                        AddRoute(
                            new GceRoute
                            {
                                Name = request.Name,
                                Id = id,
                                Network = request.Network,
                                Destination = request.Destination,
                                Priority = request.Priority,
                                Description = request.Description,
                                Tags = request.Tags,
                                CreatedAt = at,
                                NextHopInstance = request.NextHopInstance,
                                NextHopAddress = request.NextHopAddress,
                                IsInternet = request.IsInternet,
                            }
                        );
                        NetworkChanged?.Invoke();
                    }
                );
            }
        );

    public GceOperation DeleteRoute(DateTimeOffset now, string project, string name, string? requestId) =>
        Call(
            now,
            project,
            "routes.delete",
            GceCallKind.Mutation,
            () =>
            {
                if (Repeated(requestId) is { } earlier)
                    return earlier;
                var target = Path($"global/routes/{name}");
                var route = ExistingRoute(name);
                if (route.IsSubnetRoute)
                    throw GceFaults.Invalid("route", name, "The local route cannot be deleted.");
                if (IsBusy(target))
                    throw GceFaults.NotReady(target);
                return Start(
                    now,
                    new OperationStart(Zone: null, "delete", target, route.Id, requestId, Injected("routes.delete")),
                    _ =>
                    {
                        _routes.Remove(name);
                        NetworkChanged?.Invoke();
                    }
                );
            }
        );

    private int PendingInserts => _busy.Values.Count(name => _operations[name] is { Type: "insert", Failure: null, Zone: null });

    private GceRoute ExistingRoute(string name) =>
        _routes.GetValueOrDefault(name) ?? throw GceFaults.NotFound(Path($"global/routes/{name}"));

    private void CheckRoute(GceRouteRequest request)
    {
        CheckName("resource.name", request.Name);
        if (!_networks.ContainsKey(request.Network))
            throw GceFaults.NotFound(Path($"global/networks/{request.Network}"));
        if (request.Priority is < 0 or > MaxPriority)
            throw GceFaults.Invalid("resource.priority", $"{request.Priority}", $"Must be between 0 and {MaxPriority}.");
        var hops = (request.NextHopInstance is null ? 0 : 1) + (request.NextHopAddress is null ? 0 : 1) + (request.IsInternet ? 1 : 0);
        if (hops != 1)
            throw GceFaults.Invalid("resource.nextHop", "", "Exactly one next hop must be specified.");
        // A subnetwork's route always wins, so GCE accepts no route to a part of its ranges.
        if (RangesOf(request.Network).FirstOrDefault(range => Ipv4.Within(request.Destination, range)) is { PrefixLength: > 0 } range)
            throw GceFaults.Invalid(
                "resource.destRange",
                request.Destination.ToString(),
                $"It is within the range {range} of a subnetwork of the network."
            );
        if (request.NextHopInstance is var (zone, name))
        {
            var instance = Existing(zone, name);
            if (SubnetworkOf(instance).Network != request.Network)
                throw GceFaults.Invalid("resource.nextHopInstance", name, "The instance has no interface in the route's network.");
        }

        if (
            request.NextHopAddress is { } address
            && !Subnetworks.Any(subnetwork => subnetwork.Network == request.Network && subnetwork.Range.Contains(address))
        )
            throw GceFaults.Invalid("resource.nextHopIp", $"{address}", "The address is not within a subnetwork's primary range.");
    }
}
