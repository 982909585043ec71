// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace VpcCni.Logging;

/// <summary>
/// Text from outside (EC2, instance metadata, Kubernetes, kernel, programs), as much of it as belongs into a log line, a reply or on a
/// screen: one line, of bounded length, without characters that control a terminal or reorder what is read (U+202A..U+202E, U+2066..U+2069
/// and the other format characters). Applied where such text enters, so that nothing behind has to.
/// </summary>
public static class Truncate
{
    /// <summary>Characters that are kept of a sentence.</summary>
    public const int Longest = 300;

    /// <summary>Characters of a code, a name or an id.</summary>
    public const int LongestWord = 100;

    /// <summary>Characters of a message of ours that quotes others: the quotation and what to do about it.</summary>
    public const int LongestMessage = 1_000;

    private const int DeepestCause = 4;
    private const string More = " ...";
    private const char Replacement = '\ufffd';

    /// <summary>The beginning of a text. Reads no more of it than it keeps.</summary>
    public static string Of(string? text, int longest = Longest)
    {
        if (string.IsNullOrEmpty(text))
            return "";
        var rest = text.AsSpan().TrimStart();
        var isCut = rest.Length > longest;
        if (!isCut)
            rest = rest.TrimEnd();
        else
            rest = rest[..(longest - More.Length)];
        if (!NeedsCleaning(rest))
            return isCut ? string.Concat(rest.TrimEnd(), More)
                : rest.Length == text.Length ? text
                : rest.ToString();

        var clean = new StringBuilder(rest.Length + More.Length);
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
        return clean.Append(More).ToString();
    }

    /// <summary>
    /// A failure with its causes, each as an excerpt, and where it was thrown: what a log shows of an exception that quotes others.
    /// </summary>
    public static string Of(Exception exception, string message)
    {
        var text = new StringBuilder(exception.GetType().FullName).Append(": ").Append(message);
        var depth = 0;
        for (var cause = exception.InnerException; cause is not null && depth < DeepestCause; cause = cause.InnerException, depth++)
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
