// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Pages of a Describe call. The token names the id after which to go on and the query that it belongs to, so that the model keeps no state
/// for it and a page boundary survives changes in between.
/// </summary>
internal static class Paging
{
    private const int MinResults = 5;
    private const int MaxResults = 1000;

    /// <param name="candidates">All matching items in a stable order.</param>
    public static Page<T> Cut<T>(Query query, IEnumerable<T> candidates, Func<T, string> key, string idsParameter)
    {
        if (query.MaxResults is { } asked)
        {
            if (asked is < MinResults or > MaxResults)
                throw Ec2Faults.BadValue(
                    $"Value ( {asked} ) for parameter maxResults is invalid. Expecting a value between {MinResults} and {MaxResults}."
                );
            if (query.Ids.Count != 0)
                throw Ec2Faults.BadCombination($"The parameter {idsParameter} cannot be used with the parameter maxResults");
        }

        var items = candidates.ToList();
        var start = query.NextToken is { } token ? IndexAfter(items, key, token, query) : 0;
        var limit = query.MaxResults ?? MaxResults;
        if (query.MaxResults is null && query.NextToken is null)
            return new Page<T>(items, NextToken: null);
        var page = items.Skip(start).Take(limit).ToList();
        return new Page<T>(page, start + page.Count < items.Count ? Encode(start + page.Count, key(page[^1]), query) : null);
    }

    private static int IndexAfter<T>(List<T> items, Func<T, string> key, string token, Query query)
    {
        var (position, lastKey) = Decode(token, query);
        var index = items.FindIndex(item => string.Equals(key(item), lastKey, StringComparison.Ordinal));

        // The item that ended the last page is gone: go on at its place.
        return index >= 0 ? index + 1 : Math.Min(Math.Max(position - 1, 0), items.Count);
    }

    private static string Encode(int position, string lastKey, Query query) =>
        Convert.ToBase64String(
            Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{position}\n{lastKey}\n{Fingerprint(query)}"))
        );

    private static (int Position, string LastKey) Decode(string token, Query query)
    {
        var bytes = new byte[token.Length];
        if (
            Convert.TryFromBase64String(token, bytes, out var written)
            && Encoding.UTF8.GetString(bytes, 0, written).Split('\n', 3) is [var position, var key, var fingerprint]
            && int.TryParse(position, CultureInfo.InvariantCulture, out var number)
            && string.Equals(fingerprint, Fingerprint(query), StringComparison.Ordinal)
        )
            return (number, key);
        throw Ec2Faults.BadValue("The parameter NextToken is invalid: it is not one that this query gave");
    }

    private static string Fingerprint(Query query) =>
        string.Join('\u0001', query.Filters.Select(filter => filter.Name + '\u0002' + string.Join('\u0003', filter.Values)));
}
