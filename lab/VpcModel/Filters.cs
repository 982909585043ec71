// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Lab.VpcModel;

/// <summary>The filters of one kind of resource, with the matching rules of Describe calls.</summary>
internal sealed class FilterSet<T>(
    IReadOnlyDictionary<string, Func<T, IEnumerable<string>>> names,
    Func<T, IReadOnlyDictionary<string, string>>? tags = null
)
{
    private const int MaxValues = 200;
    private const string TagPrefix = "tag:";

    /// <summary>Returns a predicate that matches all filters. Rejects unknown names, as EC2 does.</summary>
    public Func<T, bool> Compile(IReadOnlyList<Filter> filters)
    {
        var tests = filters.Select(CompileOne).ToArray();
        return item => Array.TrueForAll(tests, test => test(item));
    }

    private Func<T, bool> CompileOne(Filter filter)
    {
        if (filter.Values.Count == 0)
            throw Ec2Faults.BadValue($"The filter '{filter.Name}' has no values");
        if (filter.Values.Count > MaxValues)
            throw new Ec2FaultException(
                "FilterLimitExceeded",
                $"The maximum number of filter values specified on a single call is {MaxValues}"
            );
        var values = ValuesOf(filter.Name);
        var matches = filter.Values.Select(Matcher).ToArray();
        return item => values(item).Any(value => Array.Exists(matches, match => match(value)));
    }

    private Func<T, IEnumerable<string>> ValuesOf(string name)
    {
        if (names.TryGetValue(name, out var known))
            return known;
        if (tags is not null && name.StartsWith(TagPrefix, StringComparison.Ordinal))
        {
            var key = name[TagPrefix.Length..];
            return item => tags(item).TryGetValue(key, out var value) ? [value] : [];
        }

        return name switch
        {
            "tag-key" when tags is not null => item => tags(item).Keys,
            "tag-value" when tags is not null => item => tags(item).Values,
            _ => throw Ec2Faults.BadValue($"The filter '{name}' is invalid"),
        };
    }

    private static Func<string, bool> Matcher(string pattern)
    {
        if (pattern.AsSpan().IndexOfAny('*', '?') < 0)
            return value => string.Equals(value, pattern, StringComparison.Ordinal);
        var expression = new Regex(
            "^" + Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal) + "$",
            RegexOptions.CultureInvariant | RegexOptions.NonBacktracking | RegexOptions.Singleline
        );
        return expression.IsMatch;
    }
}
