// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Introspection;

/// <summary>Writes the settings pages, with variable names as keys.</summary>
internal static class SettingsPage
{
    public static void HostNetwork(Utf8JsonWriter writer, IpamdOptions options)
    {
        var host = options.HostNetwork;
        writer.WriteStartObject();
        writer.WriteNumber(OptionTable.ConnectionMark.Name, host.ConnectionMark);
        Ranges(writer, OptionTable.ExcludedRanges.Name, host.ExcludedRanges);
        writer.WriteBoolean(OptionTable.ExternalSnat.Name, host.ExternalSnat);
        Ranges(writer, OptionTable.ExternalServiceRanges.Name, host.ExternalServiceRanges);
        writer.WriteNumber(OptionTable.InterfaceMtu.Name, options.InterfaceMtu);
        writer.WriteString(OptionTable.VethPrefix.Name, host.VethPrefix);
        writer.WriteBoolean(OptionTable.NodePorts.Name, host.NodePorts);
        // The reference writes the index of the choice, not its name.
        writer.WriteNumber(
            OptionTable.RandomizeSnat.Name,
            host.SnatPorts switch
            {
                SnatPorts.Kept => 0,
                SnatPorts.HashRandom => 1,
                SnatPorts.FullyRandom => 2,
                _ => throw new InvalidOperationException($"unnamed choice of ports {host.SnatPorts}"),
            }
        );
        writer.WriteEndObject();
    }

    public static void Pool(Utf8JsonWriter writer, PoolTargets targets, IpamdOptions options)
    {
        writer.WriteStartObject();
        writer.WriteNumber(OptionTable.WarmEniTarget.Name, targets.WarmEniTarget);
        writer.WriteNumber(OptionTable.WarmIpTarget.Name, targets.WarmIpTarget);
        writer.WriteNumber(OptionTable.MinimumIpTarget.Name, targets.MinimumIpTarget);
        writer.WriteNumber(OptionTable.WarmPrefixTarget.Name, targets.WarmPrefixTarget);
        writer.WriteBoolean(OptionTable.CustomNetworking.Name, options.CustomNetworking);
        writer.WriteBoolean(OptionTable.SubnetDiscovery.Name, options.SubnetDiscovery);
        writer.WriteBoolean(OptionTable.ManageUnschedulable.Name, options.ManagesUnschedulable);
        writer.WriteEndObject();
    }

    private static void Ranges(Utf8JsonWriter writer, string name, IReadOnlyList<System.Net.IPNetwork> ranges)
    {
        writer.WriteStartArray(name);
        foreach (var range in ranges)
            writer.WriteStringValue(range.ToString());
        writer.WriteEndArray();
    }
}
