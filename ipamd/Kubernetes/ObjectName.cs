// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Which texts can be the name of an object of the cluster.</summary>
internal static class ObjectName
{
    /// <summary>Of a DNS subdomain (RFC 1123).</summary>
    private const int Longest = 253;

    /// <summary>
    /// Anything may stand in an annotation or in what a runtime passes, also what would select other objects or climb in a path.
    /// </summary>
    public static bool IsValid(string? name) =>
        name is { Length: > 0 and <= Longest }
        && name.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter is '-' or '.')
        && char.IsAsciiLetterOrDigit(name[0])
        && char.IsAsciiLetterOrDigit(name[^1]);
}
