// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>Why the pool cannot add an address, as reported to the pending ADD.</summary>
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

    /// <summary>The link of a new interface could not be configured.</summary>
    HostNetwork,

    /// <summary>The checkpoint could not be written, so no change may start.</summary>
    Disk,

    /// <summary>Custom networking: the cluster has no ENIConfig that this node can use.</summary>
    EniConfig,

    /// <summary>Every subnet that the node could use is tagged as not for pods.</summary>
    NoSubnet,
}

/// <summary>A reason why the pool cannot grow.</summary>
/// <param name="Kind">The kind of obstacle.</param>
/// <param name="Until">When growth is retried; null when time alone does not remove the obstacle.</param>
/// <param name="Detail">One sentence for a person.</param>
internal sealed record GrowthObstacle(GrowthObstacleKind Kind, DateTimeOffset? Until, string Detail)
{
    /// <summary>The obstacle may end at any moment, at an unknown time: pending ADDs keep waiting.</summary>
    public bool MayEndAnyMoment { get; init; }

    /// <summary>The node's own call budget is used up; the cloud does not throttle.</summary>
    public bool IsLocalBudget { get; init; }

    /// <summary>
    /// Whether this obstacle is the one to report of the two: the one that ends first, because the pool grows when it ends. An obstacle
    /// without an end comes last.
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
/// <param name="Addresses">Why the subnet has too few addresses; null when it refused none.</param>
/// <param name="AddressesAtOnce">
/// The number of addresses that one request may still ask for, a new interface's primary address included; 0 when the subnet refused a
/// single address or is being described again.
/// </param>
/// <param name="Prefixes">Why the subnet has too few whole prefixes; null when it refused none.</param>
internal sealed record SubnetObstacle(GrowthObstacle? Addresses, int AddressesAtOnce, GrowthObstacle? Prefixes)
{
    /// <summary>The number of prefixes that one request may still ask for; 0 when the subnet refused a single one.</summary>
    public int PrefixesAtOnce { get; init; }
}

/// <summary>All obstacles to growth at one moment, by scope.</summary>
/// <param name="Everything">Nothing can be added.</param>
/// <param name="NewInterfaces">No interface can be added.</param>
/// <param name="Interfaces">No block of the family can be added to these interfaces.</param>
/// <param name="Subnets">What these subnets refused, by family.</param>
internal sealed record GrowthObstacles(
    GrowthObstacle? Everything,
    GrowthObstacle? NewInterfaces,
    IReadOnlyDictionary<(NetworkInterfaceId Id, AddressFamily Family), GrowthObstacle> Interfaces,
    IReadOnlyDictionary<(string SubnetId, AddressFamily Family), SubnetObstacle> Subnets
)
{
    /// <summary>The obstacle to all growth that ended last: growth is being retried and has not succeeded since.</summary>
    public GrowthObstacle? Retried { get; init; }

    public static readonly GrowthObstacles None = new(
        null,
        null,
        new Dictionary<(NetworkInterfaceId, AddressFamily), GrowthObstacle>(),
        new Dictionary<(string, AddressFamily), SubnetObstacle>()
    );

    /// <summary>The obstacle to one block from a subnet; null when a request may be tried.</summary>
    /// <param name="subnetId">The subnet.</param>
    /// <param name="shape">The shape of the block.</param>
    /// <param name="isNew">Whether the block is for a new interface, which takes one more address.</param>
    public GrowthObstacle? ObstacleFor(string subnetId, BlockShape shape, bool isNew)
    {
        if (Subnets.GetValueOrDefault((subnetId, shape.Family)) is not { } subnet)
            return null;
        if (!shape.IsSingle && subnet is { Prefixes: { } fragmented, PrefixesAtOnce: 0 })
            return fragmented;
        return subnet.AddressesAtOnce < (isNew ? shape.Size + 1 : 1) ? subnet.Addresses : null;
    }
}
