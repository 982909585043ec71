// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// Strategic merge patch: a merge patch that merges some lists by a key
/// (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md). It identifies lists
/// by their name only, which is unambiguous for the built-in kinds.
/// </summary>
internal static class StrategicMerge
{
    private const string PatchDirective = "$patch";
    private const string RetainKeys = "$retainKeys";
    private const string SetElementOrder = "$setElementOrder/";
    private const string DeleteFromPrimitiveList = "$deleteFromPrimitiveList/";

    /// <summary>
    /// Merge keys of lists of objects: patchMergeKey of the types in k8s.io/api. Other lists, such as taints and tolerations, are replaced
    /// as a whole.
    /// </summary>
    private static readonly FrozenDictionary<string, string> MergeKeys = new Dictionary<string, string>
    {
        ["conditions"] = "type",
        ["addresses"] = "type",
        ["ownerReferences"] = "uid",
        ["containers"] = "name",
        ["initContainers"] = "name",
        ["ephemeralContainers"] = "name",
        ["volumes"] = "name",
        ["env"] = "name",
        ["ports"] = "containerPort",
        ["volumeMounts"] = "mountPath",
        ["imagePullSecrets"] = "name",
        ["hostAliases"] = "ip",
        ["podIPs"] = "ip",
        ["hostIPs"] = "ip",
        ["secrets"] = "name",
        ["topologySpreadConstraints"] = "topologyKey",
    }.ToFrozenDictionary();

    /// <summary>Lists of scalars that are sets.</summary>
    private static readonly FrozenSet<string> Sets = ["finalizers", "podCIDRs"];

    /// <summary>Merge key of a list; null if the list is replaced as a whole.</summary>
    public static string? MergeKey(string list) => MergeKeys.GetValueOrDefault(list);

    /// <summary>Applies a patch to an object, which it changes and returns.</summary>
    /// <exception cref="KubeStatusException">400: a directive is unknown, or a list element lacks its merge key.</exception>
    public static JsonObject Apply(JsonObject target, JsonObject patch)
    {
        switch (patch.Text(PatchDirective))
        {
            case "replace":
                target.Clear();
                break;
            case "delete":
                target.Clear();
                return target;
            case "" or "merge":
                break;
            case var other:
                throw KubeStatusException.BadRequest($"unknown patch directive '{other}'");
        }

        if (patch[RetainKeys] is JsonArray retained)
        {
            foreach (var name in target.Select(pair => pair.Key).Where(name => !retained.Any(node => node.Text() == name)).ToArray())
                target.Remove(name);
        }

        foreach (var (name, value) in patch)
        {
            if (name.StartsWith(DeleteFromPrimitiveList, StringComparison.Ordinal))
                RemoveItems(target[name[DeleteFromPrimitiveList.Length..]] as JsonArray, value as JsonArray);
            else if (!name.StartsWith('$'))
                Set(target, name, value);
        }

        foreach (var (name, value) in patch.Where(pair => pair.Key.StartsWith(SetElementOrder, StringComparison.Ordinal)))
            Order(target, name[SetElementOrder.Length..], value as JsonArray ?? []);

        return target;
    }

    private static void Set(JsonObject target, string name, JsonNode? value)
    {
        switch (value)
        {
            case null:
                target.Remove(name);
                break;
            case JsonObject inner:
                var existing = target[name] as JsonObject ?? [];
                target[name] = null; // detach the node, because it can have only one parent
                target[name] = Apply(existing, inner);
                break;
            case JsonArray list when MergeKey(name) is { } key && list.All(item => item is JsonObject):
                if (target[name] is not JsonArray items)
                    target[name] = items = [];
                MergeList(items, list, name, key);
                break;
            case JsonArray list when Sets.Contains(name):
                if (target[name] is not JsonArray set)
                    target[name] = set = [];
                foreach (var item in list.Where(item => !set.Any(member => JsonNode.DeepEquals(member, item))).ToArray())
                    set.Add(item?.DeepClone());
                break;
            default:
                target[name] = value.DeepClone();
                break;
        }
    }

    private static void MergeList(JsonArray items, JsonArray patch, string name, string key)
    {
        var isReplace = patch.Any(item => item.Text(PatchDirective) == "replace");
        if (isReplace)
            items.Clear();
        foreach (var change in patch.OfType<JsonObject>().Where(change => change.Text(PatchDirective) != "replace"))
        {
            if (change[key] is not { } value)
                throw KubeStatusException.BadRequest(
                    $"map: {change.ToJsonString()} does not contain declared merge key: {key} (list {name})"
                );
            var match = items.OfType<JsonObject>().FirstOrDefault(item => JsonNode.DeepEquals(item[key], value));
            if (change.Text(PatchDirective) == "delete")
            {
                if (match is not null)
                    items.Remove(match);
            }
            else if (match is not null)
                Apply(match, change);
            else
                items.Add(Apply([], change));
        }
    }

    private static void RemoveItems(JsonArray? items, JsonArray? removed)
    {
        if (items is null || removed is null)
            return;
        foreach (var item in items.Where(item => removed.Any(other => JsonNode.DeepEquals(other, item))).ToArray())
            items.Remove(item);
    }

    /// <summary>Sorts the elements that the order lists to the front, in its order; the others follow in their current order.</summary>
    private static void Order(JsonObject target, string name, JsonArray order)
    {
        if (target[name] is not JsonArray items)
            return;
        var key = MergeKey(name);
        int Position(JsonNode? item)
        {
            var value = key is null ? item : item.At(key);
            for (var index = 0; index < order.Count; index++)
            {
                if (JsonNode.DeepEquals(key is null ? order[index] : order[index].At(key), value))
                    return index;
            }

            return order.Count;
        }

        var sorted = items.Select(item => item).OrderBy(Position).ToArray(); // stable
        items.Clear();
        foreach (var item in sorted)
            items.Add(item);
    }
}
