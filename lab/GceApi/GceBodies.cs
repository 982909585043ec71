// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.GceModel;
using VpcCni.Lab.ModelParts;
using VpcCni.Netlink;

namespace VpcCni.Lab.GceApi;

/// <summary>Parses request bodies into requests of the model. Rejects malformed JSON and fields that the resource does not have.</summary>
internal static class GceBodies
{
    private static readonly HashSet<string> InterfaceFields =
    [
        "kind",
        "name",
        "network",
        "subnetwork",
        "networkIP",
        "fingerprint",
        "aliasIpRanges",
        "accessConfigs",
        "stackType",
        "nicType",
        "queueCount",
        "ipv6Address",
        "ipv6AccessConfigs",
        "ipv6AccessType",
        "internalIpv6PrefixLength",
        "networkAttachment",
        "igmpQuery",
    ];

    private static readonly HashSet<string> RouteFields =
    [
        "kind",
        "name",
        "description",
        "network",
        "tags",
        "destRange",
        "priority",
        "nextHopInstance",
        "nextHopIp",
        "nextHopGateway",
        "nextHopNetwork",
        "nextHopVpnTunnel",
        "nextHopIlb",
        "nextHopPeering",
    ];

    /// <summary>
    /// Parses the body of instances.updateNetworkInterface. The fields that GCE cannot change must have their current values.
    /// </summary>
    public static GceInterfaceUpdate InterfaceUpdate(
        JsonObject body,
        string zone,
        string instance,
        string? nic,
        string? requestId,
        Func<JsonObject?> current
    )
    {
        RejectUnknown(body, InterfaceFields);
        if (body["accessConfigs"] is JsonArray { Count: > 0 } || body["ipv6AccessConfigs"] is JsonArray { Count: > 0 })
            throw GceFaults.Invalid("resource.accessConfigs", "", "Updating this field is not supported.");
        if (current() is { } existing)
        {
            foreach (var field in (string[])["name", "network", "subnetwork", "networkIP", "stackType"])
            {
                if (body[field] is { } given && !SameReference(Text(given, field), (string)existing[field]!))
                    throw GceFaults.Invalid($"resource.{field}", given.ToString(), "Updating this field is not supported.");
            }
        }

        return new GceInterfaceUpdate
        {
            Zone = zone,
            Instance = instance,
            Interface = nic ?? throw GceFaults.Required("networkInterface"),
            Fingerprint = body["fingerprint"] is { } fingerprint ? Text(fingerprint, "fingerprint") : null,
            AliasRanges = body["aliasIpRanges"] is { } aliases ? Aliases(aliases) : null,
            RequestId = requestId,
        };
    }

    /// <summary>Parses the body of routes.insert.</summary>
    public static GceRouteRequest Route(JsonObject body, string project, string? requestId)
    {
        RejectUnknown(body, RouteFields);
        foreach (var unsupported in (string[])["nextHopNetwork", "nextHopVpnTunnel", "nextHopIlb", "nextHopPeering"])
        {
            if (body[unsupported] is { } given)
                throw GceFaults.Invalid($"resource.{unsupported}", given.ToString(), "The lab has no such next hops.");
        }

        string? Optional(string field) => body[field] is { } given ? Text(given, field) : null;
        string RequiredText(string field) => Optional(field) ?? throw GceFaults.Required($"resource.{field}");
        var destination = RequiredText("destRange");
        return new GceRouteRequest
        {
            Name = RequiredText("name"),
            Network = NetworkName(RequiredText("network"), project),
            Destination =
                Ipv4.Parse(destination)
                ?? throw GceFaults.Invalid("resource.destRange", destination, "Must be an IPv4 range in CIDR notation."),
            Priority = body["priority"] is { } priority ? Integer(priority, "priority") : 1000,
            Description = Optional("description") ?? "",
            Tags = body["tags"] is { } tags ? [.. Items(tags, "tags").Select(tag => Text(tag, "tags"))] : [],
            NextHopInstance = Optional("nextHopInstance") is { } instance ? InstanceName(instance, project) : null,
            NextHopAddress = Optional("nextHopIp") is { } address ? Address(address) : null,
            IsInternet = Optional("nextHopGateway") is { } gateway && IsInternet(gateway, project),
            RequestId = requestId,
        };
    }

    private static List<GceAliasRequest> Aliases(JsonNode node)
    {
        List<GceAliasRequest> aliases = [];
        foreach (var item in Items(node, "aliasIpRanges"))
        {
            var field = $"resource.aliasIpRanges[{aliases.Count}]";
            if (item is not JsonObject alias)
                throw Malformed($"{field}: expected an object");
            RejectUnknown(alias, ["ipCidrRange", "subnetworkRangeName"]);
            aliases.Add(
                new GceAliasRequest(
                    alias["ipCidrRange"] is { } cidr ? Text(cidr, "ipCidrRange") : throw GceFaults.Required(field + ".ipCidrRange"),
                    alias["subnetworkRangeName"] is { } name && Text(name, "subnetworkRangeName") is { Length: > 0 } given ? given : null
                )
            );
        }

        return aliases;
    }

    /// <summary>Whether two values, which may be references in different forms, are the same.</summary>
    private static bool SameReference(string given, string current) =>
        given == current
        || (given.Contains('/', StringComparison.Ordinal) && current.EndsWith("/" + Tail(given), StringComparison.Ordinal));

    private static string Tail(string reference)
    {
        var start = reference.IndexOf("projects/", StringComparison.Ordinal);
        return start < 0 ? reference.TrimStart('/') : reference[start..];
    }

    private static string NetworkName(string reference, string project) =>
        GceLinks.Segments(reference, project) is ["global", "networks", var name]
            ? name
            : throw GceFaults.Invalid("resource.network", reference, "The URL is malformed.");

    private static (string Zone, string Name) InstanceName(string reference, string project) =>
        GceLinks.Segments(reference, project) is ["zones", var zone, "instances", var name]
            ? (zone, name)
            : throw GceFaults.Invalid("resource.nextHopInstance", reference, "The URL is malformed.");

    private static bool IsInternet(string reference, string project) =>
        GceLinks.Segments(reference, project) is ["global", "gateways", "default-internet-gateway"]
            ? true
            : throw GceFaults.Invalid("resource.nextHopGateway", reference, "The only gateway is default-internet-gateway.");

    private static IPAddress Address(string text) =>
        IPAddress.TryParse(text, out var address) && address.AddressFamily == IpFamily.V4
            ? address
            : throw GceFaults.Invalid("resource.nextHopIp", text, "Must be an IPv4 address.");

    private static void RejectUnknown(JsonObject body, HashSet<string> known)
    {
        if (body.Select(pair => pair.Key).FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            throw Malformed($"Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field.");
    }

    private static JsonArray Items(JsonNode node, string field) =>
        node as JsonArray ?? throw Malformed($"Invalid JSON payload received. {field}: expected a list");

    private static string Text(JsonNode? node, string field) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.String
            ? value.GetValue<string>()
            : throw Malformed($"Invalid JSON payload received. {field}: expected a string");

    private static int Integer(JsonNode node, string field) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue<int>(out var number)
            ? number
            : throw Malformed($"Invalid JSON payload received. {field}: expected an integer");

    public static GceFaultException Malformed(string message) => new(HttpStatusCode.BadRequest, "badRequest", message);
}
