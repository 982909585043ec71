// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Validates names of cluster objects.</summary>
internal static class ObjectName
{
    /// <summary>Maximum length of a DNS subdomain (RFC 1123).</summary>
    private const int Longest = 253;

    /// <summary>
    /// Whether a text is a valid name. Annotations and values from a runtime may contain anything, even text that would select other
    /// objects or escape a URL path.
    /// </summary>
    public static bool IsValid(string? name) =>
        name is { Length: > 0 and <= Longest }
        && name.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter is '-' or '.')
        && char.IsAsciiLetterOrDigit(name[0])
        && char.IsAsciiLetterOrDigit(name[^1]);
}
