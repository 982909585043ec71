// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace VpcCni.Logging;

/// <summary>
/// Sanitizes text from outside (EC2, instance metadata, Kubernetes, kernel, programs) for logs, replies and screens: one line of bounded
/// length, without characters that control a terminal or reorder text (U+202A..U+202E, U+2066..U+2069 and the other format characters).
/// Applied where such text enters, so that later code need not.
/// </summary>
public static class Truncate
{
    /// <summary>Maximum length of a sentence, in characters.</summary>
    public const int Longest = 300;

    /// <summary>Maximum length of a code, a name or an id.</summary>
    public const int LongestWord = 100;

    /// <summary>Maximum length of this program's own message that quotes another text and adds advice.</summary>
    public const int LongestMessage = 1_000;

    private const int MaxCauses = 4;
    private const string Ellipsis = " ...";
    private const char Replacement = '\ufffd';

    /// <summary>Returns the beginning of a text. Reads no more of it than it returns.</summary>
    public static string Of(string? text, int longest = Longest)
    {
        if (string.IsNullOrEmpty(text))
            return "";
        var rest = text.AsSpan().TrimStart();
        var isCut = rest.Length > longest;
        if (!isCut)
            rest = rest.TrimEnd();
        else
            rest = rest[..(longest - Ellipsis.Length)];
        if (!NeedsCleaning(rest))
            return isCut ? string.Concat(rest.TrimEnd(), Ellipsis)
                : rest.Length == text.Length ? text
                : rest.ToString();

        var clean = new StringBuilder(rest.Length + Ellipsis.Length);
        foreach (var rune in rest.EnumerateRunes())
        {
            var isBreak =
                Rune.GetUnicodeCategory(rune)
                is UnicodeCategory.Control
                    or UnicodeCategory.LineSeparator
                    or UnicodeCategory.ParagraphSeparator;
            if (!isBreak)
                clean.Append(IsPlain(rune) ? rune.ToString() : Replacement.ToString());
            else if (clean.Length > 0 && clean[^1] != ' ')
                clean.Append(' ');
        }

        if (!isCut)
            return clean.ToString();
        while (clean.Length > 0 && clean[^1] is ' ' or Replacement)
            clean.Length--;
        return clean.Append(Ellipsis).ToString();
    }

    /// <summary>Formats an exception that quotes other texts, with its truncated causes and its stack trace.</summary>
    public static string Of(Exception exception, string message)
    {
        var text = new StringBuilder(exception.GetType().FullName).Append(": ").Append(message);
        var depth = 0;
        for (var cause = exception.InnerException; cause is not null && depth < MaxCauses; cause = cause.InnerException, depth++)
            text.Append(" <- ").Append(cause.GetType().FullName).Append(": ").Append(Of(cause.Message));
        if (exception.StackTrace is { } trace)
            text.AppendLine().Append(trace);
        return text.ToString();
    }

    private static bool NeedsCleaning(ReadOnlySpan<char> text)
    {
        foreach (var character in text)
        {
            if (character is < ' ' or > '~')
                return true;
        }

        return false;
    }

    private static bool IsPlain(Rune rune) =>
        rune != Rune.ReplacementChar
        && Rune.GetUnicodeCategory(rune)
            is not (UnicodeCategory.Format or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.Surrogate);
}
