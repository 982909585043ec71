// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;

namespace VpcCni.Shim;

/// <summary>
/// Reads a prevResult of any protocol version, ours or that of the AWS plugin. Reports and omits what it cannot read,
/// because DEL must remove what it can with a damaged cache.
/// </summary>
internal static class CniResultReader
{
    public static CniResult Read(JsonElement json, List<string> problems)
    {
        var interfaces = new List<CniInterface>();
        if (TryGet(json, "interfaces", out var list, problems) && Expect(list, JsonValueKind.Array, "prevResult.interfaces", problems))
        {
            foreach (var item in list.EnumerateArray())
            {
                if (!Expect(item, JsonValueKind.Object, "an entry of prevResult.interfaces", problems))
                    continue;
                interfaces.Add(
                    new CniInterface(
                        Text(item, "name", problems),
                        Text(item, "mac", problems),
                        Text(item, "sandbox", problems),
                        Number(item, "mtu", problems)
                    )
                    {
                        SocketPath = Text(item, "socketPath", problems) is { Length: > 0 } path ? path : null,
                        PciId = Text(item, "pciID", problems) is { Length: > 0 } id ? id : null,
                    }
                );
            }
        }

        var addresses = new List<CniAddress>();
        if (TryGet(json, "ips", out list, problems) && Expect(list, JsonValueKind.Array, "prevResult.ips", problems))
        {
            foreach (var item in list.EnumerateArray())
                if (Expect(item, JsonValueKind.Object, "an entry of prevResult.ips", problems))
                    AddAddress(item, "address", Number(item, "interface", problems), addresses, problems);
        }
        // 0.1.0 and 0.2.0 have one address per family and no interfaces.
        foreach (var key in (ReadOnlySpan<string>)["ip4", "ip6"])
            if (TryGet(json, key, out var family, problems) && family.ValueKind == JsonValueKind.Object)
                AddAddress(family, "ip", null, addresses, problems);

        return new CniResult(interfaces, addresses)
        {
            Routes = TryGet(json, "routes", out var routes, problems) && routes.ValueKind == JsonValueKind.Array ? routes : null,
            Dns = TryGet(json, "dns", out var dns, problems) && dns.ValueKind == JsonValueKind.Object ? dns : null,
        };
    }

    private static void AddAddress(JsonElement item, string key, int? index, List<CniAddress> addresses, List<string> problems)
    {
        var text = Text(item, key, problems);
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (
            slash < 0
            || !IPAddress.TryParse(text.AsSpan(0, slash), out var address)
            || !byte.TryParse(text.AsSpan(slash + 1), out var length)
        )
            problems.Add($"prevResult: '{Invocation.Printable(text)}' is not an address with a prefix length");
        else
            addresses.Add(new CniAddress(address, length, index, Text(item, "gateway", problems)));
    }

    private static bool Expect(JsonElement value, JsonValueKind kind, string what, List<string> problems)
    {
        if (value.ValueKind == kind)
            return true;
        if (value.ValueKind != JsonValueKind.Null)
            problems.Add($"{what} is a JSON {value.ValueKind}, expected {kind}");
        return false;
    }

    private static string Text(JsonElement item, string key, List<string> problems)
    {
        if (!TryGet(item, key, out var value, problems) || value.ValueKind != JsonValueKind.String)
            return "";
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            problems.Add($"prevResult: {key} is a string that is no valid Unicode");
            return "";
        }
    }

    private static int? Number(JsonElement item, string key, List<string> problems) =>
        TryGet(item, key, out var value, problems) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : null;

    /// <summary>A name that is no valid Unicode is found out only when names are compared.</summary>
    private static bool TryGet(JsonElement item, string key, out JsonElement value, List<string> problems)
    {
        try
        {
            return item.TryGetProperty(key, out value);
        }
        catch (InvalidOperationException)
        {
            problems.Add($"prevResult: {key} cannot be read beside a name that is no valid Unicode");
            value = default;
            return false;
        }
    }
}
