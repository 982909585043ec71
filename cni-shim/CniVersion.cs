// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace VpcCni.Shim;

/// <summary>
/// A version of the CNI protocol. The versions differ for a plugin in the shape of the result and in the commands that exist.
/// </summary>
internal readonly record struct CniVersion(int Major, int Minor, int Patch) : IComparable<CniVersion>
{
    public static readonly CniVersion V010 = new(0, 1, 0);
    public static readonly CniVersion V030 = new(0, 3, 0);
    public static readonly CniVersion V040 = new(0, 4, 0);
    public static readonly CniVersion V100 = new(1, 0, 0);
    public static readonly CniVersion V110 = new(1, 1, 0);

    /// <summary>Versions that VERSION lists and that a configuration may have, oldest first.</summary>
    public static readonly CniVersion[] Supported = [V010, new(0, 2, 0), V030, new(0, 3, 1), V040, V100, V110];

    /// <summary>Version of an answer while that of the configuration is not known.</summary>
    public static CniVersion Newest => V110;

    public bool IsSupported => Array.IndexOf(Supported, this) >= 0;

    public static bool operator <(CniVersion left, CniVersion right) => left.CompareTo(right) < 0;

    public static bool operator >(CniVersion left, CniVersion right) => left.CompareTo(right) > 0;

    public static bool operator <=(CniVersion left, CniVersion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(CniVersion left, CniVersion right) => left.CompareTo(right) >= 0;

    public static bool TryParse([NotNullWhen(true)] string? text, out CniVersion version)
    {
        version = default;
        if (text is null || text.Length > 32)
            return false;
        var parts = text.Split('.');
        if (
            parts.Length != 3
            || !TryNumber(parts[0], out var major)
            || !TryNumber(parts[1], out var minor)
            || !TryNumber(parts[2], out var patch)
        )
            return false;
        version = new CniVersion(major, minor, patch);
        return true;
    }

    public int CompareTo(CniVersion other) => (Major, Minor, Patch).CompareTo((other.Major, other.Minor, other.Patch));

    public override string ToString() => $"{Major}.{Minor}.{Patch}";

    private static bool TryNumber(string text, out int number) =>
        int.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out number);
}
