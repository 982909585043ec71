// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Validates what the API server requires of objects of every kind: their names, labels and annotations.</summary>
internal static class ObjectRules
{
    private const int MaxName = 253;
    private const int MaxLabel = 63;

    /// <summary>Maximum size of an object's annotations, keys and values (k8s.io/apimachinery, TotalAnnotationSizeLimitB).</summary>
    private const int MaxAnnotations = 256 * 1024;

    public static IReadOnlyList<FieldProblem> Check(JsonObject o)
    {
        var problems = new List<FieldProblem>();
        var name = o.Text("metadata", "name");
        if (!IsSubdomain(name))
        {
            problems.Add(
                FieldProblem.Invalid(
                    "metadata.name",
                    name,
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
                        + "and end with an alphanumeric character"
                )
            );
        }

        foreach (var (key, value) in TextMap(o, "labels", problems))
        {
            if (!IsQualifiedName(key))
                problems.Add(
                    FieldProblem.Invalid(
                        "metadata.labels",
                        key,
                        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                            + "alphanumeric character"
                    )
                );
            if (value.Length > 0 && !IsNamePart(value))
                problems.Add(
                    FieldProblem.Invalid(
                        "metadata.labels",
                        value,
                        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
                            + "start and end with an alphanumeric character"
                    )
                );
        }

        var size = 0;
        foreach (var (key, value) in TextMap(o, "annotations", problems))
        {
            if (!IsQualifiedName(key.ToLowerInvariant()))
                problems.Add(
                    FieldProblem.Invalid("metadata.annotations", key, "name part must consist of alphanumeric characters, '-', '_' or '.'")
                );
            size += key.Length + value.Length;
        }

        if (size > MaxAnnotations)
            problems.Add(
                new FieldProblem("metadata.annotations", "FieldValueTooLong", $"Too long: may not be more than {MaxAnnotations} bytes")
            );
        return problems;
    }

    private static IEnumerable<(string Key, string Value)> TextMap(JsonObject o, string name, List<FieldProblem> problems)
    {
        switch (o["metadata"]?[name])
        {
            case null:
                yield break;
            case JsonObject map:
                foreach (var (key, value) in map)
                {
                    if (value?.GetValueKind() == JsonValueKind.String)
                        yield return (key, value.GetValue<string>());
                    else
                        problems.Add(
                            FieldProblem.WrongType($"metadata.{name}", KubeJson.Describe(value), $"the value of {key} must be a string")
                        );
                }

                break;
            case var other:
                problems.Add(FieldProblem.WrongType($"metadata.{name}", KubeJson.Describe(other), "must be an object"));
                break;
        }
    }

    private static bool IsSubdomain(string name) =>
        name.Length is > 0 and <= MaxName
        && name.Split('.')
            .All(part =>
                part.Length > 0
                && char.IsAsciiLetterOrDigit(part[0])
                && char.IsAsciiLetterOrDigit(part[^1])
                && part.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')
            );

    private static bool IsQualifiedName(string key) =>
        key.Split('/') switch
        {
            [var name] => IsNamePart(name),
            [var prefix, var name] => IsSubdomain(prefix) && IsNamePart(name),
            _ => false,
        };

    private static bool IsNamePart(string text) =>
        text.Length is > 0 and <= MaxLabel
        && char.IsAsciiLetterOrDigit(text[0])
        && char.IsAsciiLetterOrDigit(text[^1])
        && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}
