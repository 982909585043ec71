// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi;

namespace VpcCni.Lab.Hosting;

/// <summary>The Kubernetes API of the lab.</summary>
internal sealed record ClusterStatus
{
    /// <summary>As nodes reach it.</summary>
    public required string Endpoint { get; init; }

    /// <summary>False while an outage is on.</summary>
    public required bool IsListening { get; init; }

    /// <summary>For kubectl.</summary>
    public required string Kubeconfig { get; init; }

    public required int OpenWatches { get; init; }

    /// <summary>Who called what, how it went (HTTP status; 0: broken on purpose) and how often.</summary>
    public required IReadOnlyList<KubeCallCount> Calls { get; init; }

    /// <summary>Faults that are armed.</summary>
    public required IReadOnlyList<KubeFaultSpec> Faults { get; init; }
}

/// <summary>Something to go wrong with requests to the Kubernetes API.</summary>
internal sealed record KubeFaultSpec
{
    public required KubeFaultKind Kind { get; init; }

    /// <summary>E.g. <c>watch</c>, or <c>*</c>.</summary>
    public string Verb { get; init; } = "*";

    /// <summary>E.g. <c>nodes</c>, or <c>*</c>.</summary>
    public string Resource { get; init; } = "*";

    /// <summary>How often it strikes; null for ever.</summary>
    public int? Times { get; init; }

    /// <summary>HTTP status of the kind Status.</summary>
    public int? Code { get; init; }

    public double? RetryAfterSeconds { get; init; }

    /// <summary>Of the kind Slow.</summary>
    public double? DelayMilliseconds { get; init; }
}

/// <summary>Something that is done to the Kubernetes API at once.</summary>
/// <param name="Revoke">Of <see cref="KubeAction.RotateTokens"/>: the old tokens end.</param>
internal sealed record KubeActionSpec(KubeAction Action, bool Revoke = false);

internal enum KubeAction
{
    /// <summary>All watches break off.</summary>
    CloseWatches,

    /// <summary>The history is forgotten and all watches break off: those that resume get 410.</summary>
    Compact,

    /// <summary>Nobody listens for the nodes any more: their connections are refused.</summary>
    BeginOutage,

    EndOutage,

    /// <summary>Every node's folder gets a new token.</summary>
    RotateTokens,
}
