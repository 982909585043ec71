// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>A VPC at one moment. Its first range is the primary one and cannot be removed.</summary>
public sealed record Vpc
{
    public required VpcId Id { get; init; }
    public required ImmutableArray<IPNetwork> Ipv4Ranges { get; init; }
    public ImmutableArray<IPNetwork> Ipv6Ranges { get; init; } = [];
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

/// <summary>A subnet at one moment. EC2 reserves the first four addresses and the last one of every subnet.</summary>
public sealed record Subnet
{
    public required SubnetId Id { get; init; }
    public required VpcId Vpc { get; init; }
    public required string Zone { get; init; }
    public required IPNetwork Ipv4Range { get; init; }
    public IPNetwork? Ipv6Range { get; init; }

    /// <summary>Whether a new interface gets an IPv6 address when its request does not mention IPv6.</summary>
    public bool AssignIpv6AddressOnCreation { get; init; }
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;

    /// <summary>Address of the VPC's router in this subnet: the base address plus one.</summary>
    public IPAddress Gateway => Ipv4Number.ToAddress(Ipv4Number.Of(Ipv4Range.BaseAddress) + 1);
}

/// <summary>A security group at one moment. The model stores and describes its rules but does not enforce them.</summary>
public sealed record SecurityGroup
{
    public required SecurityGroupId Id { get; init; }
    public required VpcId Vpc { get; init; }
    public required string Name { get; init; }
    public string Description { get; init; } = "";
    public ImmutableArray<SecurityGroupRule> Rules { get; init; } = [];
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

/// <summary>State of an instance. The model launches and terminates instances without delay.</summary>
public enum InstanceState
{
    Running,
    Terminated,
}

/// <summary>An instance at one moment.</summary>
public sealed record Instance
{
    public required InstanceId Id { get; init; }
    public required InstanceType Type { get; init; }
    public required SubnetId Subnet { get; init; }
    public required VpcId Vpc { get; init; }
    public required string Zone { get; init; }
    public required EniId PrimaryInterface { get; init; }
    public required DateTimeOffset LaunchedAt { get; init; }
    public InstanceState State { get; init; } = InstanceState.Running;
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

internal static class NoTags
{
    public static ImmutableSortedDictionary<string, string> Value { get; } =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);
}
