// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>Whether a line of a program's output is of any use.</summary>
internal delegate bool LineFilter(ReadOnlySpan<char> line);

/// <summary>
/// Reads text to its end line by line and keeps what matters of it, whatever its size; the rest is not even made a string.
/// </summary>
internal static class BoundedLines
{
    /// <summary>Of longer lines the rest is dropped; a rule or an element of a set never has as much.</summary>
    internal const int MaxLine = 64 * 1024;

    private const int BufferCharacters = 16 * 1024;

    /// <param name="reader">The text.</param>
    /// <param name="keep">Which lines; null: all.</param>
    /// <param name="limit">Characters that are kept.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The lines, each with its end, and whether they are all there.</returns>
    public static async Task<(string Kept, bool IsWhole)> ReadAsync(
        TextReader reader,
        LineFilter? keep,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var (buffer, kept, isWhole) = (new char[BufferCharacters], new StringBuilder(), true);
        // What a line had in earlier buffers.
        var begun = new StringBuilder();
        while (await reader.ReadAsync(buffer.AsMemory(), cancellationToken) is var count and > 0)
        {
            var rest = buffer.AsMemory(0, count);
            while (rest.Span.IndexOf('\n') is var end and >= 0)
            {
                if (begun.Length == 0)
                    Take(rest.Span[..end]);
                else
                    TakeBegun(rest.Span[..end]);
                rest = rest[(end + 1)..];
            }

            Begin(rest.Span);
        }

        if (begun.Length > 0)
            TakeBegun([]);
        return (kept.ToString(), isWhole);

        void Begin(ReadOnlySpan<char> part) => begun.Append(part[..Math.Min(part.Length, MaxLine - begun.Length)]);

        void TakeBegun(ReadOnlySpan<char> part)
        {
            Begin(part);
            Take(begun.ToString());
            begun.Clear();
        }

        void Take(ReadOnlySpan<char> line)
        {
            if (keep is not null && !keep(line))
                return;
            isWhole &= kept.Length + line.Length < limit;
            if (isWhole)
                kept.Append(line).Append('\n');
        }
    }
}
