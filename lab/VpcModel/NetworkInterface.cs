// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>States of an attachment. A detached one is gone.</summary>
public enum AttachmentStatus
{
    Attaching,
    Attached,
    Detaching,
}

/// <summary>An interface's attachment to an instance.</summary>
public sealed record InterfaceAttachment
{
    public required AttachmentId Id { get; init; }
    public required InstanceId Instance { get; init; }

    /// <summary>0 on card 0 is the primary interface, as a rule.</summary>
    public required int DeviceIndex { get; init; }
    public required int NetworkCard { get; init; }
    public required AttachmentStatus Status { get; init; }
    public required DateTimeOffset AttachedAt { get; init; }
    public required bool DeleteOnTermination { get; init; }

    /// <summary>The interface that the instance was launched with, which cannot be detached.</summary>
    public required bool IsPrimary { get; init; }
}

/// <summary>
/// A network interface as it is at one moment; never changed in place, so an old version stays valid for whoever sees the world late.
/// </summary>
public sealed record NetworkInterface
{
    public required EniId Id { get; init; }
    public required SubnetId Subnet { get; init; }
    public required VpcId Vpc { get; init; }
    public required string Zone { get; init; }

    /// <summary>Lower-case, colon-separated.</summary>
    public required string Mac { get; init; }
    public required IPAddress PrimaryAddress { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public ImmutableArray<IPAddress> SecondaryAddresses { get; init; } = [];

    /// <summary>/28 each, aligned.</summary>
    public ImmutableArray<IPNetwork> Ipv4Prefixes { get; init; } = [];
    public ImmutableArray<IPAddress> Ipv6Addresses { get; init; } = [];

    /// <summary>/80 each, aligned.</summary>
    public ImmutableArray<IPNetwork> Ipv6Prefixes { get; init; } = [];
    public ImmutableArray<SecurityGroupId> Groups { get; init; } = [];
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
    public string Description { get; init; } = "";
    public string InterfaceType { get; init; } = "interface";
    public bool SourceDestCheck { get; init; } = true;

    /// <summary>Null when it is attached to nothing (status <c>available</c>).</summary>
    public InterfaceAttachment? Attachment { get; init; }

    /// <summary>
    /// Everything that the interface may send from and receive for: addresses as /32 and /128, prefixes as they are; the primary address
    /// first.
    /// </summary>
    public IReadOnlyList<IPNetwork> AllRanges =>
        [
            new IPNetwork(PrimaryAddress, 32),
            .. SecondaryAddresses.Select(address => new IPNetwork(address, 32)),
            .. Ipv4Prefixes,
            .. Ipv6Addresses.Select(address => new IPNetwork(address, 128)),
            .. Ipv6Prefixes,
        ];

    /// <summary>Slots of the instance type's limit that are taken: a prefix counts as one, like an address.</summary>
    public int Ipv4Slots => 1 + SecondaryAddresses.Length + Ipv4Prefixes.Length;

    public int Ipv6Slots => Ipv6Addresses.Length + Ipv6Prefixes.Length;
}
