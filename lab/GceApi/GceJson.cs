// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.GceModel;

namespace VpcCni.Lab.GceApi;

/// <summary>Resources as the API's JSON (https://cloud.google.com/compute/docs/reference/rest/v1). 64-bit numbers are strings.</summary>
internal static class GceJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static byte[] Bytes(JsonNode body) => JsonSerializer.SerializeToUtf8Bytes(body, Options);

    public static JsonObject Instance(GceWorld world, GceInstance instance)
    {
        var zone = world.Path($"zones/{instance.Zone}");
        return new JsonObject
        {
            ["kind"] = "compute#instance",
            ["id"] = Number(instance.Id),
            ["creationTimestamp"] = Text(instance.CreatedAt),
            ["name"] = instance.Name,
            ["machineType"] = GceLinks.Of($"{zone}/machineTypes/{instance.MachineType}"),
            ["status"] = "RUNNING",
            ["zone"] = GceLinks.Of(zone),
            ["canIpForward"] = instance.CanIpForward,
            ["networkInterfaces"] = new JsonArray(Interface(world, instance)),
            ["serviceAccounts"] = new JsonArray(
                new JsonObject
                {
                    ["email"] = world.Options.ServiceAccount,
                    ["scopes"] = new JsonArray("https://www.googleapis.com/auth/cloud-platform"),
                }
            ),
            ["cpuPlatform"] = "Intel Broadwell",
            ["deletionProtection"] = false,
            ["selfLink"] = GceLinks.Of($"{zone}/instances/{instance.Name}"),
        };
    }

    public static JsonObject Network(GceWorld world, GceNetwork network) =>
        new()
        {
            ["kind"] = "compute#network",
            ["id"] = Number(network.Id),
            ["creationTimestamp"] = Text(network.CreatedAt),
            ["name"] = network.Name,
            ["autoCreateSubnetworks"] = false,
            ["subnetworks"] = Array(
                world
                    .Subnetworks.Where(subnetwork => subnetwork.Network == network.Name)
                    .Select(subnetwork => GceLinks.Of(world.Path($"regions/{subnetwork.Region}/subnetworks/{subnetwork.Name}")))
            ),
            ["routingConfig"] = new JsonObject { ["routingMode"] = "REGIONAL" },
            ["mtu"] = GceInterfaceMtu,
            ["selfLink"] = GceLinks.Of(world.Path($"global/networks/{network.Name}")),
        };

    public static JsonObject Subnetwork(GceWorld world, GceSubnetwork subnetwork)
    {
        var region = world.Path($"regions/{subnetwork.Region}");
        var result = new JsonObject
        {
            ["kind"] = "compute#subnetwork",
            ["id"] = Number(subnetwork.Id),
            ["creationTimestamp"] = Text(subnetwork.CreatedAt),
            ["name"] = subnetwork.Name,
            ["network"] = GceLinks.Of(world.Path($"global/networks/{subnetwork.Network}")),
            ["ipCidrRange"] = subnetwork.Range.ToString(),
            ["gatewayAddress"] = subnetwork.Gateway.ToString(),
            ["region"] = GceLinks.Of(region),
            ["privateIpGoogleAccess"] = false,
            ["fingerprint"] = subnetwork.Fingerprint,
            ["purpose"] = "PRIVATE",
            ["stackType"] = "IPV4_ONLY",
            ["selfLink"] = GceLinks.Of($"{region}/subnetworks/{subnetwork.Name}"),
        };
        if (!subnetwork.SecondaryRanges.IsEmpty)
            result["secondaryIpRanges"] = new JsonArray([
                .. subnetwork.SecondaryRanges.Select(range => new JsonObject
                {
                    ["rangeName"] = range.Name,
                    ["ipCidrRange"] = range.Range.ToString(),
                }),
            ]);
        return result;
    }

    public static JsonObject Route(GceWorld world, GceRoute route)
    {
        var network = GceLinks.Of(world.Path($"global/networks/{route.Network}"));
        var result = new JsonObject
        {
            ["kind"] = "compute#route",
            ["id"] = Number(route.Id),
            ["creationTimestamp"] = Text(route.CreatedAt),
            ["name"] = route.Name,
            ["network"] = network,
            ["destRange"] = route.Destination.ToString(),
            ["priority"] = route.Priority,
            ["selfLink"] = GceLinks.Of(world.Path($"global/routes/{route.Name}")),
        };
        if (route.Description.Length > 0)
            result["description"] = route.Description;
        if (!route.Tags.IsEmpty)
            result["tags"] = Array(route.Tags);
        if (route.NextHopInstance is var (zone, name))
            result["nextHopInstance"] = GceLinks.Of(world.Path($"zones/{zone}/instances/{name}"));
        else if (route.NextHopAddress is { } address)
            result["nextHopIp"] = address.ToString();
        else if (route.IsInternet)
            result["nextHopGateway"] = GceLinks.Of(world.Path("global/gateways/default-internet-gateway"));
        else
            result["nextHopNetwork"] = network;
        if (route.NextHopInstance is not null && world.NextHopOf(route) is null)
            result["warnings"] = new JsonArray(
                new JsonObject
                {
                    ["code"] = "NEXT_HOP_INSTANCE_NOT_FOUND",
                    ["message"] = $"Next hop instance '{result["nextHopInstance"]}' does not exist.",
                }
            );
        else if (world.NextHopOf(route) is { CanIpForward: false })
            result["warnings"] = new JsonArray(
                new JsonObject { ["code"] = "NEXT_HOP_CANNOT_IP_FORWARD", ["message"] = "The next hop instance cannot forward packets." }
            );
        return result;
    }

    public static JsonObject Operation(GceWorld world, GceOperation operation, DateTimeOffset now)
    {
        var scope = world.Path(operation.Zone is { } zone ? $"zones/{zone}" : "global");
        var status = operation.StatusAt(now);
        var result = new JsonObject
        {
            ["kind"] = "compute#operation",
            ["id"] = Number(operation.Id),
            ["name"] = operation.Name,
            ["operationType"] = operation.Type,
            ["targetLink"] = GceLinks.Of(operation.Target),
            ["targetId"] = Number(operation.TargetId),
            ["status"] = status.ToString().ToUpperInvariant(),
            ["user"] = world.Options.ServiceAccount,
            ["progress"] = status == GceOperationStatus.Done ? 100 : 0,
            ["insertTime"] = Text(operation.InsertedAt),
            ["selfLink"] = GceLinks.Of($"{scope}/operations/{operation.Name}"),
        };
        if (operation.Zone is not null)
            result["zone"] = GceLinks.Of(scope);
        if (operation.RequestId is { } requestId)
            result["clientOperationId"] = requestId;
        if (status != GceOperationStatus.Pending)
            result["startTime"] = Text(operation.StartsAt);
        if (status != GceOperationStatus.Done)
            return result;
        result["endTime"] = Text(operation.EndsAt);
        if (operation.Failure is not { } failure)
            return result;
        var httpStatus = GceErrorCodes.StatusOfOperation(failure.Code);
        result["httpErrorStatusCode"] = (int)httpStatus;
        result["httpErrorMessage"] = Phrase(httpStatus);
        result["error"] = new JsonObject
        {
            ["errors"] = new JsonArray(new JsonObject { ["code"] = failure.Code, ["message"] = failure.Message }),
        };
        return result;
    }

    /// <summary>A page of a list method.</summary>
    public static JsonObject List(string kind, string selfPath, IEnumerable<JsonObject> items, string? nextPageToken)
    {
        var result = new JsonObject
        {
            ["kind"] = kind,
            ["id"] = selfPath,
            ["selfLink"] = GceLinks.Of(selfPath),
        };
        JsonArray array = [.. items];
        // As every empty list, it is left out.
        if (array.Count > 0)
            result["items"] = array;
        if (nextPageToken is not null)
            result["nextPageToken"] = nextPageToken;
        return result;
    }

    public static JsonObject Error(GceFaultException fault)
    {
        var error = new JsonObject
        {
            ["message"] = fault.Message,
            ["domain"] = fault.Domain,
            ["reason"] = fault.Reason,
        };
        if (fault.Location is { } location)
        {
            error["location"] = location;
            error["locationType"] = location is "If-Match" or "Authorization" ? "header" : "parameter";
        }

        var body = new JsonObject
        {
            ["code"] = (int)fault.Status,
            ["message"] = fault.Message,
            ["errors"] = new JsonArray(error),
        };
        if (RpcStatus(fault) is { } status)
            body["status"] = status;
        if (fault.Reason is "rateLimitExceeded" or "userRateLimitExceeded")
            body["details"] = new JsonArray(
                new JsonObject
                {
                    ["@type"] = "type.googleapis.com/google.rpc.ErrorInfo",
                    ["reason"] = "RATE_LIMIT_EXCEEDED",
                    ["domain"] = "googleapis.com",
                    ["metadata"] = new JsonObject { ["service"] = "compute.googleapis.com" },
                }
            );
        return new JsonObject { ["error"] = body };
    }

    /// <summary>GCE's default MTU of a network, in octets.</summary>
    public const int GceInterfaceMtu = 1460;

    public static string Text(DateTimeOffset time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fffzzz", CultureInfo.InvariantCulture);

    private static JsonObject Interface(GceWorld world, GceInstance instance)
    {
        var nic = instance.Interface;
        var subnetwork = world.SubnetworkOf(instance);
        var result = new JsonObject
        {
            ["kind"] = "compute#networkInterface",
            ["name"] = GceInterface.FirstName,
            ["network"] = GceLinks.Of(world.Path($"global/networks/{subnetwork.Network}")),
            ["subnetwork"] = GceLinks.Of(world.Path($"regions/{subnetwork.Region}/subnetworks/{subnetwork.Name}")),
            ["networkIP"] = nic.Address.ToString(),
            ["fingerprint"] = nic.Fingerprint,
            ["stackType"] = "IPV4_ONLY",
        };
        if (!nic.AliasRanges.IsEmpty)
            result["aliasIpRanges"] = new JsonArray([.. nic.AliasRanges.Select(Alias)]);
        return result;
    }

    private static JsonObject Alias(GceAliasRange alias)
    {
        var result = new JsonObject { ["ipCidrRange"] = alias.Range.ToString() };
        if (alias.RangeName is { } name)
            result["subnetworkRangeName"] = name;
        return result;
    }

    private static JsonArray Array(IEnumerable<string> values) => [.. values.Select(value => JsonValue.Create(value))];

    private static string Number(ulong number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Phrase(HttpStatusCode status) =>
        status switch
        {
            HttpStatusCode.BadRequest => "BAD REQUEST",
            HttpStatusCode.Forbidden => "FORBIDDEN",
            HttpStatusCode.NotFound => "NOT FOUND",
            HttpStatusCode.PreconditionFailed => "PRECONDITION FAILED",
            HttpStatusCode.InternalServerError => "INTERNAL SERVER ERROR",
            _ => "SERVICE UNAVAILABLE",
        };

    private static string? RpcStatus(GceFaultException fault) =>
        fault.Status switch
        {
            HttpStatusCode.Unauthorized => "UNAUTHENTICATED",
            HttpStatusCode.Forbidden when fault.Reason is "rateLimitExceeded" or "forbidden" => "PERMISSION_DENIED",
            HttpStatusCode.TooManyRequests => "RESOURCE_EXHAUSTED",
            HttpStatusCode.ServiceUnavailable => "UNAVAILABLE",
            _ => null,
        };
}
