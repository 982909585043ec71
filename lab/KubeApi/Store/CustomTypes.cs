// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// Reads CustomResourceDefinitions (apiextensions.k8s.io/v1). Each served version becomes a <see cref="ResourceType"/>; all versions return
/// the same stored objects unchanged.
/// </summary>
internal static class CustomTypes
{
    /// <summary>Validates a definition and returns its problems.</summary>
    public static IReadOnlyList<FieldProblem> Check(JsonObject definition)
    {
        var problems = new List<FieldProblem>();
        foreach (var field in (ReadOnlySpan<string>)["group", "scope"])
        {
            if (definition.Text("spec", field).Length == 0)
                problems.Add(FieldProblem.Required($"spec.{field}"));
        }

        foreach (var field in (ReadOnlySpan<string>)["plural", "kind"])
        {
            if (definition.Text("spec", "names", field).Length == 0)
                problems.Add(FieldProblem.Required($"spec.names.{field}"));
        }

        if (definition.Text("spec", "scope") is not ("Namespaced" or "Cluster" or ""))
            problems.Add(FieldProblem.Invalid("spec.scope", definition.Text("spec", "scope"), "expected Namespaced or Cluster"));
        var versions = definition.Objects("spec", "versions").ToArray();
        if (versions.Count(version => version.Flag("storage")) != 1)
            problems.Add(
                FieldProblem.Invalid("spec.versions", $"{versions.Length}", "must have exactly one version marked as storage version")
            );
        for (var index = 0; index < versions.Length; index++)
        {
            if (versions[index].Text("name").Length == 0)
                problems.Add(FieldProblem.Required($"spec.versions[{index}].name"));
            if (versions[index].At("schema", "openAPIV3Schema") is not JsonObject)
                problems.Add(FieldProblem.Required($"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required"));
        }

        var expected = $"{definition.Text("spec", "names", "plural")}.{definition.Text("spec", "group")}";
        if (definition.Text("metadata", "name") != expected)
            problems.Add(
                FieldProblem.Invalid("metadata.name", definition.Text("metadata", "name"), "must be spec.names.plural+\".\"+spec.group")
            );
        return problems;
    }

    /// <summary>Sets the status of an accepted definition: its names are accepted and it is established.</summary>
    public static void SetStatus(JsonObject definition, DateTimeOffset now)
    {
        JsonObject Condition(string type, string reason, string message) =>
            new()
            {
                ["type"] = type,
                ["status"] = "True",
                ["lastTransitionTime"] = KubeJson.Timestamp(now),
                ["reason"] = reason,
                ["message"] = message,
            };
        var names = definition.At("spec", "names")!.DeepClone().AsObject();
        names["singular"] ??= names.Text("kind").ToLowerInvariant();
        names["listKind"] ??= names.Text("kind") + "List";
        definition["status"] = new JsonObject
        {
            ["conditions"] = new JsonArray(
                Condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                Condition("Established", "InitialNamesAccepted", "the initial names have been accepted")
            ),
            ["acceptedNames"] = names,
            ["storedVersions"] = new JsonArray([
                .. definition
                    .Objects("spec", "versions")
                    .Where(version => version.Flag("storage"))
                    .Select(version => (JsonNode)version.Text("name")),
            ]),
        };
    }

    public static IEnumerable<ResourceType> Read(JsonObject definition) =>
        definition.Objects("spec", "versions").Where(version => version.Flag("served")).Select(version => Read(definition, version));

    private static ResourceType Read(JsonObject definition, JsonObject version)
    {
        var names = definition.At("spec", "names");
        var kind = names.Text("kind");
        IReadOnlyList<PrinterColumn> columns = [.. version.Objects("additionalPrinterColumns").Select(Column)];
        return new ResourceType
        {
            Group = definition.Text("spec", "group"),
            Version = version.Text("name"),
            Plural = names.Text("plural"),
            Singular = names.Text("singular") is { Length: > 0 } singular ? singular : kind.ToLowerInvariant(),
            Kind = kind,
            ListKind = names.Text("listKind") is { Length: > 0 } list ? list : kind + "List",
            Namespaced = definition.Text("spec", "scope") == "Namespaced",
            HasStatus = version.At("subresources", "status") is not null,
            ShortNames = Texts(names.At("shortNames")),
            Categories = Texts(names.At("categories")),
            Columns = columns.Count == 0 ? [PrinterColumn.Name, PrinterColumn.Age] : [PrinterColumn.Name, .. columns],
            IsCustom = true,
            Schema = version.At("schema", "openAPIV3Schema")?.DeepClone() as JsonObject,
        };
    }

    private static IReadOnlyList<string> Texts(JsonNode? list) => [.. (list as JsonArray ?? []).Select(item => item.Text())];

    private static PrinterColumn Column(JsonObject column)
    {
        var path = column.Text("jsonPath").TrimStart('.').Split('.');
        var isDate = column.Text("type") == "date";
        return new PrinterColumn(
            column.Text("name"),
            column.Text("type"),
            (int?)column["priority"] ?? 0,
            (o, now) =>
            {
                var values = Values(o, path).ToArray();
                if (isDate)
                    return HumanDuration.Since(values is [{ } only] ? only.Text() : "", now);
                return values.Length switch
                {
                    0 => null,
                    1 => values[0]?.DeepClone() is JsonObject or JsonArray ? values[0]!.ToJsonString() : values[0]?.DeepClone(),
                    _ => string.Join(',', values.Select(value => value?.ToString())),
                };
            }
        )
        {
            Description = column.Text("description"),
        };
    }

    /// <summary>Evaluates the subset of JSONPath that columns use: names, <c>[n]</c> and <c>[*]</c>.</summary>
    private static IEnumerable<JsonNode?> Values(JsonNode? node, string[] path)
    {
        IEnumerable<JsonNode?> found = [node];
        foreach (var step in path)
        {
            var open = step.IndexOf('[', StringComparison.Ordinal);
            var name = open < 0 ? step : step[..open];
            found = found.Select(one => one.At(name));
            if (open < 0)
                continue;
            var index = step[(open + 1)..].TrimEnd(']');
            found =
                index == "*" ? found.SelectMany(one => one as JsonArray ?? [])
                : int.TryParse(index, CultureInfo.InvariantCulture, out var at)
                    ? found.Select(one => one is JsonArray array && at < array.Count ? array[at] : null)
                : [];
        }

        return found.Where(one => one is not null);
    }
}
