// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;

namespace VpcCni.Shim;

/// <summary>
/// Reads a prevResult of any protocol version, ours or that of the AWS plugin. What cannot be read is reported and left out rather than refused: DEL must get as far as it
/// can with a damaged cache.
/// </summary>
internal static class CniResultReader
{
    public static CniResult Read(JsonElement json, List<string> problems)
    {
        var interfaces = new List<CniInterface>();
        if (json.TryGetProperty("interfaces", out var list) && Expect(list, JsonValueKind.Array, "prevResult.interfaces", problems))
        {
            foreach (var item in list.EnumerateArray())
            {
                if (!Expect(item, JsonValueKind.Object, "an entry of prevResult.interfaces", problems)) continue;
                interfaces.Add(new CniInterface(Text(item, "name"), Text(item, "mac"), Text(item, "sandbox"), Number(item, "mtu"))
                {
                    SocketPath = Text(item, "socketPath") is { Length: > 0 } path ? path : null,
                    PciId = Text(item, "pciID") is { Length: > 0 } id ? id : null,
                });
            }
        }

        var addresses = new List<CniAddress>();
        if (json.TryGetProperty("ips", out list) && Expect(list, JsonValueKind.Array, "prevResult.ips", problems))
        {
            foreach (var item in list.EnumerateArray())
                if (Expect(item, JsonValueKind.Object, "an entry of prevResult.ips", problems)) AddAddress(item, "address", Number(item, "interface"), addresses, problems);
        }
        // 0.1.0 and 0.2.0 have one address a family and no interfaces.
        foreach (var key in (ReadOnlySpan<string>)["ip4", "ip6"])
            if (json.TryGetProperty(key, out var family) && family.ValueKind == JsonValueKind.Object) AddAddress(family, "ip", null, addresses, problems);

        return new CniResult(interfaces, addresses)
        {
            Routes = json.TryGetProperty("routes", out var routes) && routes.ValueKind == JsonValueKind.Array ? routes : null,
            Dns = json.TryGetProperty("dns", out var dns) && dns.ValueKind == JsonValueKind.Object ? dns : null,
        };
    }

    private static void AddAddress(JsonElement item, string key, int? index, List<CniAddress> addresses, List<string> problems)
    {
        var text = Text(item, key);
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || !IPAddress.TryParse(text.AsSpan(0, slash), out var address) || !byte.TryParse(text.AsSpan(slash + 1), out var length))
            problems.Add($"prevResult: '{Invocation.Printable(text)}' is not an address with a prefix length");
        else
            addresses.Add(new CniAddress(address, length, index, Text(item, "gateway")));
    }

    private static bool Expect(JsonElement value, JsonValueKind kind, string what, List<string> problems)
    {
        if (value.ValueKind == kind) return true;
        if (value.ValueKind != JsonValueKind.Null) problems.Add($"{what} is a JSON {value.ValueKind}, expected {kind}");
        return false;
    }

    private static string Text(JsonElement item, string key)
        => item.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private static int? Number(JsonElement item, string key)
        => item.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : null;
}
