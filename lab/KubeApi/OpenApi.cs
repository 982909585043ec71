// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// The OpenAPI documents that <c>kubectl apply</c> needs: PATCH with <c>fieldValidation</c>, so that kubectl leaves validation to the
/// server, and the schemas of custom resources. They do not describe strategic merge, so kubectl uses its own types of the built-in kinds.
/// </summary>
internal static class OpenApi
{
    public const string PathPrefix = "/openapi";

    /// <summary>Returns the document at a path and its media type; null if there is none.</summary>
    public static (byte[] Body, string ContentType)? FindDocument(string path, string accept, IReadOnlyList<ResourceType> types)
    {
        var parts = path.Trim('/').Split('/');
        switch (parts)
        {
            // kubectl before 1.24 reads version 2 as protobuf. An empty message is a document without definitions, and kubectl does not
            // validate kinds without definitions.
            case ["openapi", "v2"] when accept.Contains("protobuf", StringComparison.Ordinal):
                return ([], "application/octet-stream");
            case ["openapi", "v2"]:
                return Json(
                    new JsonObject
                    {
                        ["swagger"] = "2.0",
                        ["info"] = Info(),
                        ["paths"] = new JsonObject(),
                        ["definitions"] = new JsonObject(),
                    }
                );
            case ["openapi", "v3"]:
                var groups = types.Select(PathOf).Distinct().Order(StringComparer.Ordinal);
                return Json(
                    new JsonObject
                    {
                        ["paths"] = new JsonObject(
                            groups.Select(group =>
                                KeyValuePair.Create<string, JsonNode?>(
                                    group,
                                    new JsonObject { ["serverRelativeURL"] = $"/openapi/v3/{group}" }
                                )
                            )
                        ),
                    }
                );
            case ["openapi", "v3", .. var rest]:
                ResourceType[] selected = [.. types.Where(type => PathOf(type) == string.Join('/', rest))];
                return selected.Length == 0 ? null : Json(Document(selected));
            default:
                return null;
        }
    }

    private static (byte[], string) Json(JsonObject document) =>
        (System.Text.Encoding.UTF8.GetBytes(KubeJson.Write(document)), "application/json");

    private static string PathOf(ResourceType type) => type.Group.Length == 0 ? $"api/{type.Version}" : $"apis/{type.ApiVersion}";

    private static JsonObject Info() => new() { ["title"] = "vpc-lab", ["version"] = "v1.32.4" };

    private static JsonObject Document(IReadOnlyList<ResourceType> types)
    {
        var paths = new JsonObject();
        var schemas = new JsonObject();
        foreach (var type in types)
        {
            paths[$"/{PathOf(type)}/{(type.Namespaced ? "namespaces/{namespace}/" : "")}{type.Plural}/{{name}}"] = new JsonObject
            {
                ["patch"] = new JsonObject
                {
                    ["operationId"] = $"patch{type.Kind}",
                    ["parameters"] = new JsonArray([
                        .. ((string[])["dryRun", "fieldManager", "fieldValidation", "force"]).Select(name => new JsonObject
                        {
                            ["name"] = name,
                            ["in"] = "query",
                            ["schema"] = new JsonObject { ["type"] = name == "force" ? "boolean" : "string" },
                        }),
                    ]),
                    ["responses"] = new JsonObject { ["200"] = new JsonObject { ["description"] = "OK" } },
                    ["x-kubernetes-action"] = "patch",
                    ["x-kubernetes-group-version-kind"] = KindOf(type),
                },
            };
            var schema =
                type.Schema?.DeepClone() as JsonObject
                ?? new JsonObject { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true };
            schema["x-kubernetes-group-version-kind"] = new JsonArray(KindOf(type));
            schemas[$"{string.Join('.', type.Group.Split('.').Reverse())}.{type.Version}.{type.Kind}".TrimStart('.')] = schema;
        }

        return new JsonObject
        {
            ["openapi"] = "3.0.0",
            ["info"] = Info(),
            ["paths"] = paths,
            ["components"] = new JsonObject { ["schemas"] = schemas },
        };
    }

    private static JsonObject KindOf(ResourceType type) =>
        new()
        {
            ["group"] = type.Group,
            ["version"] = type.Version,
            ["kind"] = type.Kind,
        };
}
