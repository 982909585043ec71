// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>JSON patch (RFC 6902) with JSON pointers (RFC 6901).</summary>
internal static class JsonPatch
{
    /// <summary>The API server's limit.</summary>
    private const int MaxOperations = 10_000;

    /// <summary>Applies a patch to an object, which it changes, and returns the result.</summary>
    /// <exception cref="KubeStatusException">400: the patch is malformed; 422: a test failed or a path does not exist.</exception>
    public static JsonObject Apply(JsonObject target, JsonNode? patch)
    {
        if (patch is not JsonArray operations || operations.Count > MaxOperations)
            throw KubeStatusException.BadRequest($"a JSON patch must be an array of at most {MaxOperations} operations");
        JsonNode? root = target;
        foreach (var operation in operations)
            root = ApplyOne(
                root,
                operation as JsonObject ?? throw KubeStatusException.BadRequest("an operation of a JSON patch must be an object")
            );
        return root as JsonObject ?? throw Unprocessable("the result of the patch is not an object");
    }

    private static JsonNode? ApplyOne(JsonNode? root, JsonObject operation)
    {
        var path = Pointer(operation, "path");
        switch (operation.Text("op"))
        {
            case "add":
                return Add(root, path, Value(operation));
            case "remove":
                return Remove(root, path, out _);
            case "replace":
                _ = Find(root, path);
                return path.Length == 0 ? Value(operation) : Add(Remove(root, path, out _), path, Value(operation));
            case "move":
                var without = Remove(root, Pointer(operation, "from"), out var moved);
                return Add(without, path, moved);
            case "copy":
                return Add(root, path, Find(root, Pointer(operation, "from"))?.DeepClone());
            case "test":
                return JsonNode.DeepEquals(Find(root, path), operation["value"])
                    ? root
                    : throw Unprocessable($"testing value /{string.Join('/', path)} failed");
            default:
                throw KubeStatusException.BadRequest($"'{operation.Text("op")}' is not an operation of a JSON patch");
        }
    }

    private static JsonNode? Value(JsonObject operation) =>
        operation.ContainsKey("value")
            ? operation["value"]?.DeepClone()
            : throw KubeStatusException.BadRequest("the operation has no value");

    private static string[] Pointer(JsonObject operation, string name)
    {
        if (operation[name] is not JsonValue value || !value.TryGetValue<string>(out var text))
            throw KubeStatusException.BadRequest($"an operation of the JSON patch has no '{name}'");
        if (text.Length == 0)
            return [];
        if (text[0] != '/')
            throw KubeStatusException.BadRequest($"'{text}' is not a JSON pointer");
        return
        [
            .. text[1..]
                .Split('/')
                .Select(part => part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)),
        ];
    }

    private static JsonNode? Find(JsonNode? root, ReadOnlySpan<string> path)
    {
        foreach (var part in path)
        {
            root = root switch
            {
                JsonObject o when o.TryGetPropertyValue(part, out var next) => next,
                JsonArray array => array[Index(array, part, allowEnd: false)],
                _ => throw Unprocessable($"'{part}' does not exist"),
            };
        }

        return root;
    }

    private static JsonNode? Add(JsonNode? root, string[] path, JsonNode? value)
    {
        if (path.Length == 0)
            return value;
        switch (Find(root, path.AsSpan(..^1)))
        {
            case JsonObject o:
                o[path[^1]] = value;
                return root;
            case JsonArray array:
                array.Insert(Index(array, path[^1], allowEnd: true), value);
                return root;
            default:
                throw Unprocessable($"'/{string.Join('/', path)}' has no parent that is an object or array");
        }
    }

    private static JsonNode? Remove(JsonNode? root, string[] path, out JsonNode? removed)
    {
        if (path.Length == 0)
            throw Unprocessable("the whole object cannot be removed");
        removed = Find(root, path);
        switch (Find(root, path.AsSpan(..^1)))
        {
            case JsonObject o:
                o.Remove(path[^1]);
                break;
            case JsonArray array:
                array.RemoveAt(Index(array, path[^1], allowEnd: false));
                break;
            default:
                throw Unprocessable("the parent is not an object or array");
        }

        return root;
    }

    private static int Index(JsonArray array, string part, bool allowEnd)
    {
        if (part == "-" && allowEnd)
            return array.Count;
        return
            int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < array.Count + (allowEnd ? 1 : 0)
            ? index
            : throw Unprocessable($"'{part}' is not an index of an array of length {array.Count}");
    }

    private static KubeStatusException Unprocessable(string why) =>
        new(
            System.Net.HttpStatusCode.UnprocessableEntity,
            "Invalid",
            $"the server rejected our request due to an error in our request: {why}"
        )
        {
            Details = [],
        };
}
