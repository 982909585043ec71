// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi;

namespace VpcCni.Lab.Hosting;

/// <summary>Status of the lab's Kubernetes API.</summary>
internal sealed record ClusterStatus
{
    /// <summary>URL at which nodes reach it.</summary>
    public required string Endpoint { get; init; }

    /// <summary>False during an injected outage.</summary>
    public required bool IsListening { get; init; }

    /// <summary>Path of a kubeconfig.</summary>
    public required string Kubeconfig { get; init; }

    public required int OpenWatches { get; init; }

    /// <summary>Number of calls by caller, request and HTTP status; status 0 counts connections that a fault broke.</summary>
    public required IReadOnlyList<KubeCallCount> Calls { get; init; }

    /// <summary>Armed faults.</summary>
    public required IReadOnlyList<KubeFaultSpec> Faults { get; init; }
}

/// <summary>A fault to inject into requests to the Kubernetes API.</summary>
internal sealed record KubeFaultSpec
{
    public required KubeFaultKind Kind { get; init; }

    /// <summary>The verb of matching requests, for example <c>watch</c>, or <c>*</c>.</summary>
    public string Verb { get; init; } = "*";

    /// <summary>The resource of matching requests, for example <c>nodes</c>, or <c>*</c>.</summary>
    public string Resource { get; init; } = "*";

    /// <summary>Number of requests that it affects; null for no limit.</summary>
    public int? Times { get; init; }

    /// <summary>HTTP status of a fault of kind Status.</summary>
    public int? Code { get; init; }

    public double? RetryAfterSeconds { get; init; }

    /// <summary>Delay of a fault of kind Slow.</summary>
    public double? DelayMilliseconds { get; init; }
}

/// <summary>An immediate action on the Kubernetes API.</summary>
/// <param name="Revoke">For <see cref="KubeAction.RotateTokens"/>: revokes the old tokens.</param>
internal sealed record KubeActionSpec(KubeAction Action, bool Revoke = false);

internal enum KubeAction
{
    /// <summary>Closes all watches.</summary>
    CloseWatches,

    /// <summary>Drops the history and closes all watches; a watch that resumes gets 410.</summary>
    Compact,

    /// <summary>Stops listening for the nodes, so that their connections are refused.</summary>
    BeginOutage,

    /// <summary>Listens for the nodes again.</summary>
    EndOutage,

    /// <summary>Writes a new token to every node's service-account folder.</summary>
    RotateTokens,
}
