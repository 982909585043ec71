// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>Why no address can be added, as it is told to whoever waits for one.</summary>
internal enum GrowthObstacleKind
{
    InterfaceLimit,
    AddressLimit,
    MaxPods,
    SubnetExhausted,
    Throttled,
    NotPermitted,
    ProvisioningDisabled,
    CloudFailure,

    /// <summary>Custom networking: the cluster names no ENIConfig that this node can use.</summary>
    EniConfig,

    /// <summary>Every subnet that the node could use is tagged as not for pods.</summary>
    NoSubnet,
}

/// <summary>A reason against growth.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Until">When growth is tried again; null when no time helps.</param>
/// <param name="Detail">A sentence for a person.</param>
internal sealed record GrowthObstacle(GrowthObstacleKind Kind, DateTimeOffset? Until, string Detail)
{
    /// <summary>It ends at a moment that nobody knows and that may be near: whoever waits goes on waiting.</summary>
    public bool MayEndAnyMoment { get; init; }
}

/// <summary>What a subnet refused.</summary>
/// <param name="Addresses">It has too few addresses left; null when it may have any number.</param>
/// <param name="AddressesAtOnce">It refused more than this at once; 0 when it refused a single one.</param>
/// <param name="Prefixes">It has no whole prefix left; null when it may have one.</param>
internal sealed record SubnetObstacle(GrowthObstacle? Addresses, int AddressesAtOnce, GrowthObstacle? Prefixes);

/// <summary>All that stands against growth at one moment, by what it concerns.</summary>
/// <param name="Everything">Nothing can be added at all.</param>
/// <param name="NewInterfaces">No interface can be added.</param>
/// <param name="Interfaces">No block can be added to these.</param>
/// <param name="Subnets">What these refused.</param>
internal sealed record GrowthObstacles(
    GrowthObstacle? Everything, GrowthObstacle? NewInterfaces, IReadOnlyDictionary<NetworkInterfaceId, GrowthObstacle> Interfaces, IReadOnlyDictionary<string, SubnetObstacle> Subnets)
{
    public static readonly GrowthObstacles None = new(null, null, new Dictionary<NetworkInterfaceId, GrowthObstacle>(), new Dictionary<string, SubnetObstacle>());

    /// <summary>
    /// Against one block of a kind out of a subnet; null when it may be tried. A subnet that is nearly empty is not asked for a new interface, which costs one address more, unless nobody knows how
    /// much it has (<paramref name="isNew"/> false).
    /// </summary>
    public GrowthObstacle? Against(string subnetId, BlockKind kind, bool isNew)
    {
        if (Subnets.GetValueOrDefault(subnetId) is not { } subnet) return null;
        if (kind == BlockKind.Ipv4Prefix && subnet.Prefixes is { } fragmented) return fragmented;
        return isNew || subnet.AddressesAtOnce == 0 ? subnet.Addresses : null;
    }

    /// <summary>How many blocks of a kind a subnet may be asked for at once.</summary>
    public int AtOnce(string subnetId, BlockKind kind)
        => Subnets.GetValueOrDefault(subnetId) is { } subnet && kind == BlockKind.Ipv4Address ? subnet.AddressesAtOnce : int.MaxValue;
}
