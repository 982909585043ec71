// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// Server-side apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/): merges what a manager applies, removes what it
/// applied before and no longer applies, and reports a conflict where another manager applied a different value. Tracks only managers that
/// apply, not those that update.
/// </summary>
internal static class ApplyPatch
{
    private const string Operation = "Apply";

    /// <summary>Fields that identify the object, which no manager owns.</summary>
    private static readonly string[][] Identity =
    [
        ["f:apiVersion"],
        ["f:kind"],
        ["f:metadata", "f:name"],
        ["f:metadata", "f:namespace"],
    ];

    /// <summary>Applies a manager's configuration to an object and returns it.</summary>
    /// <param name="type">The object's kind. Lists of built-in kinds merge by their keys; those of custom resources are replaced.</param>
    /// <param name="current">The current object, which is changed; empty for a new one.</param>
    /// <param name="applied">The manager's complete configuration.</param>
    /// <param name="manager">Name of the manager.</param>
    /// <param name="force">Takes over the fields in conflict.</param>
    /// <param name="now">The current time, for <c>managedFields</c>.</param>
    /// <exception cref="KubeStatusException">409, with all conflicts.</exception>
    public static JsonObject Apply(
        ResourceType type,
        JsonObject current,
        JsonObject applied,
        string manager,
        bool force,
        DateTimeOffset now
    )
    {
        var desired = new FieldSet();
        desired.AddLeaves(applied, byKey: !type.IsCustom, []);
        desired.Remove(Identity);
        var entries = current["metadata"]?["managedFields"] as JsonArray ?? [];
        FieldSet Of(JsonNode? entry) => FieldSet.Parse(entry?["fieldsV1"] as JsonObject ?? []);
        var mine = entries.FirstOrDefault(entry => entry.Text("manager") == manager && entry.Text("operation") == Operation);
        var others = entries
            .Where(entry => entry != mine && entry.Text("operation") == Operation)
            .Select(entry => (Entry: entry!.AsObject(), Fields: Of(entry)))
            .ToArray();

        var conflicts = others
            .SelectMany(other =>
                desired
                    .Intersect(other.Fields)
                    .Where(path => !JsonNode.DeepEquals(Find(current, path), Find(applied, path)))
                    .Select(path => (Manager: other.Entry.Text("manager"), Path: path))
            )
            .ToArray();
        if (conflicts.Length > 0 && !force)
            throw Conflict(conflicts);
        foreach (var (entry, fields) in others)
        {
            fields.Remove(conflicts.Select(conflict => conflict.Path));
            entry["fieldsV1"] = fields.ToJson();
        }

        var removed = Of(mine);
        removed.Remove(desired.Paths);
        foreach (var (_, fields) in others)
            removed.Remove(fields.Paths);
        foreach (var path in removed.Paths)
            Remove(current, path);
        Merge(current, applied, byKey: !type.IsCustom);

        if (mine is not null)
            entries.Remove(mine);
        entries.Add(
            new JsonObject
            {
                ["manager"] = manager,
                ["operation"] = Operation,
                ["apiVersion"] = type.ApiVersion,
                ["time"] = KubeJson.Timestamp(now),
                ["fieldsType"] = "FieldsV1",
                ["fieldsV1"] = desired.ToJson(),
            }
        );
        if (entries.Parent is null)
            current.Meta()["managedFields"] = entries;
        return current;
    }

    private static void Merge(JsonObject target, JsonObject source, bool byKey)
    {
        foreach (var (name, value) in source)
        {
            switch (value)
            {
                case JsonObject inner:
                    if (target[name] is not JsonObject existing)
                        target[name] = existing = [];
                    Merge(existing, inner, byKey);
                    break;
                case JsonArray list when byKey && StrategicMerge.MergeKey(name) is { } key && list.All(item => item is JsonObject):
                    if (target[name] is not JsonArray items)
                        target[name] = items = [];
                    foreach (var item in list.OfType<JsonObject>())
                    {
                        var match = items.OfType<JsonObject>().FirstOrDefault(one => JsonNode.DeepEquals(one[key], item[key]));
                        if (match is null)
                            items.Add(match = []);
                        Merge(match, item, byKey);
                    }

                    break;
                default:
                    target[name] = value?.DeepClone();
                    break;
            }
        }
    }

    private static JsonNode? Find(JsonNode? node, string[] path)
    {
        foreach (var step in path)
            node = Step(node, step);
        return node;
    }

    private static JsonNode? Step(JsonNode? node, string step)
    {
        if (step.StartsWith("f:", StringComparison.Ordinal))
            return node.At(step[2..]);
        var key = JsonNode.Parse(step[2..])!.AsObject().Single(); // k:{"name":"x"}
        return (node as JsonArray)?.FirstOrDefault(item => JsonNode.DeepEquals(item.At(key.Key), key.Value));
    }

    /// <summary>Removes a field, and the list items and objects around it that become empty.</summary>
    private static void Remove(JsonObject root, string[] path)
    {
        // Look up all nodes first, because a list item cannot be found after its key is removed.
        var chain = new JsonNode?[path.Length + 1];
        chain[0] = root;
        for (var index = 0; index < path.Length; index++)
            chain[index + 1] = Step(chain[index], path[index]);
        for (var length = path.Length; length > 0; length--)
        {
            var (parent, child) = (chain[length - 1], chain[length]);
            if (length < path.Length && child is not (JsonObject { Count: 0 } or JsonArray { Count: 0 }))
                return;
            if (parent is JsonObject o)
                o.Remove(path[length - 1][2..]);
            else if (parent is JsonArray array && child is not null)
                array.Remove(child);
        }
    }

    private static KubeStatusException Conflict((string Manager, string[] Path)[] conflicts)
    {
        static string Field(string[] path) =>
            string.Concat(path.Select(step => step.StartsWith("f:", StringComparison.Ordinal) ? "." + step[2..] : $"[{step[2..]}]"));
        var causes = conflicts.Select(conflict => new JsonObject
        {
            ["reason"] = "FieldManagerConflict",
            ["message"] = $"conflict with \"{conflict.Manager}\"",
            ["field"] = Field(conflict.Path),
        });
        var text = string.Join(", ", conflicts.Select(conflict => $"conflict with \"{conflict.Manager}\": {Field(conflict.Path)}"));
        return new KubeStatusException(
            HttpStatusCode.Conflict,
            "Conflict",
            $"Apply failed with {conflicts.Length} conflict{(conflicts.Length == 1 ? "" : "s")}: {text}"
        )
        {
            Details = new JsonObject { ["causes"] = new JsonArray([.. causes]) },
        };
    }
}

/// <summary>
/// A set of fields in the format of <c>managedFields</c>: a tree of <c>f:name</c> and <c>k:{"key":"value"}</c> with empty leaves.
/// </summary>
internal sealed class FieldSet
{
    /// <summary>Separator of a path's steps, which no step contains because JSON escapes it.</summary>
    private const char Separator = '\n';

    private readonly SortedSet<string> _paths = new(StringComparer.Ordinal);

    public IEnumerable<string[]> Paths => _paths.Select(path => path.Split(Separator));

    public static FieldSet Parse(JsonObject tree)
    {
        var set = new FieldSet();
        void Walk(JsonObject node, string[] path)
        {
            if (node.Count == 0 && path.Length > 0)
                set._paths.Add(string.Join(Separator, path));
            foreach (var (step, inner) in node)
                Walk(inner as JsonObject ?? [], [.. path, step]);
        }

        Walk(tree, []);
        return set;
    }

    /// <summary>Adds the leaves of an object: scalars, empty objects, and lists that are replaced as a whole.</summary>
    public void AddLeaves(JsonObject o, bool byKey, string[] path)
    {
        foreach (var (name, value) in o)
        {
            string[] here = [.. path, "f:" + name];
            if (value is JsonObject { Count: > 0 } inner)
                AddLeaves(inner, byKey, here);
            else if (
                byKey
                && value is JsonArray list
                && StrategicMerge.MergeKey(name) is { } key
                && list.All(item => item.At(key) is not null)
            )
            {
                foreach (var item in list.OfType<JsonObject>())
                    AddLeaves(item, byKey, [.. here, "k:" + new JsonObject { [key] = item[key]!.DeepClone() }.ToJsonString()]);
            }
            else
                _paths.Add(string.Join(Separator, here));
        }
    }

    public void Remove(IEnumerable<string[]> paths) => _paths.ExceptWith([.. paths.Select(path => string.Join(Separator, path))]);

    public IReadOnlyList<string[]> Intersect(FieldSet other) =>
        [.. _paths.Where(other._paths.Contains).Select(path => path.Split(Separator))];

    public JsonObject ToJson()
    {
        var tree = new JsonObject();
        foreach (var path in Paths)
        {
            var node = tree;
            foreach (var step in path)
            {
                if (node[step] is not JsonObject next)
                    node[step] = next = [];
                node = next;
            }
        }

        return tree;
    }
}
