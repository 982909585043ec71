// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Readiness;

/// <summary>
/// What the other parts of the daemon report about themselves, for health, status and metrics. The daemon attaches it once, see
/// <see cref="DaemonState.Attach"/>. Every function is called at any time, on any thread.
/// </summary>
internal sealed record DaemonFacts
{
    /// <summary>Returns how the host's network differs from the desired state; null if it does not.</summary>
    public required Func<string?> HostNetworkProblem { get; init; }

    /// <summary>Returns whether the tables of NAT have been brought into place once, or that has failed.</summary>
    public required Func<bool> WasNatTried { get; init; }

    /// <summary>Returns the failures at the API server; null if there are none, or if the daemon uses none.</summary>
    public required Func<string?> ClusterProblem { get; init; }

    /// <summary>Returns why new pods do not reach this daemon; null if they do, or if something else installs the plugin.</summary>
    public required Func<string?> InstallationProblem { get; init; }

    /// <summary>Returns which background services failed because of a defect; null if none did.</summary>
    public required Func<string?> DefectProblem { get; init; }

    /// <summary>Returns why the log is not written to its file; null if it is.</summary>
    public required Func<string?> LogProblem { get; init; }

    /// <summary>Returns why missed DELs are not processed; null if they are.</summary>
    public required Func<string?> MissedDelProblem { get; init; }

    /// <summary>Returns the settings that determine the size of the pool.</summary>
    public required Func<IReadOnlyList<SettingInForce>> Settings { get; init; }
}
