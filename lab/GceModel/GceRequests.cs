// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.GceModel;

/// <summary>An alias range of a request.</summary>
/// <param name="Cidr">A range (<c>10.4.0.16/28</c>), an address (<c>10.4.0.5</c>) or a length (<c>/28</c>), for which GCE picks the
/// range.</param>
/// <param name="RangeName">The secondary range that it is from; null for the subnetwork's primary range.</param>
public sealed record GceAliasRequest(string Cidr, string? RangeName);

/// <summary>Request of instances.updateNetworkInterface.</summary>
public sealed record GceInterfaceUpdate
{
    public required string Zone { get; init; }
    public required string Instance { get; init; }
    public required string Interface { get; init; }

    /// <summary>The fingerprint that the client read; null if the request has none, which GCE rejects.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>All alias ranges that the interface is to have; null leaves them unchanged.</summary>
    public IReadOnlyList<GceAliasRequest>? AliasRanges { get; init; }

    /// <summary>Idempotency id, a UUID: a repeated request returns the operation of the first one. Null for none.</summary>
    public string? RequestId { get; init; }
}

/// <summary>Request of routes.insert. Exactly one next hop is set.</summary>
public sealed record GceRouteRequest
{
    public required string Name { get; init; }
    public required string Network { get; init; }
    public required IPNetwork Destination { get; init; }
    public int Priority { get; init; } = 1000;
    public string Description { get; init; } = "";
    public ImmutableArray<string> Tags { get; init; } = [];
    public (string Zone, string Name)? NextHopInstance { get; init; }
    public IPAddress? NextHopAddress { get; init; }
    public bool IsInternet { get; init; }
    public string? RequestId { get; init; }
}

/// <summary>Request to launch an instance.</summary>
public sealed record GceLaunchRequest
{
    public required string Name { get; init; }
    public required string Zone { get; init; }
    public required string Subnetwork { get; init; }
    public string MachineType { get; init; } = "e2-standard-4";

    /// <summary>The interface's address; null for the lowest free one.</summary>
    public IPAddress? Address { get; init; }
    public bool CanIpForward { get; init; }
    public IReadOnlyList<GceAliasRequest> AliasRanges { get; init; } = [];
}
