// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

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

    /// <summary>It is this node's own budget of calls that is used up, and not the cloud that throttles.</summary>
    public bool IsLocalBudget { get; init; }

    /// <summary>
    /// Of several obstacles the one to name is the one that ends first: without it the pool would grow. What no time ends comes last.
    /// </summary>
    public bool EndsBefore(GrowthObstacle other) =>
        (MayEndAnyMoment, other.MayEndAnyMoment) switch
        {
            (true, false) => true,
            (false, true) => false,
            _ => Until is { } until && (other.Until is not { } others || until < others),
        };
}

/// <summary>What a subnet refused.</summary>
/// <param name="Addresses">It has too few addresses left; null when it may have any number.</param>
/// <param name="AddressesAtOnce">
/// So many addresses it may be asked for all the same, a new interface's own included; 0 when it refused a single one, or is being
/// described again.
/// </param>
/// <param name="Prefixes">It has too few whole prefixes left; null when it may have any number.</param>
internal sealed record SubnetObstacle(GrowthObstacle? Addresses, int AddressesAtOnce, GrowthObstacle? Prefixes)
{
    /// <summary>So many prefixes it may be asked for all the same; 0 when it refused a single one.</summary>
    public int PrefixesAtOnce { get; init; }
}

/// <summary>All that stands against growth at one moment, by what it concerns.</summary>
/// <param name="Everything">Nothing can be added at all.</param>
/// <param name="NewInterfaces">No interface can be added.</param>
/// <param name="Interfaces">No block can be added to these.</param>
/// <param name="Subnets">What these refused.</param>
internal sealed record GrowthObstacles(
    GrowthObstacle? Everything,
    GrowthObstacle? NewInterfaces,
    IReadOnlyDictionary<NetworkInterfaceId, GrowthObstacle> Interfaces,
    IReadOnlyDictionary<string, SubnetObstacle> Subnets
)
{
    /// <summary>What stood against everything until a moment ago: it is tried again, and no growth has succeeded since.</summary>
    public GrowthObstacle? Retried { get; init; }

    public static readonly GrowthObstacles None = new(
        null,
        null,
        new Dictionary<NetworkInterfaceId, GrowthObstacle>(),
        new Dictionary<string, SubnetObstacle>()
    );

    /// <summary>Against even one block of a kind out of a subnet; null when it may be tried.</summary>
    /// <param name="subnetId">The subnet.</param>
    /// <param name="kind">The kind of block.</param>
    /// <param name="isNew">On a new interface, which costs one address more.</param>
    public GrowthObstacle? Against(string subnetId, BlockKind kind, bool isNew)
    {
        if (Subnets.GetValueOrDefault(subnetId) is not { } subnet)
            return null;
        if (kind == BlockKind.Ipv4Prefix && subnet is { Prefixes: { } fragmented, PrefixesAtOnce: 0 })
            return fragmented;
        return subnet.AddressesAtOnce < (isNew ? PoolCounts.SizeOf(kind) + 1 : 1) ? subnet.Addresses : null;
    }
}
