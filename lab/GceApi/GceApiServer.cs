// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.GceModel;
using VpcCni.Lab.Http;

namespace VpcCni.Lab.GceApi;

/// <summary>Options of the API that are not part of the model.</summary>
internal sealed record GceApiOptions
{
    /// <summary>Latency added to every call, half before and half after the call takes effect.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>Maximum size of a request's body.</summary>
    public int MaxBodyBytes { get; init; } = 256 * 1024;
}

/// <summary>
/// Serves the Compute Engine API, version v1, over HTTP with JSON (https://cloud.google.com/compute/docs/reference/rest/v1). Requests need
/// a bearer token. The caller hosts <see cref="HandleAsync"/> on any socket in any network namespace. Requests
/// enter the model one at a time, under its lock, which this class does not hold across an await.
/// </summary>
internal sealed class GceApiServer(GceWorld world, BearerTokens tokens, TimeProvider time, GceApiOptions options)
{
    /// <summary>Prefix of every path.</summary>
    public const string PathPrefix = "/compute/v1";

    /// <summary>How long a call of wait waits at most; clients repeat it.</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromMinutes(2);

    /// <summary>The methods, as the call log and faults name them.</summary>
    public static IReadOnlyList<string> Methods { get; } =
    [
        "globalOperations.get",
        "globalOperations.list",
        "globalOperations.wait",
        "instances.get",
        "instances.list",
        "instances.updateNetworkInterface",
        "networks.get",
        "networks.list",
        "routes.delete",
        "routes.get",
        "routes.insert",
        "routes.list",
        "subnetworks.get",
        "subnetworks.list",
        "zoneOperations.get",
        "zoneOperations.list",
        "zoneOperations.wait",
    ];

    private const int MaxPageSize = 500;

    /// <summary>Parameters that every method accepts, and that do not change what this server does.</summary>
    private static readonly HashSet<string> CommonParameters =
    [
        "alt",
        "$alt",
        "fields",
        "$fields",
        "key",
        "$.xgafv",
        "prettyPrint",
        "$prettyPrint",
        "quotaUser",
        "userIp",
        "uploadType",
        "upload_protocol",
    ];

    private static readonly HashSet<string> ListParameters = ["filter", "maxResults", "pageToken", "orderBy", "returnPartialSuccess"];

    public async Task HandleAsync(HttpContext context)
    {
        HttpStatusCode status;
        JsonObject body;
        try
        {
            body = await ExecuteAsync(context);
            status = HttpStatusCode.OK;
        }
        catch (GceFaultException fault)
        {
            body = GceJson.Error(fault);
            status = fault.Status;
        }

        var bytes = GceJson.Bytes(body);
        var response = context.Response;
        response.StatusCode = (int)status;
        response.ContentType = "application/json; charset=UTF-8";
        response.ContentLength = bytes.Length;
        response.Headers.CacheControl = "private";
        if (status == HttpStatusCode.Unauthorized)
            response.Headers.WWWAuthenticate = "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"";
        await response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    private async Task<JsonObject> ExecuteAsync(HttpContext context)
    {
        Authenticate(context.Request);
        var call = Route(context.Request, await RequestBody.ReadAsync(context, options.MaxBodyBytes) ?? throw TooLarge());

        // GCE completes a call although its client disconnects, so these delays cannot be cancelled.
        var half = options.Latency / 2;
        if (half > TimeSpan.Zero)
            await Task.Delay(half, time, CancellationToken.None);
        try
        {
            if (call.Waits is var (project, zone, name))
                return await WaitAsync(project, zone, name, context.RequestAborted);
            lock (world.Gate)
                return call.Execute(time.GetUtcNow());
        }
        finally
        {
            if (half > TimeSpan.Zero)
                await Task.Delay(half, time, CancellationToken.None);
        }
    }

    private void Authenticate(HttpRequest request)
    {
        if (!tokens.Authenticates(request))
            throw new GceFaultException(
                HttpStatusCode.Unauthorized,
                "authError",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication "
                    + "credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
                "Authorization"
            );
    }

    private Call Route(HttpRequest request, ReadOnlyMemory<byte> body)
    {
        var path = request.Path.Value ?? "";
        var segments = path.StartsWith(PathPrefix + "/", StringComparison.Ordinal)
            ? path[(PathPrefix.Length + 1)..].TrimEnd('/').Split('/')
            : [];
        if (segments is not ["projects", var project, .. var rest])
            throw NoSuchPath(path);
        string? Query(string name) => request.Query[name] is [{ } value] ? value : null;
        void Allow(params IEnumerable<string> names) => RejectUnknownParameters(request.Query, names);
        JsonObject Required() => Parse(body);

        switch (request.Method, rest)
        {
            case ("GET", ["zones", var zone, "instances"]):
                Allow(ListParameters);
                return List(
                    request,
                    "compute#instanceList",
                    $"projects/{project}/zones/{zone}/instances",
                    now => world.ListInstances(now, project, zone).Select(instance => GceJson.Instance(world, instance))
                );
            case ("GET", ["zones", var zone, "instances", var name]):
                Allow();
                return new(now => GceJson.Instance(world, world.GetInstance(now, project, zone, name)));
            case ("PATCH", ["zones", var zone, "instances", var name, "updateNetworkInterface"]):
                Allow("networkInterface", "requestId");
                var update = GceBodies.InterfaceUpdate(
                    Required(),
                    zone,
                    name,
                    Query("networkInterface"),
                    Query("requestId"),
                    () => CurrentInterface(zone, name)
                );
                return Mutation(now => world.UpdateNetworkInterface(now, project, update));
            case ("GET", ["zones", var zone, "operations"]):
                Allow(ListParameters);
                return Operations(request, project, zone);
            case ("GET", ["zones", var zone, "operations", var name]):
                Allow();
                return new(now => GceJson.Operation(world, world.GetOperation(now, project, zone, name), now));
            case ("POST", ["zones", var zone, "operations", var name, "wait"]):
                Allow();
                return new((project, zone, name));
            case ("GET", ["global", "operations"]):
                Allow(ListParameters);
                return Operations(request, project, zone: null);
            case ("GET", ["global", "operations", var name]):
                Allow();
                return new(now => GceJson.Operation(world, world.GetOperation(now, project, zone: null, name), now));
            case ("POST", ["global", "operations", var name, "wait"]):
                Allow();
                return new((project, null, name));
            case ("GET", ["regions", var region, "subnetworks"]):
                Allow(ListParameters);
                return List(
                    request,
                    "compute#subnetworkList",
                    $"projects/{project}/regions/{region}/subnetworks",
                    now => world.ListSubnetworks(now, project, region).Select(subnetwork => GceJson.Subnetwork(world, subnetwork))
                );
            case ("GET", ["regions", var region, "subnetworks", var name]):
                Allow();
                return new(now => GceJson.Subnetwork(world, world.GetSubnetwork(now, project, region, name)));
            case ("GET", ["global", "networks"]):
                Allow(ListParameters);
                return List(
                    request,
                    "compute#networkList",
                    $"projects/{project}/global/networks",
                    now => world.ListNetworks(now, project).Select(network => GceJson.Network(world, network))
                );
            case ("GET", ["global", "networks", var name]):
                Allow();
                return new(now => GceJson.Network(world, world.GetNetwork(now, project, name)));
            case ("GET", ["global", "routes"]):
                Allow(ListParameters);
                return List(
                    request,
                    "compute#routeList",
                    $"projects/{project}/global/routes",
                    now => world.ListRoutes(now, project).Select(route => GceJson.Route(world, route))
                );
            case ("POST", ["global", "routes"]):
                Allow("requestId");
                var inserted = GceBodies.Route(Required(), project, Query("requestId"));
                return Mutation(now => world.InsertRoute(now, project, inserted));
            case ("GET", ["global", "routes", var name]):
                Allow();
                return new(now => GceJson.Route(world, world.GetRoute(now, project, name)));
            case ("DELETE", ["global", "routes", var name]):
                Allow("requestId");
                return Mutation(now => world.DeleteRoute(now, project, name, Query("requestId")));
            default:
                throw NoSuchPath(path);
        }
    }

    /// <summary>A call that starts an operation and returns it.</summary>
    private Call Mutation(Func<DateTimeOffset, GceOperation> start) => new(now => GceJson.Operation(world, start(now), now));

    private Call Operations(HttpRequest request, string project, string? zone) =>
        List(
            request,
            "compute#operationList",
            $"projects/{project}/{(zone is null ? "global" : $"zones/{zone}")}/operations",
            now => world.ListOperations(now, project, zone).Select(operation => GceJson.Operation(world, operation, now))
        );

    /// <summary>A list method with filter and paging. A page token is the number of items before the page.</summary>
    private static Call List(HttpRequest request, string kind, string selfPath, Func<DateTimeOffset, IEnumerable<JsonObject>> read)
    {
        var matches = GceListFilter.Parse(request.Query["filter"]);
        if (request.Query["orderBy"] is [{ Length: > 0 } order] && order != "name")
            throw GceFaults.InvalidParameter("orderBy", order, "The lab orders by name only.");
        var size = IntegerOf(request, "maxResults", MaxPageSize);
        if (size > MaxPageSize)
            throw GceFaults.InvalidParameter("maxResults", $"{size}", $"Values must be within the range: [0, {MaxPageSize}]");
        var skip = IntegerOf(request, "pageToken", 0);
        return new(now =>
        {
            JsonObject[] all = [.. read(now).Where(matches)];
            var end = skip + Math.Max(1, size);
            return GceJson.List(
                kind,
                selfPath,
                all.Skip(skip).Take(end - skip),
                end < all.Length ? end.ToString(CultureInfo.InvariantCulture) : null
            );
        });
    }

    private static int IntegerOf(HttpRequest request, string name, int fallback)
    {
        if (request.Query[name] is not [{ Length: > 0 } text])
            return fallback;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < int.MaxValue / 2
            ? number
            : throw GceFaults.InvalidParameter(name, text, "Expected a number that is not negative.");
    }

    private async Task<JsonObject> WaitAsync(string project, string? zone, string name, CancellationToken cancellationToken)
    {
        GceOperation operation;
        lock (world.Gate)
            operation = world.WaitOperation(time.GetUtcNow(), project, zone, name);
        var deadline = time.GetUtcNow() + MaxWait;
        while (time.GetUtcNow() is var now && now < operation.EndsAt && now < deadline)
        {
            var wait = (operation.EndsAt < deadline ? operation.EndsAt : deadline) - now;
            // Timers are rounded down to milliseconds.
            await Task.Delay(wait + TimeSpan.FromMilliseconds(1), time, cancellationToken);
        }

        lock (world.Gate)
        {
            world.Advance(time.GetUtcNow());
            return GceJson.Operation(world, operation, time.GetUtcNow());
        }
    }

    private JsonObject? CurrentInterface(string zone, string name)
    {
        lock (world.Gate)
            return world.FindInstance(zone, name) is { } instance
                ? GceJson.Instance(world, instance)["networkInterfaces"]![0]!.AsObject()
                : null;
    }

    /// <summary>Parses a body that a method needs. A method without one ignores it: some clients send <c>null</c>.</summary>
    private static JsonObject Parse(ReadOnlyMemory<byte> body)
    {
        if (body.IsEmpty)
            throw GceBodies.Malformed("The request has no body");
        try
        {
            return JsonNode.Parse(body.Span, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject
                ?? throw GceBodies.Malformed("Invalid JSON payload received. Expected an object");
        }
        catch (JsonException error)
        {
            throw GceBodies.Malformed($"Invalid JSON payload received. {error.Message}");
        }
    }

    private static void RejectUnknownParameters(IQueryCollection query, IEnumerable<string> allowed)
    {
        if (query.Keys.FirstOrDefault(name => !CommonParameters.Contains(name) && !allowed.Contains(name)) is { } unknown)
            throw GceBodies.Malformed($"Invalid JSON payload received. Unknown name \"{unknown}\": Cannot bind query parameter.");
    }

    private GceFaultException TooLarge() =>
        new(HttpStatusCode.RequestEntityTooLarge, "uploadTooLarge", $"The request's body is larger than {options.MaxBodyBytes} bytes");

    private static GceFaultException NoSuchPath(string path) =>
        new(HttpStatusCode.NotFound, "notFound", $"The requested URL {path} was not found on this server: the lab has no such method.");

    /// <summary>A parsed request: either what to execute under the model's lock, or the operation to wait for.</summary>
    private sealed record Call(Func<DateTimeOffset, JsonObject> Execute)
    {
        public Call((string Project, string? Zone, string Name) waits)
            : this(_ => throw new InvalidOperationException("a wait is not executed under the lock")) => Waits = waits;

        public (string Project, string? Zone, string Name)? Waits { get; }
    }
}
