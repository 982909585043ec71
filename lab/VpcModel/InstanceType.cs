// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>Hypervisor of an instance type. Nitro and bare metal support prefixes; Xen does not.</summary>
public enum Hypervisor
{
    Nitro,
    Xen,

    /// <summary>Bare metal, for which DescribeInstanceTypes returns no hypervisor.</summary>
    None,
}

/// <summary>A network card of an instance type.</summary>
/// <param name="Index">Index of the card; card 0 has the primary interface.</param>
/// <param name="MaxInterfaces">Maximum number of interfaces on this card.</param>
public sealed record NetworkCard(int Index, int MaxInterfaces);

/// <summary>
/// The limits of an instance type, as DescribeInstanceTypes reports them. An interface has <see cref="Ipv4PerInterface"/> slots: the
/// primary address, every secondary address and every /28 prefix take one each.
/// </summary>
public sealed record InstanceType
{
    public required string Name { get; init; }

    /// <summary>Maximum number of interfaces on all cards, including the primary one.</summary>
    public required int MaxInterfaces { get; init; }

    /// <summary>Slots of an interface, including that of the primary address.</summary>
    public required int Ipv4PerInterface { get; init; }

    /// <summary>IPv6 slots of an interface, where every address and every /80 prefix takes one; 0 without IPv6.</summary>
    public required int Ipv6PerInterface { get; init; }
    public required Hypervisor Hypervisor { get; init; }
    public required int Vcpus { get; init; }
    public required int MemoryMib { get; init; }
    public required IReadOnlyList<NetworkCard> NetworkCards { get; init; }

    public bool BareMetal => Hypervisor == Hypervisor.None;

    public bool SupportsIpv6 => Ipv6PerInterface > 0;

    /// <summary>Whether interfaces of the type can have /28 and /80 prefixes.</summary>
    public bool SupportsPrefixes => Hypervisor != Hypervisor.Xen;

    /// <summary>
    /// Pod capacity that EKS configures with secondary addresses: interfaces x (addresses - 1) + 2 (aws-node's eni-max-pods.txt).
    /// </summary>
    public int MaxPodsWithSecondaryAddresses => MaxInterfaces * (Ipv4PerInterface - 1) + 2;
}
