// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>What runs the instance; only Nitro (and bare metal) can hold prefixes.</summary>
public enum Hypervisor
{
    Nitro,
    Xen,

    /// <summary>Bare metal: DescribeInstanceTypes leaves the hypervisor out.</summary>
    None,
}

/// <summary>One network card of an instance type.</summary>
/// <param name="Index">0 is the card that holds the primary interface.</param>
/// <param name="MaxInterfaces">Interfaces on this card.</param>
public sealed record NetworkCard(int Index, int MaxInterfaces);

/// <summary>
/// The limits of an instance type, as DescribeInstanceTypes tells them. An interface has <see cref="Ipv4PerInterface"/> slots: the primary
/// address, every secondary address and every /28 prefix take one each.
/// </summary>
public sealed record InstanceType
{
    public required string Name { get; init; }

    /// <summary>On all cards, the primary interface included.</summary>
    public required int MaxInterfaces { get; init; }

    /// <summary>The primary address included.</summary>
    public required int Ipv4PerInterface { get; init; }
    public required int Ipv6PerInterface { get; init; }
    public required Hypervisor Hypervisor { get; init; }
    public required int Vcpus { get; init; }
    public required int MemoryMib { get; init; }
    public required IReadOnlyList<NetworkCard> NetworkCards { get; init; }

    public bool BareMetal => Hypervisor == Hypervisor.None;

    public bool SupportsPrefixes => Hypervisor != Hypervisor.Xen;

    /// <summary>
    /// Pods that kubelet is told to run with secondary addresses: interfaces x (addresses - 1) + 2 (aws-node's eni-max-pods.txt).
    /// </summary>
    public int MaxPodsWithSecondaryAddresses => MaxInterfaces * (Ipv4PerInterface - 1) + 2;
}
