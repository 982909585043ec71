// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.GceModel;

/// <summary>A VPC network with custom subnetworks.</summary>
public sealed record GceNetwork(string Name, ulong Id, DateTimeOffset CreatedAt);

/// <summary>A named secondary range of a subnetwork.</summary>
public sealed record GceSecondaryRange(string Name, IPNetwork Range);

/// <summary>A subnetwork of a region.</summary>
public sealed record GceSubnetwork
{
    public required string Name { get; init; }
    public required ulong Id { get; init; }
    public required string Network { get; init; }
    public required string Region { get; init; }
    public required IPNetwork Range { get; init; }
    public required ImmutableArray<GceSecondaryRange> SecondaryRanges { get; init; }
    public required string Fingerprint { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The gateway: the range's base address plus one.</summary>
    public IPAddress Gateway => Ipv4.Address(Ipv4.Number(Range.BaseAddress) + 1);
}

/// <summary>An alias range of an interface.</summary>
/// <param name="Range">The range; a single address is a /32.</param>
/// <param name="RangeName">The subnetwork's secondary range that it is from; null for the primary range.</param>
public sealed record GceAliasRange(IPNetwork Range, string? RangeName);

/// <summary>An instance's only network interface, nic0.</summary>
public sealed record GceInterface
{
    /// <summary>Name of an instance's first interface.</summary>
    public const string FirstName = "nic0";

    public required string Subnetwork { get; init; }
    public required IPAddress Address { get; init; }
    public required string Fingerprint { get; init; }
    public ImmutableArray<GceAliasRange> AliasRanges { get; init; } = [];

    /// <summary>The MAC address, which GCE derives from the address: 42:01 and its octets.</summary>
    public string Mac =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"42:01:{string.Join(':', Address.GetAddressBytes().Select(octet => octet.ToString("x2", CultureInfo.InvariantCulture)))}"
        );

    /// <summary>All that the interface may send from and receives packets for: its address first, then the alias ranges.</summary>
    public IReadOnlyList<IPNetwork> AllRanges => [new IPNetwork(Address, 32), .. AliasRanges.Select(alias => alias.Range)];
}

/// <summary>A running instance.</summary>
public sealed record GceInstance
{
    public required string Name { get; init; }
    public required ulong Id { get; init; }
    public required string Zone { get; init; }
    public required string MachineType { get; init; }
    public required bool CanIpForward { get; init; }
    public required GceInterface Interface { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The zone's region: the zone without its letter.</summary>
    public string Region => Zone[..Zone.LastIndexOf('-')];
}

/// <summary>A route of a network. Exactly one of the next hops is set.</summary>
public sealed record GceRoute
{
    public required string Name { get; init; }
    public required ulong Id { get; init; }
    public required string Network { get; init; }
    public required IPNetwork Destination { get; init; }

    /// <summary>0 to 65535; of two routes to the same destination, the lower number counts.</summary>
    public required int Priority { get; init; }
    public string Description { get; init; } = "";
    public ImmutableArray<string> Tags { get; init; } = [];
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The instance that gets the packets, by zone and name. It may not exist any more.</summary>
    public (string Zone, string Name)? NextHopInstance { get; init; }

    /// <summary>An address of the instance that gets the packets.</summary>
    public IPAddress? NextHopAddress { get; init; }

    /// <summary>Whether the next hop is the default internet gateway.</summary>
    public bool IsInternet { get; init; }

    /// <summary>Whether it is the route of a subnetwork's range, which GCE creates and nobody can delete.</summary>
    public bool IsSubnetRoute { get; init; }
}

/// <summary>States of an operation.</summary>
public enum GceOperationStatus
{
    Pending,
    Running,
    Done,
}

/// <summary>A zonal or global operation.</summary>
public sealed record GceOperation
{
    public required string Name { get; init; }
    public required ulong Id { get; init; }

    /// <summary>The zone; null for a global operation.</summary>
    public required string? Zone { get; init; }

    /// <summary>The method, as GCE names it: <c>updateNetworkInterface</c>, <c>insert</c>, <c>delete</c>.</summary>
    public required string Type { get; init; }

    /// <summary>The resource that it changes, relative to the API's root: <c>projects/p/zones/z/instances/i</c>.</summary>
    public required string Target { get; init; }
    public required ulong TargetId { get; init; }

    /// <summary>The request's id; null if it had none.</summary>
    public required string? RequestId { get; init; }
    public required DateTimeOffset InsertedAt { get; init; }
    public required DateTimeOffset StartsAt { get; init; }
    public required DateTimeOffset EndsAt { get; init; }

    /// <summary>Why it fails, which is known from the start but reported at its end; null if it succeeds.</summary>
    public required GceOperationError? Failure { get; init; }

    public GceOperationStatus StatusAt(DateTimeOffset now) =>
        now < StartsAt ? GceOperationStatus.Pending
        : now < EndsAt ? GceOperationStatus.Running
        : GceOperationStatus.Done;
}
