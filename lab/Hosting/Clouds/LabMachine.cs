// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Hosting;

/// <summary>The instance of a node, as every cloud has one.</summary>
internal sealed record LabMachine
{
    /// <summary>The instance's id in its cloud, for example <c>i-0f3a…</c>.</summary>
    public required string Id { get; init; }

    public required string Type { get; init; }

    public required string Zone { get; init; }

    public required string Region { get; init; }

    /// <summary><c>spec.providerID</c> of the node, for example <c>gce://project/zone/name</c>.</summary>
    public required string ProviderId { get; init; }

    public required int Vcpus { get; init; }

    public required int MemoryMebibytes { get; init; }

    /// <summary>The subnet of the primary interface.</summary>
    public required IPNetwork Subnet { get; init; }

    /// <summary>The primary IPv4 address.</summary>
    public required IPAddress Address { get; init; }

    /// <summary>The primary interface's first IPv6 address at its launch; null if it has none.</summary>
    public IPAddress? Ipv6Address { get; init; }

    /// <summary>Pod capacity of the node.</summary>
    public required int MaxPods { get; init; }

    /// <summary>The instance in the model of EC2; null on other clouds.</summary>
    public Instance? Ec2Instance { get; init; }
}
