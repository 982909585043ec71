// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>Reads text to its end line by line and keeps what matters of it, whatever its size.</summary>
internal static class BoundedLines
{
    /// <summary>Of longer lines the rest is dropped; a rule or an element of a set never has as much.</summary>
    private const int MaxLine = 64 * 1024;

    private const int BufferCharacters = 16 * 1024;

    /// <param name="reader">The text.</param>
    /// <param name="keep">Which lines; null: all.</param>
    /// <param name="limit">Characters that are kept.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The lines, each with its end, and whether they are all there.</returns>
    public static async Task<(string Kept, bool IsWhole)> ReadAsync(TextReader reader, Func<string, bool>? keep, int limit, CancellationToken cancellationToken)
    {
        var buffer = new char[BufferCharacters];
        var (kept, line) = (new StringBuilder(), new StringBuilder());
        var isWhole = true;
        while (await reader.ReadAsync(buffer.AsMemory(), cancellationToken) is var count and > 0)
        {
            for (var start = 0; start < count;)
            {
                var end = Array.IndexOf(buffer, '\n', start, count - start);
                var part = buffer.AsSpan(start, (end < 0 ? count : end) - start);
                line.Append(part[..Math.Min(part.Length, MaxLine - line.Length)]);
                if (end >= 0) Take();
                start = end < 0 ? count : end + 1;
            }
        }

        if (line.Length > 0) Take();
        return (kept.ToString(), isWhole);

        void Take()
        {
            var text = line.ToString();
            line.Clear();
            if (keep is not null && !keep(text)) return;
            isWhole &= kept.Length + text.Length < limit;
            if (isWhole) kept.Append(text).Append('\n');
        }
    }
}
