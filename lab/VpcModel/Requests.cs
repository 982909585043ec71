// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>Request of CreateNetworkInterface. For each family, it asks for addresses or prefixes, by count or by value.</summary>
public sealed record CreateInterfaceRequest
{
    public required SubnetId Subnet { get; init; }
    public string Description { get; init; } = "";
    public IReadOnlyList<SecurityGroupId> Groups { get; init; } = [];

    /// <summary>The primary address; null for any free address of the subnet.</summary>
    public IPAddress? PrimaryAddress { get; init; }
    public AddressRequest Ipv4 { get; init; } = AddressRequest.None;

    /// <summary>
    /// IPv6 addresses or prefixes; null for what the subnet assigns on creation
    /// (<see cref="VpcModel.Subnet.AssignIpv6AddressOnCreation"/>), which <see cref="AddressRequest.None"/> overrides.
    /// </summary>
    public AddressRequest? Ipv6 { get; init; }

    /// <summary>Whether the first IPv6 address becomes the primary one, which cannot be unassigned (EnablePrimaryIpv6).</summary>
    public bool EnablePrimaryIpv6 { get; init; }
    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// Idempotency token of at most 64 ASCII characters: a repeated request returns the interface that the first one created.
    /// </summary>
    public string? ClientToken { get; init; }
    public string InterfaceType { get; init; } = "interface";
    public ConnectionTracking? ConnectionTracking { get; init; }
}

/// <summary>Addresses or prefixes of one family that a call requests, in at most one of the four forms.</summary>
public sealed record AddressRequest
{
    public static AddressRequest None { get; } = new();

    public int AddressCount { get; init; }
    public IReadOnlyList<IPAddress> Addresses { get; init; } = [];
    public int PrefixCount { get; init; }
    public IReadOnlyList<IPNetwork> Prefixes { get; init; } = [];

    public static AddressRequest Any(int count) => new() { AddressCount = count };

    public static AddressRequest AnyPrefixes(int count) => new() { PrefixCount = count };

    /// <summary>Number of slots that the addresses or prefixes take.</summary>
    public int Slots => AddressCount + Addresses.Count + PrefixCount + Prefixes.Count;

    internal int FormCount =>
        (AddressCount != 0 ? 1 : 0) + (Addresses.Count != 0 ? 1 : 0) + (PrefixCount != 0 ? 1 : 0) + (Prefixes.Count != 0 ? 1 : 0);
}

/// <summary>Request of AttachNetworkInterface.</summary>
public sealed record AttachInterfaceRequest(EniId Interface, InstanceId Instance, int DeviceIndex, int NetworkCard = 0);

/// <summary>Request of ModifyNetworkInterfaceAttribute, which changes exactly one attribute.</summary>
public sealed record ModifyInterfaceRequest
{
    public required EniId Interface { get; init; }
    public string? Description { get; init; }
    public IReadOnlyList<SecurityGroupId>? Groups { get; init; }
    public bool? SourceDestCheck { get; init; }

    /// <summary>True makes the first IPv6 address the primary one; EC2 rejects false once it is.</summary>
    public bool? EnablePrimaryIpv6 { get; init; }
    public ConnectionTracking? ConnectionTracking { get; init; }
    public (AttachmentId Attachment, bool DeleteOnTermination)? DeleteOnTermination { get; init; }
}

/// <summary>Addresses and prefixes of one family that a call assigned or unassigned.</summary>
public sealed record AddressChange(EniId Interface, IReadOnlyList<IPAddress> Addresses, IReadOnlyList<IPNetwork> Prefixes);

/// <summary>Request to launch an instance with its primary interface.</summary>
public sealed record LaunchRequest
{
    public required string InstanceType { get; init; }
    public required SubnetId Subnet { get; init; }
    public IReadOnlyList<SecurityGroupId> Groups { get; init; } = [];
    public IPAddress? PrimaryAddress { get; init; }

    /// <summary>IPv6 addresses or prefixes of the primary interface; null for what the subnet assigns on creation.</summary>
    public AddressRequest? Ipv6 { get; init; }

    /// <summary>See <see cref="CreateInterfaceRequest.EnablePrimaryIpv6"/>.</summary>
    public bool EnablePrimaryIpv6 { get; init; }

    /// <summary>The source/destination check of the primary interface.</summary>
    public bool SourceDestCheck { get; init; } = true;

    /// <summary>Device index of the primary interface, usually 0.</summary>
    public int PrimaryDeviceIndex { get; init; }
    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
    public IReadOnlyDictionary<string, string> InterfaceTags { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}

/// <summary>
/// A filter of a Describe call, which matches any of its values; <c>*</c> and <c>?</c> are wildcards. A call's filters are combined with
/// AND.
/// </summary>
public sealed record Filter(string Name, IReadOnlyList<string> Values)
{
    public Filter(string name, params string[] values)
        : this(name, (IReadOnlyList<string>)values) { }
}

/// <summary>Parameters of a Describe call: ids, filters and paging.</summary>
public sealed record Query
{
    /// <summary>Ids of resources, which must exist; empty for all resources.</summary>
    public IReadOnlyList<string> Ids { get; init; } = [];
    public IReadOnlyList<Filter> Filters { get; init; } = [];

    /// <summary>Page size, 5 to 1000; null for all results at once.</summary>
    public int? MaxResults { get; init; }
    public string? NextToken { get; init; }

    internal CallKind Kind =>
        Ids.Count == 0 && Filters.Count == 0 && MaxResults is null && NextToken is null
            ? CallKind.UnfilteredNonMutating
            : CallKind.NonMutating;
}

/// <summary>A page of the results of a Describe call.</summary>
/// <param name="NextToken">Token of the next page; null on the last one.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextToken);

/// <summary>A tag of a resource.</summary>
public sealed record TagRecord(string ResourceId, string ResourceType, string Key, string Value);
