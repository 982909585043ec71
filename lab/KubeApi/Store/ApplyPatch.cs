// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// Server-side apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/): what a manager applies is merged in, what it
/// applied before and no longer does is taken out, and what another manager applied with another value is a conflict. Only managers that
/// apply are kept track of, not those that update.
/// </summary>
internal static class ApplyPatch
{
    private const string Operation = "Apply";

    /// <summary>Fields that say which object it is; nobody owns them.</summary>
    private static readonly string[][] Identity =
    [
        ["f:apiVersion"],
        ["f:kind"],
        ["f:metadata", "f:name"],
        ["f:metadata", "f:namespace"],
    ];

    /// <param name="type">Of the object: lists of built-in kinds merge by their keys, those of custom resources are replaced.</param>
    /// <param name="current">The object as it is, to be changed; empty for one that is to be created.</param>
    /// <param name="applied">All that the manager wants of it.</param>
    /// <param name="force">Take over what is in conflict.</param>
    /// <exception cref="KubeStatusException">409 with all conflicts.</exception>
    public static JsonObject Apply(
        ResourceType type,
        JsonObject current,
        JsonObject applied,
        string manager,
        bool force,
        DateTimeOffset now
    )
    {
        var wanted = new FieldSet();
        wanted.AddLeaves(applied, byKey: !type.IsCustom, []);
        wanted.Remove(Identity);
        var entries = current["metadata"]?["managedFields"] as JsonArray ?? [];
        FieldSet Of(JsonNode? entry) => FieldSet.Parse(entry?["fieldsV1"] as JsonObject ?? []);
        var mine = entries.FirstOrDefault(entry => entry.Text("manager") == manager && entry.Text("operation") == Operation);
        var others = entries
            .Where(entry => entry != mine && entry.Text("operation") == Operation)
            .Select(entry => (Entry: entry!.AsObject(), Fields: Of(entry)))
            .ToArray();

        var conflicts = others
            .SelectMany(other =>
                wanted
                    .Both(other.Fields)
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

        var gone = Of(mine);
        gone.Remove(wanted.Paths);
        foreach (var (_, fields) in others)
            gone.Remove(fields.Paths);
        foreach (var path in gone.Paths)
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
                ["fieldsV1"] = wanted.ToJson(),
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
                    if (target[name] is not JsonObject there)
                        target[name] = there = [];
                    Merge(there, inner, byKey);
                    break;
                case JsonArray list when byKey && StrategicMerge.MergeKey(name) is { } key && list.All(item => item is JsonObject):
                    if (target[name] is not JsonArray items)
                        target[name] = items = [];
                    foreach (var item in list.OfType<JsonObject>())
                    {
                        var held = items.OfType<JsonObject>().FirstOrDefault(one => JsonNode.DeepEquals(one[key], item[key]));
                        if (held is null)
                            items.Add(held = []);
                        Merge(held, item, byKey);
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
        var wanted = JsonNode.Parse(step[2..])!.AsObject().Single(); // k:{"name":"x"}
        return (node as JsonArray)?.FirstOrDefault(item => JsonNode.DeepEquals(item.At(wanted.Key), wanted.Value));
    }

    /// <summary>Takes a field out, and the items and objects around it that are left without anything.</summary>
    private static void Remove(JsonObject root, string[] path)
    {
        // Looked up before anything is taken out: without its key an item is not found any more.
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
/// A set of fields, as <c>managedFields</c> writes it: a tree of <c>f:name</c> and <c>k:{"key":"value"}</c> whose leaves are empty.
/// </summary>
internal sealed class FieldSet
{
    /// <summary>Between the steps of a path; no step can hold it, since JSON text escapes it.</summary>
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

    /// <summary>Adds what an object consists of: plain values, empty objects and lists that are replaced as a whole.</summary>
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

    public IReadOnlyList<string[]> Both(FieldSet other) => [.. _paths.Where(other._paths.Contains).Select(path => path.Split(Separator))];

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
