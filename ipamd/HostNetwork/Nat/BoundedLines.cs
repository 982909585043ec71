// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>Selects lines of a program's output.</summary>
internal delegate bool LineFilter(ReadOnlySpan<char> line);

/// <summary>
/// Reads text of any size line by line and keeps the selected lines; others are not allocated as strings.
/// </summary>
internal static class BoundedLines
{
    /// <summary>Most characters of a line; the rest is dropped. No rule or set element is longer.</summary>
    internal const int MaxLine = 64 * 1024;

    private const int BufferCharacters = 16 * 1024;

    /// <param name="reader">The text.</param>
    /// <param name="keep">Selects the lines; null for all.</param>
    /// <param name="limit">Most characters to keep.</param>
    /// <param name="cancellationToken">Cancels the read.</param>
    /// <returns>The lines, each with its end, and whether none is missing.</returns>
    public static async Task<(string Kept, bool IsWhole)> ReadAsync(
        TextReader reader,
        LineFilter? keep,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var (buffer, kept, isWhole) = (new char[BufferCharacters], new StringBuilder(), true);
        // The part of a line in earlier buffers.
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
