// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Discovery documents: the version, the groups one by one, and all groups at once (aggregated discovery, apidiscovery.k8s.io/v2).
/// </summary>
internal static class Discovery
{
    /// <summary>The server's version, which kubectl compares with its own.</summary>
    private const string GitVersion = "v1.32.4-vpclab";

    /// <summary>Returns the document at a path; null if it is not a path of discovery.</summary>
    public static JsonObject? FindDocument(string path, string accept, IReadOnlyList<ResourceType> types)
    {
        var aggregated = accept.Split(',')[0].Contains("as=APIGroupDiscoveryList", StringComparison.Ordinal);
        return path.Trim('/').Split('/') switch
        {
            ["version"] => Version(),
            ["api"] => aggregated
                ? Aggregated(types.Where(type => type.Group.Length == 0))
                : new JsonObject { ["kind"] = "APIVersions", ["versions"] = new JsonArray("v1") },
            ["apis"] => aggregated ? Aggregated(types.Where(type => type.Group.Length > 0)) : Groups(types),
            ["apis", var group] when types.Any(type => type.Group == group) => Group(types, group),
            ["api", "v1"] => Resources(types, "", "v1"),
            ["apis", var group, var version] when types.Any(type => type.Group == group && type.Version == version) => Resources(
                types,
                group,
                version
            ),
            _ => null,
        };
    }

    /// <summary>Media type of a document. For aggregated discovery it tells the client which form it received.</summary>
    public static string ContentType(JsonObject document) =>
        document.Text("kind") == "APIGroupDiscoveryList"
            ? "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            : "application/json";

    private static JsonObject Version() =>
        new()
        {
            ["major"] = "1",
            ["minor"] = "32",
            ["gitVersion"] = GitVersion,
            ["gitCommit"] = "",
            ["gitTreeState"] = "clean",
            ["buildDate"] = "1970-01-01T00:00:00Z",
            ["goVersion"] = "none",
            ["compiler"] = "dotnet",
            ["platform"] = "linux/amd64",
        };

    private static JsonObject Groups(IReadOnlyList<ResourceType> types) =>
        new()
        {
            ["kind"] = "APIGroupList",
            ["apiVersion"] = "v1",
            ["groups"] = new JsonArray([
                .. types.Select(type => type.Group).Where(group => group.Length > 0).Distinct().Select(group => Group(types, group)),
            ]),
        };

    private static JsonObject Group(IReadOnlyList<ResourceType> types, string group)
    {
        JsonObject[] versions =
        [
            .. types
                .Where(type => type.Group == group)
                .Select(type => type.Version)
                .Distinct()
                .Select(version => new JsonObject { ["groupVersion"] = $"{group}/{version}", ["version"] = version }),
        ];
        return new JsonObject
        {
            ["kind"] = "APIGroup",
            ["apiVersion"] = "v1",
            ["name"] = group,
            ["versions"] = new JsonArray([.. versions]),
            ["preferredVersion"] = versions[0].DeepClone(),
        };
    }

    private static JsonObject Resources(IReadOnlyList<ResourceType> types, string group, string version)
    {
        var resources = new JsonArray();
        foreach (var type in types.Where(type => type.Group == group && type.Version == version))
        {
            var resource = new JsonObject
            {
                ["name"] = type.Plural,
                ["singularName"] = type.Singular,
                ["namespaced"] = type.Namespaced,
                ["kind"] = type.Kind,
                ["verbs"] = Texts(type.Verbs),
            };
            if (type.ShortNames.Count > 0)
                resource["shortNames"] = Texts(type.ShortNames);
            if (type.Categories.Count > 0)
                resource["categories"] = Texts(type.Categories);
            resources.Add(resource);
            if (!type.HasStatus)
                continue;
            resources.Add(
                new JsonObject
                {
                    ["name"] = $"{type.Plural}/status",
                    ["singularName"] = "",
                    ["namespaced"] = type.Namespaced,
                    ["kind"] = type.Kind,
                    ["verbs"] = new JsonArray("get", "patch", "update"),
                }
            );
        }

        return new JsonObject
        {
            ["kind"] = "APIResourceList",
            ["apiVersion"] = "v1",
            ["groupVersion"] = group.Length == 0 ? version : $"{group}/{version}",
            ["resources"] = resources,
        };
    }

    private static JsonObject Aggregated(IEnumerable<ResourceType> types) =>
        new()
        {
            ["kind"] = "APIGroupDiscoveryList",
            ["apiVersion"] = "apidiscovery.k8s.io/v2",
            ["metadata"] = new JsonObject(),
            ["items"] = new JsonArray([
                .. types
                    .GroupBy(type => type.Group)
                    .Select(group => new JsonObject
                    {
                        ["metadata"] = new JsonObject { ["name"] = group.Key, ["creationTimestamp"] = null },
                        ["versions"] = new JsonArray([
                            .. group
                                .GroupBy(type => type.Version)
                                .Select(version => new JsonObject
                                {
                                    ["version"] = version.Key,
                                    ["resources"] = new JsonArray([.. version.Select(AggregatedResource)]),
                                    ["freshness"] = "Current",
                                }),
                        ]),
                    }),
            ]),
        };

    private static JsonObject AggregatedResource(ResourceType type)
    {
        var kind = new JsonObject
        {
            ["group"] = type.Group,
            ["version"] = type.Version,
            ["kind"] = type.Kind,
        };
        var resource = new JsonObject
        {
            ["resource"] = type.Plural,
            ["responseKind"] = kind,
            ["scope"] = type.Namespaced ? "Namespaced" : "Cluster",
            ["singularResource"] = type.Singular,
            ["verbs"] = Texts(type.Verbs),
        };
        if (type.ShortNames.Count > 0)
            resource["shortNames"] = Texts(type.ShortNames);
        if (type.Categories.Count > 0)
            resource["categories"] = Texts(type.Categories);
        if (type.HasStatus)
        {
            resource["subresources"] = new JsonArray(
                new JsonObject
                {
                    ["subresource"] = "status",
                    ["responseKind"] = kind.DeepClone(),
                    ["verbs"] = new JsonArray("get", "patch", "update"),
                }
            );
        }

        return resource;
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);
}
