// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>The number of interfaces, blocks and pods that this node can carry. Decided here and nowhere else.</summary>
/// <param name="MaxInterfaces">The instance type's limit, or MAX_ENI when lower; includes the primary interface.</param>
/// <param name="Lead">Blocks of the family that the targets count.</param>
/// <param name="Other">Blocks of the other family in dual stack; null otherwise.</param>
/// <param name="Pods">Most addresses to attach; whole blocks may exceed it.</param>
/// <param name="UsesPrimary">Whether the primary interface carries pods; false with custom networking.</param>
internal sealed record PoolCapacity(int MaxInterfaces, FamilyCapacity Lead, FamilyCapacity? Other, PodLimit Pods, bool UsesPrimary)
{
    public int MaxPods => Pods.Value;

    /// <summary>
    /// Whether one block has more addresses than a node can use, as an IPv6 prefix has: warm targets have no meaning, and one block on the
    /// primary interface is all that the pool grows to. An IPv4 prefix never is, however low max pods: its subnet may have none left, and
    /// addresses that cool are missing from it.
    /// </summary>
    public bool HasOneBlockForAll => UsesPrimary && Lead.Shape.Size >= BlockShape.MaxSize && Other is null;

    /// <param name="limits">The instance type's limits.</param>
    /// <param name="targets">MAX_ENI, VPCCNI_MAX_PODS and prefix delegation.</param>
    /// <param name="families">The families of the pods.</param>
    /// <param name="usesPrimary">See <see cref="UsesPrimary"/>.</param>
    public static PoolCapacity Of(NodeLimits limits, PoolTargets targets, PodFamilies families, bool usesPrimary)
    {
        var lead = FamilyCapacity.Of(families.Lead, limits, targets.UsesPrefixes);
        return new PoolCapacity(
            Math.Min(targets.MaxInterfaces ?? int.MaxValue, limits.MaxInterfaces),
            lead,
            families.Other is { } other ? FamilyCapacity.Of(other, limits, targets.UsesPrefixes) : null,
            new PodLimit(targets.MaxPods, Cluster: null, PodLimit.DefaultOf(limits.MaxInterfaces - (usesPrimary ? 0 : 1), lead)),
            usesPrimary
        );
    }
}

/// <summary>Max pods of the node. The first value that is known counts.</summary>
/// <param name="Configured">VPCCNI_MAX_PODS; null when unset.</param>
/// <param name="Cluster">Max pods of the cluster's node object; null while unknown.</param>
/// <param name="Default">The instance type's.</param>
internal sealed record PodLimit(int? Configured, int? Cluster, int Default)
{
    /// <summary>The kubelet's default of --max-pods.</summary>
    private const int KubeletDefault = 110;

    public int Value => Configured ?? Cluster ?? Default;

    /// <summary>
    /// The reference's formula: every block of every interface that carries pods, and two pods on the host network; with prefixes at most
    /// the kubelet's default.
    /// </summary>
    public static int DefaultOf(int podInterfaces, FamilyCapacity lead)
    {
        var addresses = ((long)podInterfaces * lead.BlocksPerInterface * lead.Shape.Size) + 2;
        return (int)(lead.Shape.IsSingle ? addresses : Math.Min(KubeletDefault, addresses));
    }
}

/// <summary>The blocks of one family that the pool grows by.</summary>
/// <param name="Shape">A prefix, or a single address.</param>
/// <param name="BlocksPerInterface">Most blocks on one interface.</param>
internal sealed record FamilyCapacity(BlockShape Shape, int BlocksPerInterface)
{
    /// <summary>A single address of the family, which replaces a prefix where a subnet has no whole one.</summary>
    public BlockShape Single => BlockShape.Single(Shape.Family);

    public static FamilyCapacity Of(AddressFamily family, NodeLimits limits, bool usesPrefixes)
    {
        var own = limits.Of(family);
        return new FamilyCapacity(usesPrefixes && own.Prefix is { } prefix ? prefix : BlockShape.Single(family), own.BlocksPerInterface);
    }
}
