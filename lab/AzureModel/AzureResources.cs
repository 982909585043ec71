// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.AzureModel;

/// <summary>States of a resource.</summary>
public enum AzureProvisioningState
{
    Succeeded,
    Updating,
    Failed,
    Deleting,
}

/// <summary>A virtual network.</summary>
public sealed record AzureNetwork
{
    public required string Id { get; init; }
    public required string Tag { get; init; }
    public required Guid ResourceGuid { get; init; }
    public required ImmutableArray<IPNetwork> Ranges { get; init; }

    public string Name => ArmId.NameOf(Id);
}

/// <summary>A subnet of a virtual network. Azure reserves its first four addresses and the last one.</summary>
public sealed record AzureSubnet
{
    public required string Id { get; init; }
    public required string Network { get; init; }
    public required string Tag { get; init; }
    public required IPNetwork Range { get; init; }

    /// <summary>Id of the route table that applies to it; null for none.</summary>
    public string? RouteTable { get; init; }
    public AzureProvisioningState State { get; init; }

    public string Name => ArmId.NameOf(Id);
}

/// <summary>An IP configuration of a network interface.</summary>
public sealed record AzureIpConfiguration
{
    public required string Name { get; init; }

    /// <summary>An address as a /32, or a block of 16 (<c>privateIPAddressPrefixLength</c> 28).</summary>
    public required IPNetwork Range { get; init; }
    public required bool IsPrimary { get; init; }

    /// <summary>Whether the client chose the address (<c>Static</c>) or Azure (<c>Dynamic</c>).</summary>
    public required bool IsStatic { get; init; }

    /// <summary>Id of the subnet.</summary>
    public required string Subnet { get; init; }
}

/// <summary>A network interface of a virtual machine, alone or of a scale set.</summary>
public sealed record AzureInterface
{
    public required string Id { get; init; }
    public required Guid ResourceGuid { get; init; }
    public required string Tag { get; init; }
    public required AzureProvisioningState State { get; init; }

    /// <summary>The MAC address in upper case, separated by hyphens, as the API shows it.</summary>
    public required string Mac { get; init; }

    /// <summary>Id of the virtual machine.</summary>
    public required string Machine { get; init; }
    public required bool MayForward { get; init; }

    /// <summary>The configurations as the last PUT has set them; the primary one exists always.</summary>
    public required ImmutableArray<AzureIpConfiguration> Configurations { get; init; }

    /// <summary>The configurations that are in effect: those of the last operation that succeeded.</summary>
    public required ImmutableArray<AzureIpConfiguration> Applied { get; init; }

    /// <summary>Whether forwarding is in effect.</summary>
    public required bool AppliedMayForward { get; init; }
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    public string Name => ArmId.NameOf(Id);

    public AzureIpConfiguration Primary => Configurations.First(configuration => configuration.IsPrimary);

    /// <summary>What the interface may send from and receives packets for: the primary address first.</summary>
    public IReadOnlyList<IPNetwork> AppliedRanges =>
        [.. Applied.OrderBy(configuration => configuration.IsPrimary ? 0 : 1).Select(configuration => configuration.Range)];
}

/// <summary>A virtual machine with one network interface.</summary>
public sealed record AzureMachine
{
    public required string Id { get; init; }
    public required Guid VmId { get; init; }

    /// <summary>Name of the operating system's host, which the lab calls its node.</summary>
    public required string ComputerName { get; init; }
    public required string Size { get; init; }

    /// <summary>Availability zone: 1, 2 or 3.</summary>
    public required string Zone { get; init; }

    /// <summary>Id of the interface.</summary>
    public required string Interface { get; init; }

    /// <summary>Name of the scale set; null for a machine by itself.</summary>
    public string? ScaleSet { get; init; }

    /// <summary>The machine's name, or its number in its scale set.</summary>
    public string Name => ArmId.NameOf(Id);
}

/// <summary>Kinds of next hops.</summary>
public enum AzureNextHop
{
    VirtualAppliance,
    VnetLocal,
    Internet,
    VirtualNetworkGateway,
    None,
}

/// <summary>A route of a route table.</summary>
public sealed record AzureRoute
{
    public required string Name { get; init; }
    public required string Tag { get; init; }
    public required IPNetwork Destination { get; init; }
    public required AzureNextHop NextHop { get; init; }

    /// <summary>Address of the appliance; null for other kinds.</summary>
    public IPAddress? NextHopAddress { get; init; }
    public AzureProvisioningState State { get; init; }
}

/// <summary>A route table, which applies to the subnets that name it.</summary>
public sealed record AzureRouteTable
{
    public required string Id { get; init; }
    public required string Tag { get; init; }
    public required Guid ResourceGuid { get; init; }
    public ImmutableArray<AzureRoute> Routes { get; init; } = [];
    public AzureProvisioningState State { get; init; }

    public string Name => ArmId.NameOf(Id);
}

/// <summary>An asynchronous operation.</summary>
/// <param name="Failure">Why it fails, which is known from the start but reported at its end; null if it succeeds.</param>
public sealed record AzureOperation(Guid Id, string Target, DateTimeOffset StartedAt, DateTimeOffset EndsAt, AzureError? Failure)
{
    public bool IsDone(DateTimeOffset now) => now >= EndsAt;
}
