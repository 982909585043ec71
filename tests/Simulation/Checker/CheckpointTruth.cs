// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>Reads the checkpoint's bytes as plain JSON.</summary>
internal static class CheckpointTruth
{
    /// <summary>Open intents in the checkpoint; null when there are none.</summary>
    public static string? OpenIntents(byte[]? content)
    {
        if (content is null)
            return null;
        using var document = JsonDocument.Parse(content);
        return
            document.RootElement.TryGetProperty("vpccni", out var extension)
            && extension.TryGetProperty("intents", out var intents)
            && intents.GetArrayLength() > 0
            ? $"the checkpoint has {intents.GetArrayLength()} open intents: {intents.GetRawText()}"
            : null;
    }

    /// <summary>
    /// Unassigned addresses of the recorded interfaces: not in use, not cooling, not released. An IPv6 prefix counts as a whole, since no
    /// node uses it up. None while an intent is open, which may concern any of them.
    /// </summary>
    public static HashSet<IPNetwork> FreeUnits(byte[]? content)
    {
        HashSet<IPNetwork> free = [];
        if (content is null || OpenIntents(content) is not null)
            return free;
        using var document = JsonDocument.Parse(content);
        if (!document.RootElement.TryGetProperty("vpccni", out var extension))
            return free;
        var recentlyRemoved = Elements(extension, "givenBack")
            .Concat(Elements(extension, "gone"))
            .Select(item => item.GetProperty("name").GetString())
            .ToHashSet(StringComparer.Ordinal);
        foreach (var item in Elements(extension, "interfaces"))
        {
            var isExcluded = item.TryGetProperty("excluded", out var excluded) && excluded.GetBoolean();
            if (isExcluded || recentlyRemoved.Contains(item.GetProperty("id").GetString()))
                continue;
            foreach (
                var name in Elements(item, "blocks").Select(block => block.GetString()!).Where(name => !recentlyRemoved.Contains(name))
            )
                free.UnionWith(AddressMath.Units(IPNetwork.Parse(name)));
        }

        foreach (var item in Elements(document.RootElement, "allocations"))
        {
            Remove(free, item, "ipv4");
            Remove(free, item, "ipv6");
        }

        foreach (var item in Elements(extension, "cooling"))
            Remove(free, item, "address");
        return free;
    }

    private static JsonElement[] Elements(JsonElement owner, string name) =>
        owner.TryGetProperty(name, out var array) && array.ValueKind == JsonValueKind.Array ? [.. array.EnumerateArray()] : [];

    private static void Remove(HashSet<IPNetwork> free, JsonElement owner, string name)
    {
        if (owner.TryGetProperty(name, out var text) && IPAddress.TryParse(text.GetString(), out var address))
            free.Remove(AddressMath.Single(address));
    }
}
