// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Fabric;

namespace VpcCni.Lab.Hosting;

/// <summary>Status of a lab; <c>vpc-lab status --json</c> prints it.</summary>
internal sealed record LabStatus
{
    public required string Name { get; init; }

    public required LabCloud Cloud { get; init; }

    public required int ProcessId { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>False until every daemon serves.</summary>
    public required bool Ready { get; init; }

    /// <summary>Why the lab did not become ready, if it is kept for inspection; otherwise null.</summary>
    public string? KeptBecause { get; init; }

    public required string VpcRange { get; init; }

    /// <summary>The VPC's IPv6 range; null if it has none.</summary>
    public string? VpcIpv6Range { get; init; }

    public required IReadOnlyList<string> Subnets { get; init; }

    /// <summary>All subnets, including the pods'.</summary>
    public IReadOnlyList<SubnetStatus> AllSubnets { get; init; } = [];

    public IReadOnlyList<SecurityGroupStatus> SecurityGroups { get; init; } = [];

    /// <summary>URL at which nodes reach the cloud's API.</summary>
    public required string CloudEndpoint { get; init; }

    /// <summary>URL of the lab's APIs on the machine's loopback; null without <c>--listen</c>.</summary>
    public string? Listen { get; init; }

    /// <summary>The nodes' cluster; null if the lab has none.</summary>
    public ClusterStatus? Kubernetes { get; init; }

    /// <summary>Why the fabric cannot apply the VPC's state to the kernel; null if it can.</summary>
    public string? FabricFailure { get; init; }

    public required IReadOnlyList<NodeStatus> Nodes { get; init; }

    /// <summary>Packets dropped because no ENI owns their destination.</summary>
    public required DropCount DroppedUnowned { get; init; }

    /// <summary>Packets to the internet that the internet gateway dropped.</summary>
    public required DropCount DroppedInternetOutbound { get; init; }

    /// <summary>Packets from the internet that the internet gateway dropped.</summary>
    public required DropCount DroppedInternetInbound { get; init; }

    public required IReadOnlyList<CloudCallCount> CloudCalls { get; init; }

    /// <summary>Armed faults.</summary>
    public required IReadOnlyList<FaultSpec> Faults { get; init; }
}

/// <summary>A subnet of the VPC; on GCE, also a secondary range of a subnetwork.</summary>
/// <param name="FreeAddresses">Number of free IPv4 addresses.</param>
/// <param name="Ipv6Range">The subnet's IPv6 range; null if it has none.</param>
internal sealed record SubnetStatus(string Id, string Zone, string Range, int FreeAddresses, string? Ipv6Range = null);

internal sealed record SecurityGroupStatus(string Id, string Name);

internal sealed record NodeStatus
{
    public required string Name { get; init; }

    public required string InstanceId { get; init; }

    public required string InstanceType { get; init; }

    public required string Subnet { get; init; }

    public required string Address { get; init; }

    /// <summary>The first IPv6 address of the primary ENI; null if it has none.</summary>
    public string? Ipv6Address { get; init; }

    /// <summary>The node's <c>spec.podCIDRs</c>; empty without <c>--pod-cidr</c>.</summary>
    public IReadOnlyList<string> PodRanges { get; init; } = [];

    /// <summary>Path of the network namespace, for <c>nsenter --net=</c> or <c>ip netns exec</c>.</summary>
    public required string NetworkNamespace { get; init; }

    /// <summary><c>absent</c>, <c>starting</c>, <c>serving</c>, or <c>exited N</c>.</summary>
    public required string Ipamd { get; init; }

    public int? IpamdProcessId { get; init; }

    /// <summary>The daemon's resident memory.</summary>
    public double? IpamdResidentMebibytes { get; init; }

    public required string IpamdSocket { get; init; }

    /// <summary>Path of the daemon's program; null if the node has no daemon.</summary>
    public string? IpamdProgram { get; init; }

    /// <summary>The daemon's environment. A program that runs with it finds this node's files.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Folder of the node's socket, checkpoint and logs.</summary>
    public required string Folder { get; init; }

    public required IReadOnlyList<EniStatus> Enis { get; init; }

    public required IReadOnlyList<PodStatus> Pods { get; init; }
}

internal sealed record EniStatus
{
    public required string Id { get; init; }

    public required int DeviceIndex { get; init; }

    /// <summary>Name of the link in the node.</summary>
    public required string Link { get; init; }

    public required string Mac { get; init; }

    public required string AttachmentState { get; init; }

    public required string PrimaryAddress { get; init; }

    public required IReadOnlyList<string> SecondaryAddresses { get; init; }

    /// <summary>IPv4 prefixes.</summary>
    public required IReadOnlyList<string> Prefixes { get; init; }

    public IReadOnlyList<string> Ipv6Addresses { get; init; } = [];

    public IReadOnlyList<string> Ipv6Prefixes { get; init; } = [];

    public string SubnetId { get; init; } = "";

    public IReadOnlyList<string> SecurityGroups { get; init; } = [];

    /// <summary>Number of the lab's pods that have an address of this ENI.</summary>
    public int Pods { get; init; }

    /// <summary>Packets dropped because they left this ENI with a source that it does not own.</summary>
    public DropCount Spoofed { get; init; }
}

internal sealed record PodStatus
{
    /// <summary><c>namespace/name</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The first of <see cref="Addresses"/>.</summary>
    public required string Address { get; init; }

    /// <summary>The pod's addresses, in the order of the plugin's result: at most one of each family.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    public string? EniId { get; init; }

    public required string NetworkNamespace { get; init; }

    public required string ContainerId { get; init; }

    /// <summary>How long the plugin's process took for ADD.</summary>
    public required double AddMilliseconds { get; init; }
}

/// <summary>Number of calls of one operation with one outcome (<c>OK</c> or an error code).</summary>
internal sealed record CloudCallCount(string Operation, string Outcome, long Count);

/// <summary>A failure to inject into calls of the cloud's API.</summary>
internal sealed record FaultSpec
{
    /// <summary>The operation, for example <c>AttachNetworkInterface</c>, or <c>*</c>.</summary>
    public required string Operation { get; init; }

    public required string Code { get; init; }

    public string? Message { get; init; }

    /// <summary>Number of calls that it affects; null for no limit.</summary>
    public int? Times { get; init; }

    /// <summary>Whether the call takes effect and only its response is replaced by the error.</summary>
    public bool AfterEffect { get; init; }

    /// <summary>Accepts a code that the cloud does not document.</summary>
    public bool AnyCode { get; init; }
}

/// <summary>A limit of the IPv6 ranges of subnets.</summary>
/// <param name="Prefixes">Number of /80s that can be assigned; 0 exhausts the range.</param>
/// <param name="SubnetId">The subnet; null for all that have an IPv6 range.</param>
internal sealed record Ipv6RangeSpec(int Prefixes, string? SubnetId = null);

/// <summary>A change of the cloud's timing. A null value leaves the setting unchanged.</summary>
internal sealed record TimingSpec
{
    public double? AttachMilliseconds { get; init; }

    public double? DetachMilliseconds { get; init; }

    /// <summary>How long an operation takes; not on AWS, which has none.</summary>
    public double? OperationMilliseconds { get; init; }

    public double? DescribeLagMilliseconds { get; init; }

    public double? MetadataLagMilliseconds { get; init; }

    /// <summary>Calls per second above which the cloud throttles; 0 for no limit.</summary>
    public double? RatePerSecond { get; init; }
}
