// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>Finds the likely intended name for a misspelt one.</summary>
internal static class Spelling
{
    /// <summary>Returns the names within <paramref name="within"/> edits, nearest first; case-insensitive.</summary>
    public static IEnumerable<string> Near(string name, IEnumerable<string> names, int within) =>
        names
            .Select(other => (Name: other, Distance: Distance(name, other)))
            .Where(item => item.Distance <= within)
            .OrderBy(item => item.Distance)
            .ThenBy(item => item.Name, StringComparer.Ordinal)
            .Select(item => item.Name);

    /// <summary>The Levenshtein distance, case-insensitive.</summary>
    internal static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var changed = diagonal + (char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(changed, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
