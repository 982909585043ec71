// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>CreateNetworkInterface. Of each family, a count or explicit values, and addresses or prefixes.</summary>
public sealed record CreateInterfaceRequest
{
    public required SubnetId Subnet { get; init; }
    public string Description { get; init; } = "";
    public IReadOnlyList<SecurityGroupId> Groups { get; init; } = [];

    /// <summary>Null: the subnet chooses.</summary>
    public IPAddress? PrimaryAddress { get; init; }
    public AddressRequest Ipv4 { get; init; } = AddressRequest.None;
    public AddressRequest Ipv6 { get; init; } = AddressRequest.None;
    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>At most 64 ASCII characters; repeating the request with it returns the interface that the first one created.</summary>
    public string? ClientToken { get; init; }
    public string InterfaceType { get; init; } = "interface";
}

/// <summary>Addresses of one family that a call asks for; exactly one of the four, or none.</summary>
public sealed record AddressRequest
{
    public static AddressRequest None { get; } = new();

    public int AddressCount { get; init; }
    public IReadOnlyList<IPAddress> Addresses { get; init; } = [];
    public int PrefixCount { get; init; }
    public IReadOnlyList<IPNetwork> Prefixes { get; init; } = [];

    public static AddressRequest Any(int count) => new() { AddressCount = count };

    public static AddressRequest AnyPrefixes(int count) => new() { PrefixCount = count };

    /// <summary>Slots that it takes.</summary>
    public int Slots => AddressCount + Addresses.Count + PrefixCount + Prefixes.Count;

    internal int WaysUsed =>
        (AddressCount != 0 ? 1 : 0) + (Addresses.Count != 0 ? 1 : 0) + (PrefixCount != 0 ? 1 : 0) + (Prefixes.Count != 0 ? 1 : 0);
}

/// <summary>AttachNetworkInterface.</summary>
public sealed record AttachInterfaceRequest(EniId Interface, InstanceId Instance, int DeviceIndex, int NetworkCard = 0);

/// <summary>ModifyNetworkInterfaceAttribute: exactly one attribute a call.</summary>
public sealed record ModifyInterfaceRequest
{
    public required EniId Interface { get; init; }
    public string? Description { get; init; }
    public IReadOnlyList<SecurityGroupId>? Groups { get; init; }
    public bool? SourceDestCheck { get; init; }
    public (AttachmentId Attachment, bool DeleteOnTermination)? DeleteOnTermination { get; init; }
}

/// <summary>What a call gave, or took: addresses and prefixes of one family.</summary>
public sealed record AddressChange(EniId Interface, IReadOnlyList<IPAddress> Addresses, IReadOnlyList<IPNetwork> Prefixes);

/// <summary>Launches an instance together with its primary interface.</summary>
public sealed record LaunchRequest
{
    public required string InstanceType { get; init; }
    public required SubnetId Subnet { get; init; }
    public IReadOnlyList<SecurityGroupId> Groups { get; init; } = [];
    public IPAddress? PrimaryAddress { get; init; }

    /// <summary>Of the primary interface; 0 as a rule.</summary>
    public int PrimaryDeviceIndex { get; init; }
    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
    public IReadOnlyDictionary<string, string> InterfaceTags { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}

/// <summary>One filter of a Describe call: any of the values; <c>*</c> and <c>?</c> are wildcards. Filters are combined with AND.</summary>
public sealed record Filter(string Name, IReadOnlyList<string> Values)
{
    public Filter(string name, params string[] values)
        : this(name, (IReadOnlyList<string>)values) { }
}

/// <summary>A Describe call: ids, filters and paging.</summary>
public sealed record Query
{
    /// <summary>Each must exist; empty for all.</summary>
    public IReadOnlyList<string> Ids { get; init; } = [];
    public IReadOnlyList<Filter> Filters { get; init; } = [];

    /// <summary>5 to 1000; null for everything at once.</summary>
    public int? MaxResults { get; init; }
    public string? NextToken { get; init; }

    internal CallKind Kind =>
        Ids.Count == 0 && Filters.Count == 0 && MaxResults is null && NextToken is null
            ? CallKind.UnfilteredNonMutating
            : CallKind.NonMutating;
}

/// <summary>A page of a Describe call's answer.</summary>
/// <param name="NextToken">Null on the last page.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextToken);

/// <summary>One tag of one resource.</summary>
public sealed record TagRecord(string ResourceId, string ResourceType, string Key, string Value);
