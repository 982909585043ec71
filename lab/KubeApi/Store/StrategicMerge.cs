// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// Strategic merge patch: a merge patch that knows which lists are maps by a key
/// (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md). Lists are told
/// apart by their name, which is enough for the kinds that are served here.
/// </summary>
internal static class StrategicMerge
{
    private const string PatchDirective = "$patch";
    private const string RetainKeys = "$retainKeys";
    private const string SetElementOrder = "$setElementOrder/";
    private const string DeleteFromPrimitiveList = "$deleteFromPrimitiveList/";

    /// <summary>
    /// Lists of objects that merge by a field of theirs: patchMergeKey of the types of k8s.io/api. All others are replaced as a whole,
    /// taints and tolerations among them.
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

    /// <summary>Lists of plain values that are sets.</summary>
    private static readonly FrozenSet<string> Sets = ["finalizers", "podCIDRs"];

    /// <summary>The field by which a list of objects merges, or null.</summary>
    public static string? MergeKey(string list) => MergeKeys.GetValueOrDefault(list);

    /// <exception cref="KubeStatusException">400: a directive that nobody knows, or an element without its key.</exception>
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
                Without(target[name[DeleteFromPrimitiveList.Length..]] as JsonArray, value as JsonArray);
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
                var there = target[name] as JsonObject ?? [];
                target[name] = null; // a node has one parent
                target[name] = Apply(there, inner);
                break;
            case JsonArray list when MergeKey(name) is { } key && list.All(item => item is JsonObject):
                if (target[name] is not JsonArray items)
                    target[name] = items = [];
                MergeList(items, list, name, key);
                break;
            case JsonArray list when Sets.Contains(name):
                if (target[name] is not JsonArray set)
                    target[name] = set = [];
                foreach (var item in list.Where(item => !set.Any(held => JsonNode.DeepEquals(held, item))).ToArray())
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
            if (change[key] is not { } wanted)
                throw KubeStatusException.BadRequest(
                    $"map: {change.ToJsonString()} does not contain declared merge key: {key} (list {name})"
                );
            var held = items.OfType<JsonObject>().FirstOrDefault(item => JsonNode.DeepEquals(item[key], wanted));
            if (change.Text(PatchDirective) == "delete")
            {
                if (held is not null)
                    items.Remove(held);
            }
            else if (held is not null)
                Apply(held, change);
            else
                items.Add(Apply([], change));
        }
    }

    private static void Without(JsonArray? items, JsonArray? gone)
    {
        if (items is null || gone is null)
            return;
        foreach (var item in items.Where(item => gone.Any(other => JsonNode.DeepEquals(other, item))).ToArray())
            items.Remove(item);
    }

    /// <summary>Elements that the order names come first, in its order; the others keep theirs behind.</summary>
    private static void Order(JsonObject target, string name, JsonArray order)
    {
        if (target[name] is not JsonArray items)
            return;
        var key = MergeKey(name);
        int Place(JsonNode? item)
        {
            var mine = key is null ? item : item.At(key);
            for (var index = 0; index < order.Count; index++)
            {
                if (JsonNode.DeepEquals(key is null ? order[index] : order[index].At(key), mine))
                    return index;
            }

            return order.Count;
        }

        var sorted = items.Select(item => item).OrderBy(Place).ToArray(); // stable
        items.Clear();
        foreach (var item in sorted)
            items.Add(item);
    }
}
