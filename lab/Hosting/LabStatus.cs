// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Fabric;

namespace VpcCni.Lab.Hosting;

/// <summary>A lab as it is now: what <c>vpc-lab status --json</c> prints.</summary>
internal sealed record LabStatus
{
    public required string Name { get; init; }

    public required int ProcessId { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>False until every daemon serves.</summary>
    public required bool Ready { get; init; }

    /// <summary>Why the lab did not become ready and is kept; null for every other lab.</summary>
    public string? KeptBecause { get; init; }

    public required string VpcRange { get; init; }

    public required IReadOnlyList<string> Subnets { get; init; }

    /// <summary>All subnets, the pods' among them.</summary>
    public IReadOnlyList<SubnetStatus> AllSubnets { get; init; } = [];

    public IReadOnlyList<SecurityGroupStatus> SecurityGroups { get; init; } = [];

    /// <summary>The EC2 API as nodes reach it.</summary>
    public required string Ec2Endpoint { get; init; }

    /// <summary>The EC2 API on the machine's loopback, if asked for.</summary>
    public string? Listen { get; init; }

    /// <summary>The cluster that the nodes belong to; null when the lab has none.</summary>
    public ClusterStatus? Kubernetes { get; init; }

    /// <summary>Why the kernel does not show what the VPC wants; null when it does.</summary>
    public string? FabricFailure { get; init; }

    public required IReadOnlyList<NodeStatus> Nodes { get; init; }

    /// <summary>Packets dropped for an address that nobody owns, and at the internet gateway.</summary>
    public required DropCount DroppedUnowned { get; init; }

    public required DropCount DroppedInternetOutbound { get; init; }

    public required DropCount DroppedInternetInbound { get; init; }

    public required IReadOnlyList<Ec2CallCount> Ec2Calls { get; init; }

    /// <summary>Faults that are armed.</summary>
    public required IReadOnlyList<FaultSpec> Faults { get; init; }
}

/// <summary>A subnet of the VPC.</summary>
internal sealed record SubnetStatus(string Id, string Zone, string Range, int FreeAddresses);

internal sealed record SecurityGroupStatus(string Id, string Name);

internal sealed record NodeStatus
{
    public required string Name { get; init; }

    public required string InstanceId { get; init; }

    public required string InstanceType { get; init; }

    public required string Subnet { get; init; }

    public required string Address { get; init; }

    /// <summary>Path of the network namespace, for <c>nsenter --net=</c> or <c>ip netns exec</c>.</summary>
    public required string NetworkNamespace { get; init; }

    /// <summary><c>absent</c>, <c>starting</c>, <c>serving</c>, or <c>exited N</c>.</summary>
    public required string Ipamd { get; init; }

    public int? IpamdProcessId { get; init; }

    /// <summary>The daemon's resident memory.</summary>
    public double? IpamdResidentMebibytes { get; init; }

    public required string IpamdSocket { get; init; }

    /// <summary>The daemon's program; null without one.</summary>
    public string? IpamdProgram { get; init; }

    /// <summary>Variables that the daemon was started with: a program that has them, too, finds the files of this node.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Folder with the node's socket, checkpoint and logs.</summary>
    public required string Folder { get; init; }

    public required IReadOnlyList<EniStatus> Enis { get; init; }

    public required IReadOnlyList<PodStatus> Pods { get; init; }
}

internal sealed record EniStatus
{
    public required string Id { get; init; }

    public required int DeviceIndex { get; init; }

    /// <summary>The link's name in the node.</summary>
    public required string Link { get; init; }

    public required string Mac { get; init; }

    public required string AttachmentState { get; init; }

    public required string PrimaryAddress { get; init; }

    public required IReadOnlyList<string> SecondaryAddresses { get; init; }

    public required IReadOnlyList<string> Prefixes { get; init; }

    public string SubnetId { get; init; } = "";

    public IReadOnlyList<string> SecurityGroups { get; init; } = [];

    /// <summary>Pods of the lab with an address of this ENI.</summary>
    public required int Pods { get; init; }

    /// <summary>Packets that left it with a source that it does not own.</summary>
    public required DropCount Spoofed { get; init; }
}

internal sealed record PodStatus
{
    /// <summary><c>namespace/name</c>.</summary>
    public required string Name { get; init; }

    public required string Address { get; init; }

    public string? EniId { get; init; }

    public required string NetworkNamespace { get; init; }

    public required string ContainerId { get; init; }

    /// <summary>How long the plugin took for its ADD, as a process.</summary>
    public required double AddMilliseconds { get; init; }
}

/// <summary>Calls of one operation with one outcome (<c>OK</c> or an error code).</summary>
internal sealed record Ec2CallCount(string Operation, string Outcome, long Count);

/// <summary>A failure to inject into EC2 calls.</summary>
internal sealed record FaultSpec
{
    /// <summary>E.g. <c>AttachNetworkInterface</c>, or <c>*</c>.</summary>
    public required string Operation { get; init; }

    public required string Code { get; init; }

    public string? Message { get; init; }

    /// <summary>How often it strikes; null for ever.</summary>
    public int? Times { get; init; }

    /// <summary>The call takes effect and only its answer is lost.</summary>
    public bool AfterEffect { get; init; }

    /// <summary>The code may be one that EC2 does not document.</summary>
    public bool AnyCode { get; init; }
}

/// <summary>How EC2 behaves from now on; what is null stays as it is.</summary>
internal sealed record TimingSpec
{
    public double? AttachMilliseconds { get; init; }

    public double? DetachMilliseconds { get; init; }

    public double? DescribeLagMilliseconds { get; init; }

    public double? MetadataLagMilliseconds { get; init; }

    /// <summary>Calls per second after which EC2 throttles; 0 for no limit.</summary>
    public double? RatePerSecond { get; init; }
}
