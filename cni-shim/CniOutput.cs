// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Net.Sockets;
using System.Text.Encodings.Web;
using System.Text.Json;
using VpcCni.Netlink;

namespace VpcCni.Shim;

/// <summary>
/// Renders what is written to stdout: one JSON object in the shape of the protocol version that the configuration asks for. The
/// specification's sections "Success", "Error" and "VERSION".
/// </summary>
internal static class CniOutput
{
    // The output is not embedded in HTML; without its escapes, errors are readable.
    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = Limits.JsonDepth + 16,
    };

    public static byte[] Result(CniVersion version, CniResult result) =>
        Write(json =>
        {
            json.WriteString("cniVersion"u8, version.ToString());
            if (version < CniVersion.V030)
            {
                WriteLegacyAddress(json, "ip4", result, IpFamily.V4);
                WriteLegacyAddress(json, "ip6", result, IpFamily.V6);
            }
            else
            {
                WriteInterfaces(json, version, result);
                WriteAddresses(json, version, result);
                if (result.Routes is { } routes)
                {
                    json.WritePropertyName("routes"u8);
                    routes.WriteTo(json);
                }
            }
            json.WritePropertyName("dns"u8);
            if (result.Dns is { } dns)
            {
                dns.WriteTo(json);
            }
            else
            {
                json.WriteStartObject();
                json.WriteEndObject();
            }
        });

    public static byte[] Error(CniVersion version, CniErrorCode code, string message, string details) =>
        Write(json =>
        {
            json.WriteString("cniVersion"u8, version.ToString());
            json.WriteNumber("code"u8, (int)code);
            json.WriteString("msg"u8, message);
            if (details.Length > 0)
                json.WriteString("details"u8, details);
        });

    public static byte[] Versions(CniVersion version) =>
        Write(json =>
        {
            json.WriteString("cniVersion"u8, version.ToString());
            json.WriteStartArray("supportedVersions"u8);
            foreach (var supported in CniVersion.Supported)
                json.WriteStringValue(supported.ToString());
            json.WriteEndArray();
        });

    private static byte[] Write(Action<Utf8JsonWriter> body)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            body(json);
            json.WriteEndObject();
        }
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteInterfaces(Utf8JsonWriter json, CniVersion version, CniResult result)
    {
        json.WriteStartArray("interfaces"u8);
        foreach (var link in result.Interfaces)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, link.Name);
            if (link.Mac.Length > 0)
                json.WriteString("mac"u8, link.Mac);
            if (version >= CniVersion.V110 && link.Mtu is { } mtu)
                json.WriteNumber("mtu"u8, mtu);
            if (link.Sandbox.Length > 0)
                json.WriteString("sandbox"u8, link.Sandbox);
            if (version >= CniVersion.V110 && link.SocketPath is not null)
                json.WriteString("socketPath"u8, link.SocketPath);
            if (version >= CniVersion.V110 && link.PciId is not null)
                json.WriteString("pciID"u8, link.PciId);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteAddresses(Utf8JsonWriter json, CniVersion version, CniResult result)
    {
        json.WriteStartArray("ips"u8);
        foreach (var address in result.Addresses)
        {
            json.WriteStartObject();
            if (version < CniVersion.V100)
                json.WriteString("version"u8, address.Address.AddressFamily == IpFamily.V4 ? "4"u8 : "6"u8);
            if (address.Interface is { } index)
                json.WriteNumber("interface"u8, index);
            json.WriteString("address"u8, $"{address.Address}/{address.PrefixLength}");
            if (address.Gateway.Length > 0)
                json.WriteString("gateway"u8, address.Gateway);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteLegacyAddress(Utf8JsonWriter json, string key, CniResult result, AddressFamily family)
    {
        foreach (var address in result.Addresses)
        {
            if (address.Address.AddressFamily != family)
                continue;
            json.WriteStartObject(key);
            json.WriteString("ip"u8, $"{address.Address}/{address.PrefixLength}");
            if (address.Gateway.Length > 0)
                json.WriteString("gateway"u8, address.Gateway);
            json.WriteEndObject();
            return; // These versions have one address per family.
        }
    }
}
