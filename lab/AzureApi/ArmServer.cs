// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using VpcCni.Lab.AzureModel;
using VpcCni.Lab.Http;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.AzureApi;

/// <summary>Options of the API that are not part of the model.</summary>
internal sealed record ArmOptions
{
    /// <summary>Latency added to every call, half before and half after the call takes effect.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>Maximum size of a request's body.</summary>
    public int MaxBodyBytes { get; init; } = 1024 * 1024;
}

/// <summary>
/// Serves the network resources of Azure Resource Manager over HTTP (https://learn.microsoft.com/rest/api/virtualnetwork,
/// https://learn.microsoft.com/rest/api/compute). Requests need a bearer token and an api-version, of which every date is accepted. Paths
/// are compared without case. The caller hosts <see cref="HandleAsync"/> on any socket in any network namespace. Requests enter the model
/// one at a time, under its lock, which this class does not hold across an await.
/// </summary>
internal sealed partial class ArmServer(AzureWorld world, BearerTokens tokens, TimeProvider time, ArmOptions options)
{
    /// <summary>The methods, as the call log and faults name them.</summary>
    public static IReadOnlyList<string> Methods { get; } =
    [
        "networkInterfaces.createOrUpdate",
        "networkInterfaces.get",
        "networkInterfaces.list",
        "operations.get",
        "routeTables.createOrUpdate",
        "routeTables.get",
        "routeTables.list",
        "routes.createOrUpdate",
        "routes.delete",
        "routes.get",
        "subnets.createOrUpdate",
        "subnets.delete",
        "subnets.get",
        "subnets.list",
        "virtualMachineScaleSetNetworkInterfaces.get",
        "virtualMachineScaleSetNetworkInterfaces.list",
        "virtualMachineScaleSetVMs.get",
        "virtualMachineScaleSetVMs.update",
        "virtualMachines.get",
        "virtualNetworks.get",
    ];

    /// <summary>
    /// What <c>x-ms-ratelimit-remaining-subscription-*</c> reports, without a limit: the limits of an hour before token buckets.
    /// </summary>
    private const int RemainingReads = 11_999;
    private const int RemainingWrites = 1_199;

    private readonly SeededNumbers _requestIds = new((ulong)time.GetUtcNow().Ticks);

    public async Task HandleAsync(HttpContext context)
    {
        Guid requestId;
        lock (_requestIds)
            requestId = _requestIds.NextGuid();
        Reply reply;
        try
        {
            reply = await ExecuteAsync(context);
        }
        catch (AzureFaultException fault)
        {
            reply = new Reply(fault.Status, ArmJson.Error(fault)) { RetryAfter = fault.RetryAfter };
        }

        var response = context.Response;
        response.StatusCode = (int)reply.Status;
        response.Headers["x-ms-request-id"] = $"{requestId}";
        response.Headers["x-ms-correlation-request-id"] = $"{requestId}";
        response.Headers.CacheControl = "no-cache";
        var isRead = HttpMethods.IsGet(context.Request.Method);
        response.Headers[$"x-ms-ratelimit-remaining-subscription-{(isRead ? "reads" : "writes")}"] = (
            reply.Status == HttpStatusCode.TooManyRequests ? 0
            : isRead ? RemainingReads
            : RemainingWrites
        ).ToString(CultureInfo.InvariantCulture);
        if (reply.Status == HttpStatusCode.Unauthorized)
            response.Headers.WWWAuthenticate =
                "Bearer authorization_uri=\"https://login.microsoftonline.com/\", error=\"invalid_token\", "
                + "error_description=\"The authentication failed.\"";
        if (reply.Tag is { } tag)
            response.Headers.ETag = tag;
        if (reply.RetryAfter is { } retryAfter)
            response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(retryAfter.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        if (reply.Operation is { } operation)
        {
            var address = $"{context.Request.Scheme}://{context.Request.Host}{world.OperationPath(operation)}";
            var version = $"?api-version={Version(context.Request)}";
            response.Headers["Azure-AsyncOperation"] = address + version;
            if (reply.HasLocation)
                response.Headers.Location = address.Replace("/operations/", "/operationResults/", StringComparison.Ordinal) + version;
        }

        if (reply.Body is null)
            return;
        var bytes = ArmJson.Bytes(reply.Body);
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = bytes.Length;
        await response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    private async Task<Reply> ExecuteAsync(HttpContext context)
    {
        if (!tokens.Authenticates(context.Request))
            throw context.Request.Headers.Authorization.Count == 0
                ? new AzureFaultException(
                    HttpStatusCode.Unauthorized,
                    "AuthenticationFailed",
                    "Authentication failed. The 'Authorization' header is missing."
                )
                : new AzureFaultException(HttpStatusCode.Unauthorized, "InvalidAuthenticationToken", "The access token is invalid.");
        _ = Version(context.Request);
        var call = Route(context.Request, await RequestBody.ReadAsync(context, options.MaxBodyBytes) ?? throw TooLarge());

        // Azure completes a call although its client disconnects, so these delays cannot be cancelled.
        var half = options.Latency / 2;
        if (half > TimeSpan.Zero)
            await Task.Delay(half, time, CancellationToken.None);
        try
        {
            lock (world.Gate)
                return call(time.GetUtcNow());
        }
        finally
        {
            if (half > TimeSpan.Zero)
                await Task.Delay(half, time, CancellationToken.None);
        }
    }

    private Func<DateTimeOffset, Reply> Route(HttpRequest request, ReadOnlyMemory<byte> body)
    {
        var path = request.Path.Value ?? "";
        var segments = path.Trim('/').Split('/');
        string[] lower = [.. segments.Select(segment => segment.ToLowerInvariant())];
        if (lower is not ["subscriptions", _, ..])
            throw NoSuchPath(path);
        var subscription = segments[1];
        if (!ArmId.Comparer.Equals(subscription, world.Options.Subscription))
            throw AzureFaults.SubscriptionNotFound(subscription);
        if (lower is [_, _, "providers", "microsoft.network" or "microsoft.compute", "locations", _, var kind, var id])
            return Operation(request, kind, id);
        if (lower is [_, _, "providers", "microsoft.network", "networkinterfaces"] && HttpMethods.IsGet(request.Method))
            return now => Listed(world.ListInterfaces(now).Select(nic => ArmJson.Interface(world, nic)));
        if (lower is not [_, _, "resourcegroups", _, "providers", _, ..])
            throw NoSuchPath(path);
        if (!ArmId.Comparer.Equals(segments[3], world.Options.ResourceGroup))
            throw AzureFaults.GroupNotFound(segments[3]);
        return lower[5] switch
        {
            "microsoft.network" => Network(request, lower[6..], segments[6..], body),
            "microsoft.compute" => Compute(request, lower[6..], segments[6..], body),
            _ => throw NoSuchPath(path),
        };
    }

    private Func<DateTimeOffset, Reply> Network(HttpRequest request, string[] lower, string[] segments, ReadOnlyMemory<byte> body)
    {
        var ifMatch = request.Headers.IfMatch is [{ Length: > 0 } tag] ? tag : null;
        switch (request.Method, lower)
        {
            case ("GET", ["networkinterfaces"]):
                return now => Listed(world.ListInterfaces(now).Select(nic => ArmJson.Interface(world, nic)));
            case ("GET", ["networkinterfaces", _]):
                return now => Read(world.GetInterface(now, world.InterfaceId(segments[1])));
            case ("PUT", ["networkinterfaces", _]):
                var put = ArmBodies.Interface(ArmBodies.Parse(body), world.InterfaceId(segments[1]), world.Options.Location, ifMatch);
                return now =>
                {
                    var change = world.PutInterface(now, put);
                    return Started(ArmJson.Interface(world, change.Resource), change.Operation, change.IsNew);
                };
            case ("GET", ["virtualnetworks", _]):
                return now =>
                {
                    var network = world.GetNetwork(now, world.NetworkId(segments[1]));
                    return new Reply(HttpStatusCode.OK, ArmJson.Network(world, network)) { Tag = network.Tag };
                };
            case ("GET", ["virtualnetworks", _, "subnets"]):
                return now => Listed(world.ListSubnets(now, world.NetworkId(segments[1])).Select(subnet => ArmJson.Subnet(world, subnet)));
            case ("GET", ["virtualnetworks", _, "subnets", _]):
                return now =>
                {
                    var subnet = world.GetSubnet(now, world.SubnetId(segments[1], segments[3]));
                    return new Reply(HttpStatusCode.OK, ArmJson.Subnet(world, subnet)) { Tag = subnet.Tag };
                };
            case ("PUT", ["virtualnetworks", _, "subnets", _]):
                var (range, routeTable) = ArmBodies.Subnet(ArmBodies.Parse(body));
                return now =>
                {
                    var change = world.PutSubnet(now, world.SubnetId(segments[1], segments[3]), range, routeTable, ifMatch);
                    return Started(ArmJson.Subnet(world, change.Resource), change.Operation, change.IsNew);
                };
            case ("DELETE", ["virtualnetworks", _, "subnets", _]):
                return now => Deleted(world.DeleteSubnet(now, world.SubnetId(segments[1], segments[3])));
            case ("GET", ["routetables"]):
                return now => Listed(world.ListRouteTables(now).Select(table => ArmJson.RouteTable(world, table)));
            case ("GET", ["routetables", _]):
                return now =>
                {
                    var table = world.GetRouteTable(now, world.RouteTableId(segments[1]));
                    return new Reply(HttpStatusCode.OK, ArmJson.RouteTable(world, table)) { Tag = table.Tag };
                };
            case ("PUT", ["routetables", _]):
                var routes = ArmBodies.RouteTable(ArmBodies.Parse(body));
                return now =>
                {
                    var change = world.PutRouteTable(now, world.RouteTableId(segments[1]), routes, ifMatch);
                    return Started(ArmJson.RouteTable(world, change.Resource), change.Operation, change.IsNew);
                };
            case ("GET", ["routetables", _, "routes"]):
                return now =>
                {
                    var table = world.GetRouteTable(now, world.RouteTableId(segments[1]));
                    return Listed(table.Routes.Select(route => ArmJson.Route(table.Id, route)));
                };
            case ("GET", ["routetables", _, "routes", _]):
                return now =>
                {
                    var table = world.RouteTableId(segments[1]);
                    var route = world.GetRoute(now, table, segments[3]);
                    return new Reply(HttpStatusCode.OK, ArmJson.Route(table, route)) { Tag = route.Tag };
                };
            case ("PUT", ["routetables", _, "routes", _]):
                var requested = ArmBodies.Route(ArmBodies.Parse(body), segments[3]);
                return now =>
                {
                    var table = world.RouteTableId(segments[1]);
                    var change = world.PutRoute(now, table, requested, ifMatch);
                    return Started(ArmJson.Route(table, change.Resource), change.Operation, change.IsNew);
                };
            case ("DELETE", ["routetables", _, "routes", _]):
                return now => Deleted(world.DeleteRoute(now, world.RouteTableId(segments[1]), segments[3]));
            default:
                throw NoSuchPath(request.Path.Value ?? "");
        }
    }

    private Func<DateTimeOffset, Reply> Compute(HttpRequest request, string[] lower, string[] segments, ReadOnlyMemory<byte> body)
    {
        switch (request.Method, lower)
        {
            case ("GET", ["virtualmachines", _]):
                return now => new(HttpStatusCode.OK, ArmJson.Machine(world, world.GetMachine(now, world.MachineId(segments[1]))));
            case ("GET", ["virtualmachinescalesets", _, "virtualmachines", _]):
                return now =>
                    new(
                        HttpStatusCode.OK,
                        ArmJson.Machine(world, world.GetMachine(now, world.ScaleSetMachineId(segments[1], segments[3])))
                    );
            case ("PUT", ["virtualmachinescalesets", _, "virtualmachines", _]):
                var parsed = ArmBodies.Parse(body);
                var ifMatch = request.Headers.IfMatch is [{ Length: > 0 } tag] ? tag : null;
                return now =>
                {
                    var id = world.ScaleSetMachineId(segments[1], segments[3]);
                    var machine =
                        world.FindMachine(id)
                        ?? throw AzureFaults.NotFound(
                            "Microsoft.Compute/virtualMachineScaleSets",
                            $"{segments[1]}/virtualMachines/{segments[3]}",
                            world.Options.ResourceGroup
                        );
                    var put = ArmBodies.ScaleSetMachine(parsed, world.InterfaceOf(machine), ifMatch);
                    var change = world.PutScaleSetMachine(now, put);
                    return Started(ArmJson.Machine(world, machine), change.Operation, isNew: false);
                };
            case ("GET", ["virtualmachinescalesets", _, "networkinterfaces"]):
                return now =>
                    Listed(world.ListScaleSetInterfaces(now, segments[1], number: null).Select(nic => ArmJson.Interface(world, nic)));
            case ("GET", ["virtualmachinescalesets", _, "virtualmachines", _, "networkinterfaces"]):
                return now =>
                    Listed(world.ListScaleSetInterfaces(now, segments[1], segments[3]).Select(nic => ArmJson.Interface(world, nic)));
            case ("GET", ["virtualmachinescalesets", _, "virtualmachines", _, "networkinterfaces", _]):
                return now =>
                    Read(world.GetInterface(now, $"{world.ScaleSetMachineId(segments[1], segments[3])}/networkInterfaces/{segments[5]}"));
            default:
                throw NoSuchPath(request.Path.Value ?? "");
        }
    }

    /// <summary>
    /// Status of an operation (<c>operations</c>, from Azure-AsyncOperation), or its result (<c>operationResults</c>, from Location).
    /// </summary>
    private Func<DateTimeOffset, Reply> Operation(HttpRequest request, string kind, string id)
    {
        if (!HttpMethods.IsGet(request.Method) || !Guid.TryParse(id, out var guid))
            throw NoSuchPath(request.Path.Value ?? "");
        return kind switch
        {
            "operations" => now =>
            {
                var operation = world.GetOperation(now, guid);
                var isDone = operation.IsDone(now);
                return new(HttpStatusCode.OK, ArmJson.Operation(operation, isDone))
                {
                    RetryAfter = isDone ? null : world.Timing.RetryAfter,
                };
            },
            "operationresults" => now =>
            {
                var operation = world.GetOperation(now, guid);
                if (!operation.IsDone(now))
                    return new(HttpStatusCode.Accepted, Body: null)
                    {
                        Operation = guid,
                        HasLocation = true,
                        RetryAfter = world.Timing.RetryAfter,
                    };
                return operation.Failure is { } failure
                    ? throw new AzureFaultException(
                        AzureErrorCodes.All.GetValueOrDefault(failure.Code, HttpStatusCode.BadRequest),
                        failure.Code,
                        failure.Message
                    )
                    : new(HttpStatusCode.NoContent, Body: null);
            },
            _ => throw NoSuchPath(request.Path.Value ?? ""),
        };
    }

    private Reply Read(AzureInterface nic) => new(HttpStatusCode.OK, ArmJson.Interface(world, nic)) { Tag = nic.Tag };

    private static Reply Listed(IEnumerable<JsonObject> items) => new(HttpStatusCode.OK, ArmJson.List(items));

    private Reply Started(JsonObject resource, AzureOperation operation, bool isNew) =>
        new(isNew ? HttpStatusCode.Created : HttpStatusCode.OK, resource)
        {
            Operation = operation.Id,
            RetryAfter = world.Timing.RetryAfter,
        };

    private Reply Deleted(AzureOperation? operation) =>
        operation is null
            ? new Reply(HttpStatusCode.NoContent, Body: null)
            : new Reply(HttpStatusCode.Accepted, Body: null)
            {
                Operation = operation.Id,
                HasLocation = true,
                RetryAfter = world.Timing.RetryAfter,
            };

    private static string Version(HttpRequest request)
    {
        if (request.Query["api-version"] is not [{ Length: > 0 } version])
            throw AzureFaults.Bad(
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests."
            );
        return ApiVersion().IsMatch(version)
            ? version
            : throw AzureFaults.Bad("InvalidApiVersionParameter", $"The api-version '{version}' is invalid.");
    }

    private AzureFaultException TooLarge() =>
        new(
            HttpStatusCode.RequestEntityTooLarge,
            "RequestContentTooLarge",
            $"The request content size exceeds the maximum size of {options.MaxBodyBytes} bytes."
        );

    private static AzureFaultException NoSuchPath(string path) =>
        new(HttpStatusCode.NotFound, "InvalidResourceType", $"The lab has no such resource or method: {path}");

    [GeneratedRegex("^20[0-9]{2}-[01][0-9]-[0-3][0-9](?:-preview)?$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ApiVersion();

    /// <summary>A response.</summary>
    /// <param name="Body">Null for none.</param>
    private sealed record Reply(HttpStatusCode Status, JsonObject? Body)
    {
        public string? Tag { get; init; }

        public TimeSpan? RetryAfter { get; init; }

        /// <summary>The operation that it started, for Azure-AsyncOperation.</summary>
        public Guid? Operation { get; init; }

        /// <summary>Whether it also has Location, as responses without a resource have.</summary>
        public bool HasLocation { get; init; }
    }
}
