// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// How much of the control plane this node may use: VPCCNI_CLOUD_ACCESS. For operators whose account is throttled, or who want a node to
/// stay as it is. May change at run time. Instance metadata is read at every level.
/// </summary>
internal enum CloudAccess
{
    /// <summary><c>full</c>: everything.</summary>
    Full,

    /// <summary><c>no-releases</c>: the node grows and is observed, but releases and cleans up nothing.</summary>
    NoReleases,

    /// <summary>
    /// <c>no-calls</c>: no calls, not even describes. Pods are served from the attached interfaces. A daemon that starts at this level does
    /// not know them, serves the attachments of its checkpoint, and continues its start when the level is raised.
    /// </summary>
    NoCalls,
}

/// <summary>The levels as operators write them.</summary>
internal static class CloudAccessText
{
    public const string Option = "VPCCNI_CLOUD_ACCESS";
    public const string Expected = "full, no-releases or no-calls";

    public static string Of(CloudAccess access) =>
        access switch
        {
            CloudAccess.Full => "full",
            CloudAccess.NoReleases => "no-releases",
            CloudAccess.NoCalls => "no-calls",
            _ => throw new ArgumentOutOfRangeException(nameof(access), access, "unknown level"),
        };

    public static bool TryParse(string text, out CloudAccess access)
    {
        foreach (var level in Enum.GetValues<CloudAccess>())
        {
            if (!string.Equals(Of(level), text.Trim(), StringComparison.OrdinalIgnoreCase))
                continue;
            access = level;
            return true;
        }

        access = CloudAccess.Full;
        return false;
    }
}
