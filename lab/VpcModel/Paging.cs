// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Pages of a Describe call. The token contains the last id of the page and a fingerprint of the query, so that the model keeps no state
/// for it and a page boundary survives changes between the calls.
/// </summary>
internal static class Paging
{
    private const int MinResults = 5;
    private const int MaxResults = 1000;

    /// <summary>Returns the page that the query selects.</summary>
    /// <param name="query">The query with its paging parameters.</param>
    /// <param name="candidates">All matching items in a stable order.</param>
    /// <param name="key">Returns an item's id.</param>
    /// <param name="idsParameter">Name of the parameter with ids, for the error message.</param>
    public static Page<T> Paginate<T>(Query query, IEnumerable<T> candidates, Func<T, string> key, string idsParameter)
    {
        if (query.MaxResults is { } requested)
        {
            if (requested is < MinResults or > MaxResults)
                throw Ec2Faults.BadValue(
                    $"Value ( {requested} ) for parameter maxResults is invalid. Expecting a value between {MinResults} and {MaxResults}."
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

        // The last item of the previous page no longer exists: continue at its position.
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
        throw Ec2Faults.BadValue("The parameter NextToken is invalid: it does not belong to this query");
    }

    private static string Fingerprint(Query query) =>
        string.Join('\u0001', query.Filters.Select(filter => filter.Name + '\u0002' + string.Join('\u0003', filter.Values)));
}
