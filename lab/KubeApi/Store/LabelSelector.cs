// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// A label selector of a query string: <c>a=b,c!=d,e in (f,g),h notin (i),j,!k</c>
/// (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors).
/// </summary>
internal sealed class LabelSelector
{
    public static readonly LabelSelector Everything = new([]);

    private readonly IReadOnlyList<Requirement> _requirements;

    private LabelSelector(IReadOnlyList<Requirement> requirements) => _requirements = requirements;

    /// <exception cref="KubeStatusException">400: it is malformed.</exception>
    public static LabelSelector Parse(string? text) =>
        string.IsNullOrWhiteSpace(text) ? Everything : new LabelSelector([.. Split(text).Select(part => ParseOne(part.Trim(), text))]);

    public bool Matches(JsonObject o)
    {
        var labels = o["metadata"]?["labels"] as JsonObject;
        return _requirements.All(requirement =>
        {
            var present = labels?.ContainsKey(requirement.Key) ?? false;
            var value = labels.Text(requirement.Key);
            return requirement.Operator switch
            {
                Operator.In => present && requirement.Values.Contains(value),
                Operator.NotIn => !present || !requirement.Values.Contains(value),
                Operator.Exists => present,
                Operator.Absent => !present,
                _ => throw new InvalidOperationException($"operator {requirement.Operator}"),
            };
        });
    }

    /// <summary>Splits at commas outside parentheses.</summary>
    private static IEnumerable<string> Split(string text)
    {
        int start = 0,
            depth = 0;
        for (var index = 0; index < text.Length; index++)
        {
            if (text[index] == '(')
                depth++;
            else if (text[index] == ')')
                depth--;
            else if (text[index] == ',' && depth == 0)
            {
                yield return text[start..index];
                start = index + 1;
            }
        }

        yield return text[start..];
    }

    private static Requirement ParseOne(string part, string whole)
    {
        if (part.EndsWith(')'))
        {
            var open = part.IndexOf('(', StringComparison.Ordinal);
            var words = open < 0 ? [] : part[..open].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            string[] values = open < 0 ? [] : [.. part[(open + 1)..^1].Split(',').Select(value => value.Trim())];
            if (words is [var name, "in" or "notin"])
                return new Requirement(Key(name, whole), words[1] == "in" ? Operator.In : Operator.NotIn, values);
            throw Malformed(whole, part);
        }

        if (part.StartsWith('!'))
            return new Requirement(Key(part[1..].Trim(), whole), Operator.Absent, []);
        foreach (var (sign, kind) in ((string, Operator)[])[("!=", Operator.NotIn), ("==", Operator.In), ("=", Operator.In)])
        {
            var at = part.IndexOf(sign, StringComparison.Ordinal);
            if (at >= 0)
                return new Requirement(Key(part[..at].Trim(), whole), kind, [part[(at + sign.Length)..].Trim()]);
        }

        return new Requirement(Key(part, whole), Operator.Exists, []);
    }

    private static string Key(string key, string whole) =>
        key.Length > 0 && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/') ? key : throw Malformed(whole, key);

    private static KubeStatusException Malformed(string whole, string part) =>
        KubeStatusException.BadRequest($"unable to parse requirement in label selector \"{whole}\" at \"{part}\"");

    private enum Operator
    {
        In,
        NotIn,
        Exists,
        Absent,
    }

    private sealed record Requirement(string Key, Operator Operator, IReadOnlyList<string> Values);
}
