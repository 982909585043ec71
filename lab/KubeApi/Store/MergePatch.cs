// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>JSON merge patch (RFC 7386).</summary>
internal static class MergePatch
{
    /// <summary>Applies a patch to an object, which it changes and returns.</summary>
    public static JsonObject Apply(JsonObject target, JsonObject patch)
    {
        foreach (var (name, value) in patch)
        {
            if (value is null)
                target.Remove(name);
            else
                target[name] = value is JsonObject inner
                    ? Apply(target[name] as JsonObject is { } existing ? Detach(target, name, existing) : [], inner)
                    : value.DeepClone();
        }

        return target;
    }

    /// <summary>Detaches a node from its parent, because a node that has a parent cannot be set again.</summary>
    private static JsonObject Detach(JsonObject parent, string name, JsonObject child)
    {
        parent[name] = null;
        return child;
    }
}
