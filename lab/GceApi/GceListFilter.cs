// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using VpcCni.Lab.GceModel;

namespace VpcCni.Lab.GceApi;

/// <summary>
/// The <c>filter</c> of a list method: comparisons of a top-level field with a value, each by itself or in parentheses, all of which must
/// match. <c>=</c> and <c>!=</c> compare; <c>eq</c> and <c>ne</c> match a regular expression against the whole value. The API's other
/// operators, OR and NOT are rejected.
/// </summary>
internal static partial class GceListFilter
{
    /// <summary>Parses a filter; null or empty matches everything.</summary>
    /// <exception cref="GceFaultException"><c>invalid</c>: the filter is malformed, or has what the lab does not support.</exception>
    public static Func<JsonObject, bool> Parse(string? filter)
    {
        if (string.IsNullOrWhiteSpace(filter))
            return _ => true;
        List<Func<JsonObject, bool>> tests = [];
        var rest = filter.Trim();
        while (rest.Length > 0)
        {
            if (Comparison().Match(rest) is not { Success: true } match)
                throw GceFaults.Invalid("filter", filter, "Expected comparisons such as: name = web (the lab supports =, !=, eq and ne).");
            tests.Add(
                Test(match.Groups["field"].Value, match.Groups["operator"].Value, match.Groups["value"].Value.Trim('"', '\''), filter)
            );
            rest = rest[match.Length..].TrimStart();
            if (rest.StartsWith("AND ", StringComparison.Ordinal))
                rest = rest[4..].TrimStart();
        }

        return item => tests.TrueForAll(test => test(item));
    }

    private static Func<JsonObject, bool> Test(string field, string comparison, string value, string filter)
    {
        string? Field(JsonObject item) => item[field] is JsonValue found ? found.ToString() : null;
        if (comparison is "=" or "!=")
            return item => string.Equals(Field(item), value, StringComparison.Ordinal) == (comparison == "=");
        try
        {
            var expression = new Regex($"^(?:{value})$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
            return item => expression.IsMatch(Field(item) ?? "") == (comparison == "eq");
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw GceFaults.Invalid("filter", filter, $"'{value}' is not a regular expression.");
        }
    }

    [GeneratedRegex(
        """^\(?\s*(?<field>[A-Za-z][A-Za-z0-9]*)\s*(?<operator>!=|=|\beq\b|\bne\b)\s*(?<value>"[^"]*"|'[^']*'|[^\s()]+(?:\([^()]*\)[^\s()]*)*)\s*\)?""",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Comparison();
}
