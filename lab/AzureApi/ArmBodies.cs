// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.AzureModel;
using VpcCni.Lab.ModelParts;
using VpcCni.Netlink;

namespace VpcCni.Lab.AzureApi;

/// <summary>
/// Parses request bodies into requests of the model. Members that a response has and a client sends back unchanged are accepted; members
/// that the resource does not have are rejected.
/// </summary>
internal static class ArmBodies
{
    private static readonly HashSet<string> ResourceMembers =
    [
        "id",
        "name",
        "type",
        "etag",
        "location",
        "tags",
        "zones",
        "properties",
        "extendedLocation",
        "instanceId",
        "sku",
        "plan",
        "identity",
        "resources",
    ];

    private static readonly HashSet<string> InterfaceMembers =
    [
        "provisioningState",
        "resourceGuid",
        "ipConfigurations",
        "dnsSettings",
        "macAddress",
        "vnetEncryptionSupported",
        "enableAcceleratedNetworking",
        "enableIPForwarding",
        "disableTcpStateTracking",
        "primary",
        "virtualMachine",
        "networkSecurityGroup",
        "hostedWorkloads",
        "tapConfigurations",
        "nicType",
        "auxiliaryMode",
        "auxiliarySku",
        "workloadType",
        "migrationPhase",
        "defaultOutboundConnectivityEnabled",
        "deleteOption",
    ];

    private static readonly HashSet<string> ConfigurationMembers =
    [
        "provisioningState",
        "privateIPAddress",
        "privateIPAddressPrefixLength",
        "privateIPAllocationMethod",
        "privateIPAddressVersion",
        "subnet",
        "primary",
        "applicationSecurityGroups",
        "loadBalancerBackendAddressPools",
        "loadBalancerInboundNatRules",
        "applicationGatewayBackendAddressPools",
    ];

    private static readonly HashSet<string> RouteMembers =
    [
        "provisioningState",
        "addressPrefix",
        "nextHopType",
        "nextHopIpAddress",
        "hasBgpOverride",
    ];

    /// <summary>Parses a PUT of a network interface.</summary>
    public static AzureInterfaceRequest Interface(JsonObject body, string id, string location, string? ifMatch)
    {
        RejectUnknown(body, ResourceMembers, "the resource");
        if (body["location"] is not { } given)
            throw AzureFaults.Bad("LocationRequired", "The location property is required for this definition.");
        if (
            !string.Equals(Text(given, "location").Replace(" ", "", StringComparison.Ordinal), location, StringComparison.OrdinalIgnoreCase)
        )
            throw new AzureFaultException(
                HttpStatusCode.Conflict,
                "InvalidResourceLocation",
                $"The resource '{ArmId.NameOf(id)}' already exists in location '{location}'."
            );
        var properties = Properties(body);
        RejectUnknown(properties, InterfaceMembers, "properties");
        return new AzureInterfaceRequest
        {
            Id = id,
            Configurations = Configurations(properties),
            MayForward = properties["enableIPForwarding"] is { } forward && Flag(forward, "enableIPForwarding"),
            Tags = body["tags"] is JsonObject tags
                ? tags.ToDictionary(tag => tag.Key, tag => Text(tag.Value, "tags"), StringComparer.Ordinal)
                : [],
            IfMatch = ifMatch,
        };
    }

    /// <summary>Parses a PUT of a machine of a scale set, of which only the network configuration counts.</summary>
    public static AzureInterfaceRequest ScaleSetMachine(JsonObject body, AzureInterface nic, string? ifMatch)
    {
        RejectUnknown(body, ResourceMembers, "the resource");
        if (
            Properties(body)["networkProfileConfiguration"]?["networkInterfaceConfigurations"] is not JsonArray { Count: 1 } list
            || list[0] is not JsonObject configuration
        )
            throw AzureFaults.InvalidFormat("properties.networkProfileConfiguration must have one network interface configuration.");
        if (!ArmId.Comparer.Equals(Text(configuration["name"], "name"), nic.Name))
            throw AzureFaults.NotAllowed($"The machine's network interface is {nic.Name}.");
        var properties = Properties(configuration);
        RejectUnknown(properties, InterfaceMembers, "properties");
        return new AzureInterfaceRequest
        {
            Id = nic.Id,
            Configurations = Configurations(properties),
            MayForward = properties["enableIPForwarding"] is { } forward && Flag(forward, "enableIPForwarding"),
            IfMatch = ifMatch,
        };
    }

    /// <summary>Parses a PUT of a subnet: its range and its route table.</summary>
    public static (IPNetwork Range, string? RouteTable) Subnet(JsonObject body)
    {
        var properties = Properties(body);
        var prefix = properties["addressPrefix"] is { } single
            ? Text(single, "addressPrefix")
            : Text((properties["addressPrefixes"] as JsonArray)?.FirstOrDefault(), "addressPrefix");
        return (
            Ipv4.Parse(prefix) ?? throw AzureFaults.InvalidFormat($"addressPrefix '{prefix}' is not an IPv4 range."),
            properties["routeTable"] is { } table ? Text(table["id"], "routeTable.id") : null
        );
    }

    /// <summary>Parses a PUT of a route table.</summary>
    public static IReadOnlyList<AzureRouteRequest> RouteTable(JsonObject body)
    {
        RejectUnknown(body, ResourceMembers, "the resource");
        return [.. Items(Properties(body)["routes"], "routes").Select(item => Route(Object(item, "routes"), Text(item?["name"], "name")))];
    }

    /// <summary>Parses a PUT of a route.</summary>
    public static AzureRouteRequest Route(JsonObject body, string name)
    {
        var properties = Properties(body);
        RejectUnknown(properties, RouteMembers, "properties");
        var prefix = Text(properties["addressPrefix"], "addressPrefix");
        var hop = Text(properties["nextHopType"], "nextHopType");
        var address = properties["nextHopIpAddress"] is { } text ? Text(text, "nextHopIpAddress") : null;
        return new AzureRouteRequest
        {
            Name = name,
            Destination = Ipv4.Parse(prefix) ?? throw AzureFaults.InvalidFormat($"addressPrefix '{prefix}' is not an IPv4 range."),
            NextHop =
                Enum.TryParse<AzureNextHop>(hop, ignoreCase: true, out var kind) && !char.IsAsciiDigit(hop[0])
                    ? kind
                    : throw AzureFaults.InvalidFormat(
                        $"nextHopType '{hop}' is none of {string.Join(", ", Enum.GetNames<AzureNextHop>())}."
                    ),
            NextHopAddress = address is null ? null : Address(address, "nextHopIpAddress"),
        };
    }

    /// <summary>Parses a body.</summary>
    public static JsonObject Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            return JsonNode.Parse(body.Span, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject
                ?? throw AzureFaults.Malformed("The request content was invalid: expected a JSON object.");
        }
        catch (JsonException error)
        {
            throw AzureFaults.Malformed($"The request content was invalid and could not be deserialized: '{error.Message}'.");
        }
    }

    private static List<AzureIpConfigurationRequest> Configurations(JsonObject properties)
    {
        List<AzureIpConfigurationRequest> result = [];
        var items = Items(properties["ipConfigurations"], "ipConfigurations");
        foreach (var item in items)
        {
            var configuration = Object(item, "ipConfigurations");
            var members = Properties(configuration);
            RejectUnknown(members, ConfigurationMembers, "properties of an IP configuration");
            if (members["privateIPAddressVersion"] is { } version && Text(version, "privateIPAddressVersion") != "IPv4")
                throw AzureFaults.InvalidFormat("privateIPAddressVersion: the lab has IPv4 addresses only.");
            // A block is an address with its length, which may also be a member of its own.
            var parts = members["privateIPAddress"] is { } address ? Text(address, "privateIPAddress").Split('/', 2) : [];
            var length = members["privateIPAddressPrefixLength"] is { } given ? Integer(given, "privateIPAddressPrefixLength") : (int?)null;
            if (parts is [_, var suffix])
            {
                if (
                    !int.TryParse(suffix, NumberStyles.None, CultureInfo.InvariantCulture, out var written)
                    || (length ?? written) != written
                )
                    throw AzureFaults.InvalidFormat($"privateIPAddress '{string.Join('/', parts)}' does not fit its prefix length.");
                length = written;
            }

            result.Add(
                new AzureIpConfigurationRequest
                {
                    Name = Text(configuration["name"], "ipConfigurations.name"),
                    // A configuration by itself is primary.
                    IsPrimary = members["primary"] is { } primary ? Flag(primary, "primary") : items.Count == 1,
                    IsStatic =
                        members["privateIPAllocationMethod"] is { } method
                        && Text(method, "privateIPAllocationMethod") switch
                        {
                            "Static" => true,
                            "Dynamic" => false,
                            var other => throw AzureFaults.InvalidFormat(
                                $"privateIPAllocationMethod '{other}' is neither Static nor Dynamic."
                            ),
                        },
                    Address = parts is [var first, ..] ? Address(first, "privateIPAddress") : null,
                    PrefixLength = length ?? 32,
                    Subnet = Text(members["subnet"]?["id"], "subnet.id"),
                }
            );
        }

        return result;
    }

    private static JsonObject Properties(JsonObject resource) =>
        resource["properties"] as JsonObject ?? throw AzureFaults.Malformed("The request content was invalid: it has no properties.");

    private static JsonArray Items(JsonNode? node, string member) =>
        node switch
        {
            null => [],
            JsonArray items => items,
            _ => throw AzureFaults.Malformed($"The request content was invalid: {member} is not a list."),
        };

    private static JsonObject Object(JsonNode? node, string member) =>
        node as JsonObject ?? throw AzureFaults.Malformed($"The request content was invalid: {member} has an item that is no object.");

    private static void RejectUnknown(JsonObject node, HashSet<string> known, string where)
    {
        if (node.Select(member => member.Key).FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            throw AzureFaults.Malformed(
                $"The request content was invalid and could not be deserialized: 'Could not find member '{unknown}' on {where}'."
            );
    }

    private static string Text(JsonNode? node, string member) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.String && value.GetValue<string>() is { Length: > 0 } text
            ? text
            : throw AzureFaults.Malformed($"The request content was invalid: {member} is missing or not a text.");

    private static bool Flag(JsonNode node, string member) =>
        node.GetValueKind() switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw AzureFaults.Malformed($"The request content was invalid: {member} is neither true nor false."),
        };

    private static int Integer(JsonNode node, string member) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue<int>(out var number)
            ? number
            : throw AzureFaults.Malformed($"The request content was invalid: {member} is not an integer.");

    private static IPAddress Address(string text, string member) =>
        IPAddress.TryParse(text, out var address) && address.AddressFamily == IpFamily.V4
            ? address
            : throw AzureFaults.Bad("InvalidIPAddress", $"{member} '{text}' is not an IPv4 address.");
}
