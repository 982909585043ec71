// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace VpcCni.Lab.Hosting;

/// <summary>A pod's namespace and name, written <c>namespace/name</c>.</summary>
internal readonly record struct PodName(string Namespace, string Name)
{
    /// <summary>
    /// Maximum length of the text. Kubernetes allows more, but the pod's network namespace has a file name of at most 255 bytes.
    /// </summary>
    private const int MaxLength = 200;

    public override string ToString() => $"{Namespace}/{Name}";

    public static PodName Parse(string text) =>
        TryParse(text, out var name)
            ? name
            : throw new LabException($"'{text}' is not a pod name: expected NAMESPACE/NAME of lower-case letters, digits, '-' and '.'");

    public static bool TryParse([NotNullWhen(true)] string? text, out PodName name)
    {
        name = default;
        if (text is null || text.Length > MaxLength || text.Split('/') is not [{ Length: > 0 } ns, { Length: > 0 } pod])
            return false;
        if (!text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '.' or '/'))
            return false;
        name = new PodName(ns, pod);
        return true;
    }
}
