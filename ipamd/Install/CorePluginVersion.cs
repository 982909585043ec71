// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// The version of a core plugin (github.com/containernetworking/plugins, since 0.8.0), parsed from the line that it prints on stderr when
/// it is executed without CNI_COMMAND: <c>CNI portmap plugin v1.7.1</c>. Distributions' builds often print <c>CNI portmap plugin version
/// unknown</c>.
/// </summary>
/// <param name="Release">Release; null if the build does not print it.</param>
internal sealed partial record CorePluginVersion(Version? Release)
{
    /// <param name="name">File name of the plugin, which the line must contain.</param>
    /// <param name="introduction">Printed text.</param>
    /// <returns>The version; null if the text is not that of the core plugin.</returns>
    public static CorePluginVersion? Parse(string name, string introduction)
    {
        var match = Introduction().Match(introduction);
        if (!match.Success || match.Groups["name"].Value != name)
            return null;
        return new CorePluginVersion(match.Groups["release"] is { Success: true } release ? Version.Parse(release.Value) : null);
    }

    /// <summary>Compares by release if both are known, else by the newest protocol version. Returns false if neither is known.</summary>
    public bool IsOlderThan(CorePluginVersion other, ProtocolSupport protocols, ProtocolSupport othersProtocols) =>
        Release is not null && other.Release is not null
            ? Release < other.Release
            : protocols.Newest is { } newest && othersProtocols.Newest is { } others && newest < others;

    public override string ToString() => Release is null ? "of an unknown version" : $"v{Release}";

    [GeneratedRegex(
        @"\ACNI (?<name>[a-z-]{1,40}) plugin (v?(?<release>[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})\S*|version unknown)\s*(\n|\z)",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Introduction();
}
