// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.AzureModel;
using VpcCni.Lab.Http;

namespace VpcCni.Lab.AzureImds;

/// <summary>
/// Serves Azure's instance metadata (https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service): <c>instance</c>,
/// <c>versions</c> and tokens of the managed identity. Every request needs <c>Metadata: true</c> and, except for versions, an api-version
/// of the list. The caller hosts <see cref="HandleAsync"/>.
/// </summary>
/// <param name="machineOf"> Returns the id of the machine that sent a request; null makes the response 404. Called under the world's lock.
/// </param>
internal sealed class AzureImdsServer(AzureWorld world, BearerTokens tokens, TimeProvider time, Func<HttpContext, string?> machineOf)
{
    /// <summary>Prefix of every path.</summary>
    public const string PathPrefix = "/metadata";

    /// <summary>The tenant of the managed identity.</summary>
    private const string ClientId = "00000000-0000-4000-8000-000000000003";

    private static readonly string[] Versions =
    [
        "2017-04-02",
        "2017-08-01",
        "2017-12-01",
        "2018-02-01",
        "2018-04-02",
        "2018-10-01",
        "2019-02-01",
        "2019-03-11",
        "2019-04-30",
        "2019-06-01",
        "2019-06-04",
        "2019-08-01",
        "2019-08-15",
        "2019-11-01",
        "2020-06-01",
        "2020-07-15",
        "2020-09-01",
        "2020-10-01",
        "2020-12-01",
        "2021-01-01",
        "2021-02-01",
        "2021-03-01",
        "2021-05-01",
        "2021-10-01",
        "2021-11-01",
        "2021-11-15",
        "2021-12-13",
        "2023-07-01",
        "2023-11-15",
    ];

    private static readonly JsonSerializerOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public async Task HandleAsync(HttpContext context)
    {
        var reply = Respond(context);
        var response = context.Response;
        response.StatusCode = (int)reply.Status;
        response.Headers.Server = "IMDS/150.870.65.1324";
        response.ContentType = reply.IsText ? "text/plain; charset=utf-8" : "application/json; charset=utf-8";
        var body = Encoding.UTF8.GetBytes(reply.Body);
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(body, context.RequestAborted);
    }

    private Reply Respond(HttpContext context)
    {
        var request = context.Request;
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
            return Error(HttpStatusCode.MethodNotAllowed, "Method not allowed");
        if (request.Headers["Metadata"] is not [{ } flag] || !string.Equals(flag, "true", StringComparison.OrdinalIgnoreCase))
            return Error(HttpStatusCode.BadRequest, "Bad request. Required metadata header not specified");
        if (request.Headers.ContainsKey("X-Forwarded-For"))
            return Error(HttpStatusCode.BadRequest, "Bad request. Request forwarded by a proxy");
        var segments = (request.Path.Value ?? "").Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments is ["metadata", "versions"])
            return Json(new JsonObject { ["apiVersions"] = new JsonArray([.. Versions.Select(each => JsonValue.Create(each))]) });
        if (request.Query["api-version"] is not [{ } version] || !Versions.Contains(version))
            return Json(
                new JsonObject
                {
                    ["error"] = "Bad request. api-version is invalid or was not specified in the request.",
                    ["newest-versions"] = new JsonArray([.. Versions.Reverse().Take(3).Select(each => JsonValue.Create(each))]),
                },
                HttpStatusCode.BadRequest
            );
        return segments switch
        {
            ["metadata", "identity", "oauth2", "token"] => Token(context),
            ["metadata", "instance", .. var path] => Instance(context, path),
            _ => Error(HttpStatusCode.NotFound, "Not found"),
        };
    }

    private Reply Instance(HttpContext context, string[] path)
    {
        JsonNode? node;
        lock (world.Gate)
        {
            if (
                machineOf(context) is not { } id
                || world.FindMachine(id) is not { } machine
                || world.DescribeMetadata(time.GetUtcNow(), id) is not { } nic
            )
                return Error(HttpStatusCode.NotFound, "Not found");
            node = Build(machine, nic);
        }

        foreach (var segment in path)
        {
            node = node switch
            {
                JsonObject inner => inner[segment],
                JsonArray items => int.TryParse(segment, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                && index < items.Count
                    ? items[index]
                    : null,
                _ => null,
            };
        }

        if (node is null)
            return Error(HttpStatusCode.NotFound, "Not found");
        if (context.Request.Query["format"] is [{ } format] && format == "text")
            return new Reply(HttpStatusCode.OK, Text(node), IsText: true);
        // A value has no JSON form.
        return node is JsonValue
            ? Error(HttpStatusCode.BadRequest, "Bad request. format=text must be specified for a leaf node")
            : Json(node);
    }

    private Reply Token(HttpContext context)
    {
        if (context.Request.Query["resource"] is not [{ Length: > 0 } resource])
            return Json(
                new JsonObject { ["error"] = "invalid_request", ["error_description"] = "Required query variable 'resource' is missing" },
                HttpStatusCode.BadRequest
            );
        if (context.Request.Query["client_id"] is [{ Length: > 0 } client] && client != ClientId)
            return Json(
                new JsonObject { ["error"] = "invalid_request", ["error_description"] = "Identity not found" },
                HttpStatusCode.BadRequest
            );
        string id;
        lock (world.Gate)
        {
            if (machineOf(context) is not { } machine)
                return Error(HttpStatusCode.NotFound, "Not found");
            id = machine;
        }

        var token = tokens.Of(id);
        var now = time.GetUtcNow();
        static string Text(double seconds) => ((long)seconds).ToString(CultureInfo.InvariantCulture);
        return Json(
            new JsonObject
            {
                ["access_token"] = token.Value,
                ["client_id"] = ClientId,
                ["expires_in"] = Text(token.ExpiresIn.TotalSeconds),
                ["expires_on"] = Text((now + token.ExpiresIn).ToUnixTimeSeconds()),
                ["ext_expires_in"] = Text(token.ExpiresIn.TotalSeconds),
                ["not_before"] = Text(now.ToUnixTimeSeconds()),
                ["resource"] = resource,
                ["token_type"] = "Bearer",
            }
        );
    }

    private JsonObject Build(AzureMachine machine, AzureInterface nic)
    {
        var subnet = world.FindSubnet(nic.Primary.Subnet)!;
        return new JsonObject
        {
            ["compute"] = new JsonObject
            {
                ["azEnvironment"] = "AzurePublicCloud",
                ["location"] = world.Options.Location,
                ["name"] = machine.ScaleSet is { } scaleSet ? $"{scaleSet}_{machine.Name}" : machine.Name,
                ["osProfile"] = new JsonObject { ["computerName"] = machine.ComputerName },
                ["osType"] = "Linux",
                ["provider"] = "Microsoft.Compute",
                ["resourceGroupName"] = world.Options.ResourceGroup,
                ["resourceId"] = machine.Id,
                ["subscriptionId"] = world.Options.Subscription,
                ["tags"] = "",
                ["tagsList"] = new JsonArray(),
                ["vmId"] = $"{machine.VmId}",
                ["vmScaleSetName"] = machine.ScaleSet ?? "",
                ["vmSize"] = machine.Size,
                ["zone"] = machine.Zone,
            },
            ["network"] = new JsonObject
            {
                ["interface"] = new JsonArray(
                    new JsonObject
                    {
                        ["ipv4"] = new JsonObject
                        {
                            ["ipAddress"] = new JsonArray([
                                .. nic
                                    .AppliedRanges.Where(range => range.PrefixLength == 32)
                                    .Select(range => new JsonObject
                                    {
                                        ["privateIpAddress"] = $"{range.BaseAddress}",
                                        ["publicIpAddress"] = "",
                                    }),
                            ]),
                            ["subnet"] = new JsonArray(
                                new JsonObject { ["address"] = $"{subnet.Range.BaseAddress}", ["prefix"] = $"{subnet.Range.PrefixLength}" }
                            ),
                        },
                        ["ipv6"] = new JsonObject { ["ipAddress"] = new JsonArray() },
                        ["macAddress"] = nic.Mac.Replace("-", "", StringComparison.Ordinal),
                    }
                ),
            },
        };
    }

    /// <summary>The text of a node: a value, or the names of a node's children, one per line, with a slash after inner nodes.</summary>
    private static string Text(JsonNode node) =>
        node switch
        {
            JsonObject inner => string.Join('\n', inner.Select(pair => pair.Value is JsonValue ? pair.Key : pair.Key + "/")),
            JsonArray items => string.Join('\n', items.Select((_, index) => $"{index}/")),
            _ => node.ToString(),
        };

    private static Reply Json(JsonNode body, HttpStatusCode status = HttpStatusCode.OK) => new(status, body.ToJsonString(Options));

    private static Reply Error(HttpStatusCode status, string message) => Json(new JsonObject { ["error"] = message }, status);

    private sealed record Reply(HttpStatusCode Status, string Body, bool IsText = false);
}
