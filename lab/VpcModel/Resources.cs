// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>A VPC as it is at one moment. Its first range is the primary one and cannot be taken away.</summary>
public sealed record Vpc
{
    public required VpcId Id { get; init; }
    public required ImmutableArray<IPNetwork> Ipv4Ranges { get; init; }
    public ImmutableArray<IPNetwork> Ipv6Ranges { get; init; } = [];
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

/// <summary>A subnet as it is at one moment. EC2 keeps the first four addresses and the last one of every subnet.</summary>
public sealed record Subnet
{
    public required SubnetId Id { get; init; }
    public required VpcId Vpc { get; init; }
    public required string Zone { get; init; }
    public required IPNetwork Ipv4Range { get; init; }
    public IPNetwork? Ipv6Range { get; init; }
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;

    /// <summary>The VPC's router in this subnet: base + 1.</summary>
    public IPAddress Gateway => Ipv4Number.ToAddress(Ipv4Number.Of(Ipv4Range.BaseAddress) + 1);
}

/// <summary>A security group: an id that interfaces carry, and rules that are kept and shown.</summary>
public sealed record SecurityGroup
{
    public required SecurityGroupId Id { get; init; }
    public required VpcId Vpc { get; init; }
    public required string Name { get; init; }
    public string Description { get; init; } = "";
    public ImmutableArray<SecurityGroupRule> Rules { get; init; } = [];
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

/// <summary>Life of an instance; the model starts and ends them at once.</summary>
public enum InstanceState
{
    Running,
    Terminated,
}

/// <summary>An instance as it is at one moment.</summary>
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
