// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.AzureModel;

namespace VpcCni.Lab.AzureApi;

/// <summary>Resources as the JSON of Azure Resource Manager (https://learn.microsoft.com/rest/api/virtualnetwork).</summary>
internal static class ArmJson
{
    private static readonly JsonSerializerOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Bytes(JsonNode body) => JsonSerializer.SerializeToUtf8Bytes(body, Options);

    public static JsonObject List(IEnumerable<JsonObject> items) => new() { ["value"] = new JsonArray([.. items]) };

    public static JsonObject Interface(AzureWorld world, AzureInterface nic)
    {
        var machine = world.FindMachine(nic.Machine);
        var result = new JsonObject
        {
            ["name"] = nic.Name,
            ["id"] = nic.Id,
            ["etag"] = nic.Tag,
            ["properties"] = new JsonObject
            {
                ["provisioningState"] = Text(nic.State),
                ["resourceGuid"] = $"{nic.ResourceGuid}",
                ["ipConfigurations"] = new JsonArray([.. nic.Configurations.Select(each => Configuration(nic, each))]),
                ["dnsSettings"] = new JsonObject { ["dnsServers"] = new JsonArray(), ["appliedDnsServers"] = new JsonArray() },
                ["macAddress"] = nic.Mac,
                ["vnetEncryptionSupported"] = false,
                ["enableAcceleratedNetworking"] = false,
                ["enableIPForwarding"] = nic.MayForward,
                ["disableTcpStateTracking"] = false,
                ["primary"] = true,
                ["virtualMachine"] = new JsonObject { ["id"] = nic.Machine },
                ["hostedWorkloads"] = new JsonArray(),
                ["tapConfigurations"] = new JsonArray(),
                ["nicType"] = "Standard",
                ["auxiliaryMode"] = "None",
                ["auxiliarySku"] = "None",
            },
            ["type"] = machine?.ScaleSet is null
                ? "Microsoft.Network/networkInterfaces"
                : "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces",
        };
        // A scale set's interfaces show neither their location nor tags.
        if (machine?.ScaleSet is not null)
            return result;
        result["location"] = world.Options.Location;
        if (!nic.Tags.IsEmpty)
            result["tags"] = new JsonObject([.. nic.Tags.Select(tag => KeyValuePair.Create(tag.Key, (JsonNode?)tag.Value))]);
        return result;
    }

    /// <summary>A virtual machine, with the configuration of its interface if it is of a scale set.</summary>
    public static JsonObject Machine(AzureWorld world, AzureMachine machine)
    {
        var nic = world.InterfaceOf(machine);
        var properties = new JsonObject
        {
            ["hardwareProfile"] = new JsonObject { ["vmSize"] = machine.Size },
            ["provisioningState"] = Text(nic.State),
            ["vmId"] = $"{machine.VmId}",
            ["osProfile"] = new JsonObject { ["computerName"] = machine.ComputerName },
            ["networkProfile"] = new JsonObject
            {
                ["networkInterfaces"] = new JsonArray(
                    new JsonObject
                    {
                        ["id"] = nic.Id,
                        ["properties"] = new JsonObject { ["primary"] = true },
                    }
                ),
            },
        };
        var result = new JsonObject
        {
            ["name"] = machine.ScaleSet is { } scaleSet ? $"{scaleSet}_{machine.Name}" : machine.Name,
            ["id"] = machine.Id,
            ["type"] = machine.ScaleSet is null
                ? "Microsoft.Compute/virtualMachines"
                : "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
            ["location"] = world.Options.Location,
            ["zones"] = new JsonArray(machine.Zone),
            ["properties"] = properties,
        };
        if (machine.ScaleSet is null)
            return result;
        result["instanceId"] = machine.Name;
        properties["latestModelApplied"] = true;
        properties["networkProfileConfiguration"] = new JsonObject
        {
            ["networkInterfaceConfigurations"] = new JsonArray(
                new JsonObject
                {
                    ["name"] = nic.Name,
                    ["properties"] = new JsonObject
                    {
                        ["primary"] = true,
                        ["enableAcceleratedNetworking"] = false,
                        ["enableIPForwarding"] = nic.MayForward,
                        ["ipConfigurations"] = new JsonArray([
                            .. nic.Configurations.Select(each => new JsonObject
                            {
                                ["name"] = each.Name,
                                ["properties"] = new JsonObject
                                {
                                    ["subnet"] = new JsonObject { ["id"] = each.Subnet },
                                    ["primary"] = each.IsPrimary,
                                    ["privateIPAddressVersion"] = "IPv4",
                                },
                            }),
                        ]),
                    },
                }
            ),
        };
        return result;
    }

    public static JsonObject Network(AzureWorld world, AzureNetwork network) =>
        new()
        {
            ["name"] = network.Name,
            ["id"] = network.Id,
            ["etag"] = network.Tag,
            ["type"] = "Microsoft.Network/virtualNetworks",
            ["location"] = world.Options.Location,
            ["properties"] = new JsonObject
            {
                ["provisioningState"] = Text(AzureProvisioningState.Succeeded),
                ["resourceGuid"] = $"{network.ResourceGuid}",
                ["addressSpace"] = new JsonObject
                {
                    ["addressPrefixes"] = new JsonArray([.. network.Ranges.Select(range => JsonValue.Create(range.ToString()))]),
                },
                ["subnets"] = new JsonArray([
                    .. world.Subnets.Where(subnet => ArmId.Comparer.Equals(subnet.Network, network.Id)).Select(each => Subnet(world, each)),
                ]),
            },
        };

    public static JsonObject Subnet(AzureWorld world, AzureSubnet subnet)
    {
        var properties = new JsonObject
        {
            ["provisioningState"] = Text(subnet.State),
            ["addressPrefix"] = subnet.Range.ToString(),
            ["ipConfigurations"] = new JsonArray([
                .. world.Interfaces.SelectMany(nic =>
                    nic.Configurations.Where(each => ArmId.Comparer.Equals(each.Subnet, subnet.Id))
                        .Select(each => new JsonObject { ["id"] = $"{nic.Id}/ipConfigurations/{each.Name}" })
                ),
            ]),
            ["delegations"] = new JsonArray(),
            ["privateEndpointNetworkPolicies"] = "Disabled",
            ["privateLinkServiceNetworkPolicies"] = "Enabled",
        };
        if (subnet.RouteTable is { } table)
            properties["routeTable"] = new JsonObject { ["id"] = table };
        return new JsonObject
        {
            ["name"] = subnet.Name,
            ["id"] = subnet.Id,
            ["etag"] = subnet.Tag,
            ["type"] = "Microsoft.Network/virtualNetworks/subnets",
            ["properties"] = properties,
        };
    }

    public static JsonObject RouteTable(AzureWorld world, AzureRouteTable table) =>
        new()
        {
            ["name"] = table.Name,
            ["id"] = table.Id,
            ["etag"] = table.Tag,
            ["type"] = "Microsoft.Network/routeTables",
            ["location"] = world.Options.Location,
            ["properties"] = new JsonObject
            {
                ["provisioningState"] = Text(table.State),
                ["resourceGuid"] = $"{table.ResourceGuid}",
                ["disableBgpRoutePropagation"] = false,
                ["routes"] = new JsonArray([.. table.Routes.Select(route => Route(table.Id, route))]),
                ["subnets"] = new JsonArray([
                    .. world
                        .Subnets.Where(subnet => ArmId.Comparer.Equals(subnet.RouteTable, table.Id))
                        .Select(subnet => new JsonObject { ["id"] = subnet.Id }),
                ]),
            },
        };

    public static JsonObject Route(string table, AzureRoute route)
    {
        var properties = new JsonObject
        {
            ["provisioningState"] = Text(route.State),
            ["addressPrefix"] = route.Destination.ToString(),
            ["nextHopType"] = route.NextHop.ToString(),
            ["hasBgpOverride"] = false,
        };
        if (route.NextHopAddress is { } address)
            properties["nextHopIpAddress"] = $"{address}";
        return new JsonObject
        {
            ["name"] = route.Name,
            ["id"] = $"{table}/routes/{route.Name}",
            ["etag"] = route.Tag,
            ["type"] = "Microsoft.Network/routeTables/routes",
            ["properties"] = properties,
        };
    }

    public static JsonObject Operation(AzureOperation operation, bool isDone)
    {
        var result = new JsonObject
        {
            ["status"] =
                !isDone ? "InProgress"
                : operation.Failure is null ? "Succeeded"
                : "Failed",
        };
        if (isDone && operation.Failure is { } failure)
            result["error"] = Error(failure.Code, failure.Message, detail: null);
        return result;
    }

    public static JsonObject Error(AzureFaultException fault) => new() { ["error"] = Error(fault.Code, fault.Message, fault.Detail) };

    public static JsonObject Error(string code, string message, AzureError? detail) =>
        new()
        {
            ["code"] = code,
            ["message"] = message,
            ["details"] = detail is null
                ? new JsonArray()
                : new JsonArray(new JsonObject { ["code"] = detail.Code, ["message"] = detail.Message }),
        };

    /// <summary>An address of a configuration: alone, or a block as <c>a.b.c.d/28</c>.</summary>
    public static string Address(IPNetwork range) => range.PrefixLength == 32 ? $"{range.BaseAddress}" : range.ToString();

    private static JsonObject Configuration(AzureInterface nic, AzureIpConfiguration configuration)
    {
        var properties = new JsonObject
        {
            ["provisioningState"] = Text(nic.State),
            ["privateIPAddress"] = Address(configuration.Range),
            ["privateIPAllocationMethod"] = configuration.IsStatic ? "Static" : "Dynamic",
            ["subnet"] = new JsonObject { ["id"] = configuration.Subnet },
            ["primary"] = configuration.IsPrimary,
            ["privateIPAddressVersion"] = "IPv4",
        };
        if (configuration.Range.PrefixLength != 32)
            properties["privateIPAddressPrefixLength"] = configuration.Range.PrefixLength;
        return new JsonObject
        {
            ["name"] = configuration.Name,
            ["id"] = $"{nic.Id}/ipConfigurations/{configuration.Name}",
            ["etag"] = nic.Tag,
            ["type"] = "Microsoft.Network/networkInterfaces/ipConfigurations",
            ["properties"] = properties,
        };
    }

    private static string Text(AzureProvisioningState state) => state.ToString();
}
