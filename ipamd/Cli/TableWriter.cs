// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Builds text for a terminal of 80 columns: labels on the left, wrapped text beside them. Only <see cref="WriteRow"/> can write a longer
/// line.
/// </summary>
internal sealed class TableWriter
{
    public const int Width = 80;

    private readonly StringBuilder _text = new();

    public override string ToString() => _text.ToString();

    /// <summary>Writes text, wrapped.</summary>
    public void WriteText(string words = "") => WriteLabeled("", indent: 0, words);

    /// <summary>Writes a row of a table; the caller is responsible for its width.</summary>
    public void WriteRow(string row) => _text.Append(row.TrimEnd()).Append('\n');

    /// <summary>Writes a label and, from a column on, wrapped text.</summary>
    public void WriteLabeled(string label, int indent, string words)
    {
        var lines = Wrap(Printable(words), Width - indent);
        for (var index = 0; index < lines.Count; index++)
        {
            // A long label gets a line of its own.
            if (index == 0 && label.Length >= indent && indent > 0)
            {
                WriteRow(label);
                label = "";
            }

            WriteRow((index == 0 ? label : "").PadRight(indent) + lines[index]);
        }
    }

    /// <summary>Wraps at spaces; splits a word that is longer than a line.</summary>
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

    /// <summary>Escapes line ends and control characters, which messages of other programs may contain.</summary>
    private static string Printable(string words) => Truncate.Of(words, int.MaxValue);
}
