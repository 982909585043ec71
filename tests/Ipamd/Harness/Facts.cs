// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>What the parts of a daemon report in tests; change one fact with <c>with</c>.</summary>
internal static class Facts
{
    /// <summary>Nothing is wrong, NAT is in place, and no setting is known.</summary>
    public static DaemonFacts Healthy { get; } =
        new()
        {
            HostNetworkProblem = () => null,
            WasNatTried = () => true,
            ClusterProblem = () => null,
            InstallationProblem = () => null,
            DefectProblem = () => null,
            LogProblem = () => null,
            MissedDelProblem = () => null,
            Settings = () => [],
        };
}
