// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// Validates custom resources against the structural schema of their definition: types, required fields, enumerations, patterns, and limits
/// of lengths and numbers. Prunes fields that the schema does not define, as the API server does. CEL rules, defaults and combinators are
/// not supported.
/// </summary>
internal static class StructuralSchema
{
    private static readonly TimeSpan PatternDeadline = TimeSpan.FromMilliseconds(200);

    /// <summary>Prunes an object, validates the rest, and returns the problems.</summary>
    /// <param name="schema">The structural schema.</param>
    /// <param name="o">The object, which is changed.</param>
    /// <param name="unknown">Receives the paths of the pruned fields.</param>
    public static IReadOnlyList<FieldProblem> Check(JsonObject schema, JsonObject o, ICollection<string> unknown)
    {
        var problems = new List<FieldProblem>();
        Check(schema, o, path: "", isRoot: true, problems, unknown);
        return problems;
    }

    private static void Check(
        JsonObject schema,
        JsonNode? value,
        string path,
        bool isRoot,
        List<FieldProblem> problems,
        ICollection<string> unknown
    )
    {
        if (value is null || value.GetValueKind() == JsonValueKind.Null)
        {
            if (!schema.Flag("nullable") && !isRoot)
                problems.Add(FieldProblem.WrongType(path, "null", $"{path} in body must be of type {schema.Text("type")}: \"null\""));
            return;
        }

        var type = schema.Text("type");
        var actual = KubeJson.Describe(value);
        var isIntOrString = schema.Flag("x-kubernetes-int-or-string") && actual is "integer" or "string";
        if (type.Length > 0 && type != actual && !(type == "number" && actual == "integer") && !isIntOrString)
        {
            problems.Add(FieldProblem.WrongType(path, actual, $"{path} in body must be of type {type}: \"{actual}\""));
            return;
        }

        CheckValue(schema, value, path, problems);
        if (value is JsonObject o)
            CheckObject(schema, o, path, isRoot, problems, unknown);
        if (value is JsonArray array && schema["items"] is JsonObject items)
        {
            for (var index = 0; index < array.Count; index++)
                Check(items, array[index], $"{path}[{index}]", isRoot: false, problems, unknown);
        }
    }

    private static void CheckObject(
        JsonObject schema,
        JsonObject o,
        string path,
        bool isRoot,
        List<FieldProblem> problems,
        ICollection<string> unknown
    )
    {
        foreach (var name in schema["required"] as JsonArray ?? [])
        {
            if (!o.ContainsKey(name.Text()))
                problems.Add(FieldProblem.Required(Join(path, name.Text())));
        }

        var properties = schema["properties"] as JsonObject ?? [];
        foreach (var (name, value) in o.ToArray())
        {
            // Every object has these, even if its schema does not define them.
            if (isRoot && name is "apiVersion" or "kind" or "metadata")
                continue;
            if (properties[name] is JsonObject property)
                Check(property, value, Join(path, name), isRoot: false, problems, unknown);
            else if (schema["additionalProperties"] is JsonObject additional)
                Check(additional, value, Join(path, name), isRoot: false, problems, unknown);
            else if (!schema.Flag("x-kubernetes-preserve-unknown-fields") && !schema.Flag("additionalProperties"))
            {
                unknown.Add(Join(path, name));
                o.Remove(name);
            }
        }
    }

    private static void CheckValue(JsonObject schema, JsonNode value, string path, List<FieldProblem> problems)
    {
        if (schema["enum"] is JsonArray allowed && !allowed.Any(one => JsonNode.DeepEquals(one, value)))
            problems.Add(
                new FieldProblem(
                    path,
                    "FieldValueNotSupported",
                    $"Unsupported value: {value.ToJsonString()}: supported values: "
                        + $"{string.Join(", ", allowed.Select(one => one?.ToJsonString()))}"
                )
            );
        var size = value switch
        {
            JsonArray array => array.Count,
            _ when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>().Length,
            _ => (int?)null,
        };
        var (least, most) = value is JsonArray ? ("minItems", "maxItems") : ("minLength", "maxLength");
        if (size is { } length)
        {
            if (Number(schema[least]) is { } lower && length < lower)
                problems.Add(
                    FieldProblem.Invalid(
                        path,
                        Show(value),
                        $"{path} in body should have at least {lower} {(value is JsonArray ? "items" : "chars long")}"
                    )
                );
            if (Number(schema[most]) is { } upper && length > upper)
                problems.Add(
                    FieldProblem.Invalid(
                        path,
                        Show(value),
                        $"{path} in body should have at most {upper} {(value is JsonArray ? "items" : "chars long")}"
                    )
                );
        }

        if (value.GetValueKind() == JsonValueKind.Number && Number(value) is { } number)
        {
            if (Number(schema["minimum"]) is { } lower && number < lower)
                problems.Add(FieldProblem.Invalid(path, Show(value), $"{path} in body should be greater than or equal to {lower}"));
            if (Number(schema["maximum"]) is { } upper && number > upper)
                problems.Add(FieldProblem.Invalid(path, Show(value), $"{path} in body should be less than or equal to {upper}"));
        }

        if (
            schema.Text("pattern") is { Length: > 0 } pattern
            && value.GetValueKind() == JsonValueKind.String
            && !Regex.IsMatch(value.GetValue<string>(), pattern, RegexOptions.CultureInvariant, PatternDeadline)
        )
            problems.Add(FieldProblem.Invalid(path, Show(value), $"{path} in body should match '{pattern}'"));
    }

    private static double? Number(JsonNode? node) => node?.GetValueKind() == JsonValueKind.Number ? node.Deserialize<double>() : null;

    private static string Show(JsonNode value) =>
        value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : value.ToJsonString();

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";
}
