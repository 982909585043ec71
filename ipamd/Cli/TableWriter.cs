// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Text for a terminal of 80 columns: labels on the left, words wrapped beside them. No line is longer, whatever a message brings along.
/// </summary>
internal sealed class TableWriter
{
    public const int Width = 80;

    private readonly StringBuilder _text = new();

    public override string ToString() => _text.ToString();

    /// <summary>A line of its own; wrapped from its beginning.</summary>
    public void Line(string words = "") => Beside("", indent: 0, words);

    /// <summary>A row of a table, of which the caller has seen to the width.</summary>
    public void Row(string row) => _text.Append(row.TrimEnd()).Append('\n');

    /// <summary>A label, and words that begin in a column and go on there.</summary>
    public void Beside(string label, int indent, string words)
    {
        var lines = Wrap(Printable(words), Width - indent);
        for (var index = 0; index < lines.Count; index++)
        {
            // A label that is too long has a line to itself.
            if (index == 0 && label.Length >= indent && indent > 0)
            {
                Row(label);
                label = "";
            }

            Row((index == 0 ? label : "").PadRight(indent) + lines[index]);
        }
    }

    /// <summary>At spaces; a word that is longer than a line is cut.</summary>
    internal static IReadOnlyList<string> Wrap(string words, int width)
    {
        List<string> lines = [];
        var line = new StringBuilder();
        foreach (var part in words.Split(' '))
        {
            var word = part;
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                lines.Add(line.ToString());
                line.Clear();
            }

            while (word.Length > width)
            {
                lines.Add(word[..width]);
                word = word[width..];
            }

            if (line.Length > 0)
                line.Append(' ');
            line.Append(word);
        }

        lines.Add(line.ToString());
        return lines;
    }

    /// <summary>Messages of others may have line ends and worse in them.</summary>
    private static string Printable(string words) => Truncate.Of(words, int.MaxValue);
}
