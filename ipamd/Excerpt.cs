// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd;

/// <summary>What others say (programs, exceptions), as much of it as belongs into a log line or on a screen.</summary>
internal static class Excerpt
{
    /// <summary>Characters that are kept.</summary>
    public const int Longest = 300;

    private const string More = " ...";

    public static string Of(string text)
    {
        text = text.Trim();
        return text.Length <= Longest ? text : string.Concat(text.AsSpan(0, Longest - More.Length).TrimEnd(), More);
    }
}
