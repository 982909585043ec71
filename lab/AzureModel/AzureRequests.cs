// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.AzureModel;

/// <summary>An IP configuration of a PUT.</summary>
public sealed record AzureIpConfigurationRequest
{
    public required string Name { get; init; }
    public bool IsPrimary { get; init; }
    public bool IsStatic { get; init; }

    /// <summary>The address, or the block's first one; null for what the configuration has, or for the lowest free one.</summary>
    public IPAddress? Address { get; init; }

    /// <summary>28 for a block of 16 addresses; 32 for one address.</summary>
    public int PrefixLength { get; init; } = 32;

    /// <summary>Id of the subnet.</summary>
    public required string Subnet { get; init; }
}

/// <summary>A PUT of a whole network interface.</summary>
public sealed record AzureInterfaceRequest
{
    public required string Id { get; init; }
    public required IReadOnlyList<AzureIpConfigurationRequest> Configurations { get; init; }
    public bool MayForward { get; init; }
    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>();

    /// <summary>The header <c>If-Match</c>; null or <c>*</c> for no condition.</summary>
    public string? IfMatch { get; init; }
}

/// <summary>A PUT of a route.</summary>
public sealed record AzureRouteRequest
{
    public required string Name { get; init; }
    public required IPNetwork Destination { get; init; }
    public required AzureNextHop NextHop { get; init; }
    public IPAddress? NextHopAddress { get; init; }
}

/// <summary>Request to launch a virtual machine.</summary>
public sealed record AzureLaunchRequest
{
    public required string ComputerName { get; init; }

    /// <summary>Id of the subnet.</summary>
    public required string Subnet { get; init; }
    public string Size { get; init; } = "Standard_D4s_v5";
    public string Zone { get; init; } = "1";
    public bool MayForward { get; init; }

    /// <summary>Name of the scale set that the machine is of; null for a machine by itself.</summary>
    public string? ScaleSet { get; init; }
}

/// <summary>What a PUT or DELETE started.</summary>
/// <param name="Resource">The resource as the response shows it.</param>
/// <param name="IsNew">Whether the PUT created it.</param>
public sealed record AzureChange<T>(T Resource, AzureOperation Operation, bool IsNew = false);
