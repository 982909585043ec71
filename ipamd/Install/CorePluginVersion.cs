// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// The version of a core plugin (github.com/containernetworking/plugins, since 0.8.0), from the line that it prints on stderr when it is
/// executed without CNI_COMMAND: <c>CNI portmap plugin v1.7.1</c>. Builds of distributions often say <c>CNI portmap plugin version
/// unknown</c>.
/// </summary>
/// <param name="Release">Null: the build does not say.</param>
internal sealed partial record CorePluginVersion(Version? Release)
{
    /// <param name="name">The plugin's file name, which the line has to name.</param>
    /// <param name="introduction">What was printed.</param>
    /// <returns>Null: it is no core plugin of that name.</returns>
    public static CorePluginVersion? Parse(string name, string introduction)
    {
        var match = Introduction().Match(introduction);
        if (!match.Success || match.Groups["name"].Value != name)
            return null;
        return new CorePluginVersion(match.Groups["release"] is { Success: true } release ? Version.Parse(release.Value) : null);
    }

    /// <summary>By release where both say theirs, else by the newest protocol version. What cannot be told apart is not older.</summary>
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
