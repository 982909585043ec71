// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;
using VpcCni.Chart.Tests;

namespace VpcCni.EndToEnd.Tests.Docs;

/// <summary>A fenced code block of a page.</summary>
/// <param name="Page">Path of the page in the repository.</param>
/// <param name="Line">Line of the opening fence.</param>
/// <param name="Info">Info string of the fence: the language, and for commands where they run.</param>
/// <param name="Text">Content without the indentation of the fence.</param>
internal sealed record DocumentedBlock(string Page, int Line, string Info, string Text)
{
    public override string ToString() => $"{Page}:{Line}";

    /// <summary>The lines of a shell block, without comments and with continuation lines joined.</summary>
    public IEnumerable<string> Commands =>
        Text.Replace("\\\n", " ", StringComparison.Ordinal)
            .Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(line => line[0] != '#');
}

/// <summary>Reads the fenced code blocks of the documentation, https://spec.commonmark.org/0.31.2/#fenced-code-blocks.</summary>
internal static partial class Documentation
{
    public static IReadOnlyList<DocumentedBlock> Blocks { get; } =
    [.. Pages().SelectMany(page => Read(page, File.ReadAllLines(Path.Combine(HelmRenderer.Repository, page))))];

    /// <summary>Returns README.md and the pages of docs/ without docs/adr, which has no commands to run.</summary>
    public static IEnumerable<string> Pages() =>
        Directory
            .EnumerateFiles(Path.Combine(HelmRenderer.Repository, "docs"), "*.md")
            .Select(path => $"docs/{Path.GetFileName(path)}")
            .Order(StringComparer.Ordinal)
            .Prepend("README.md");

    public static IEnumerable<DocumentedBlock> Read(string page, string[] lines)
    {
        for (var index = 0; index < lines.Length; index++)
        {
            if (Fence().Match(lines[index]) is not { Success: true } open)
                continue;
            var indent = open.Groups["indent"].Value;
            var start = index;
            List<string> text = [];
            for (index++; index < lines.Length && !Fence().IsMatch(lines[index]); index++)
                text.Add(lines[index].StartsWith(indent, StringComparison.Ordinal) ? lines[index][indent.Length..] : lines[index]);
            if (index == lines.Length)
                throw new InvalidOperationException($"{page}:{start + 1}: the block has no end");
            yield return new DocumentedBlock(page, start + 1, open.Groups["info"].Value.Trim(), string.Join('\n', text));
        }
    }

    [GeneratedRegex("^(?<indent> *)```(?<info>[^`]*)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Fence();
}
