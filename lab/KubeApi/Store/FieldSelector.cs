// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// A field selector of a query string: <c>spec.nodeName=node-1,status.phase!=Failed</c>. It can use only fields that the kind declares
/// selectable.
/// </summary>
internal sealed class FieldSelector
{
    public static readonly FieldSelector Everything = new([]);

    private readonly IReadOnlyList<Requirement> _requirements;

    private FieldSelector(IReadOnlyList<Requirement> requirements) => _requirements = requirements;

    /// <exception cref="KubeStatusException">400: it is malformed, or uses a field that is not selectable.</exception>
    public static FieldSelector Parse(string? text, ResourceType type)
    {
        if (string.IsNullOrWhiteSpace(text))
            return Everything;
        var requirements = new List<Requirement>();
        foreach (var part in text.Split(','))
        {
            var at = part.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0)
                throw KubeStatusException.BadRequest($"invalid selector: '{text}'; can't understand '{part}'");
            var isNot = part[at - 1] == '!';
            var field = part[..(isNot ? at - 1 : at)].Trim();
            var value = part[(at + 1)..].TrimStart('=').Trim();
            if (field is not ("metadata.name" or "metadata.namespace") && !type.SelectableFields.Contains(field))
                throw KubeStatusException.BadRequest(
                    $"Unable to find \"{type.ApiVersion}, Resource={type.Plural}\" that match label selector \"\", field selector "
                        + $"\"{text}\": field label not supported: {field}"
                );
            requirements.Add(new Requirement(field.Split('.'), value, isNot));
        }

        return new FieldSelector(requirements);
    }

    public bool Matches(JsonObject o) =>
        _requirements.All(requirement => (Value(o, requirement.Path) == requirement.Value) != requirement.IsNot);

    /// <summary>Returns a field as text; an absent field is empty, an absent <c>unschedulable</c> is false.</summary>
    private static string Value(JsonObject o, string[] path)
    {
        var node = o.At(path);
        return node?.GetValueKind() switch
        {
            JsonValueKind.String => node.GetValue<string>(),
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            null => path[^1] == "unschedulable" ? "false" : "",
            _ => node.ToJsonString(),
        };
    }

    private sealed record Requirement(string[] Path, string Value, bool IsNot);
}

/// <summary>Selects objects of a kind.</summary>
/// <param name="Namespace">The namespace; null for all.</param>
internal sealed record Selection(string? Namespace, LabelSelector Labels, FieldSelector Fields)
{
    public static Selection All { get; } = new(Namespace: null, LabelSelector.Everything, FieldSelector.Everything);

    public bool Matches(ObjectKey key, JsonObject o) =>
        (Namespace is null || key.Namespace == Namespace) && Labels.Matches(o) && Fields.Matches(o);
}
