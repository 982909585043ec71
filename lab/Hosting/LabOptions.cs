// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Hosting;

/// <summary>Everything that a lab is started with.</summary>
internal sealed record LabOptions
{
    /// <summary>More nodes than this need more memory than a test machine has to spare: each runs a daemon.</summary>
    public const int MaxNodes = 64;

    public string Name { get; init; } = "lab";

    /// <summary>Nodes of each subnet, in the order of <see cref="Subnets"/>. One number is spread round robin over all subnets.</summary>
    public IReadOnlyList<int> Nodes { get; init; } = [2];

    public string InstanceType { get; init; } = "m5.large";

    public IPNetwork VpcRange { get; init; } = IPNetwork.Parse("10.0.0.0/16");

    /// <summary>Empty: the first /20 of the VPC, or all of it when it is smaller.</summary>
    public IReadOnlyList<IPNetwork> Subnets { get; init; } = [];

    /// <summary>
    /// Subnets without nodes, for pods (custom networking): in the zones of <see cref="Subnets"/>, round robin. One outside of
    /// <see cref="VpcRange"/> becomes a further range of the VPC.
    /// </summary>
    public IReadOnlyList<IPNetwork> PodSubnets { get; init; } = [];

    /// <summary>How long every EC2 call takes.</summary>
    public TimeSpan Ec2Latency { get; init; } = TimeSpan.Zero;

    /// <summary>How long EC2 takes to attach or to detach an ENI after it has answered.</summary>
    public TimeSpan AttachLatency { get; init; } = TimeSpan.Zero;

    /// <summary>
    /// EC2's device index of the nodes' primary ENIs: not 0 shows whether a daemon goes by the MAC address of the metadata.
    /// </summary>
    public int PrimaryDeviceIndex { get; init; }

    /// <summary>Calls per second after which the EC2 API throttles; null for no limit.</summary>
    public double? Ec2Rate { get; init; }

    /// <summary>The nodes belong to a Kubernetes cluster, and their daemons reach its API.</summary>
    public bool HasKubernetes { get; init; } = true;

    /// <summary>Pods that a node may run, as kubelet's --max-pods; null: by its type, see <see cref="MaxPodsOf"/>.</summary>
    public int? MaxPods { get; init; }

    /// <summary>
    /// Loopback endpoint in the caller's own namespace for the EC2 API, the metadata and the Kubernetes API; null for none.
    /// </summary>
    public IPEndPoint? Listen { get; init; }

    /// <summary>Extra environment of every ipamd, e.g. WARM_IP_TARGET.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>The ipamd binary; null runs the nodes without a daemon.</summary>
    public string? IpamdPath { get; init; }

    /// <summary>The CNI plugin's binary; null refuses pods.</summary>
    public string? PluginPath { get; init; }

    /// <summary>Where labs keep their sockets, logs and state; one folder each.</summary>
    public string RunFolder { get; init; } = "/run/vpc-lab";

    /// <summary>How long a daemon may take until it serves.</summary>
    public TimeSpan ReadyDeadline { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The subnets that the lab really has.</summary>
    public IReadOnlyList<IPNetwork> EffectiveSubnets =>
        Subnets.Count > 0 ? Subnets : [new IPNetwork(VpcRange.BaseAddress, Math.Max(20, VpcRange.PrefixLength))];

    /// <summary>For each node, in order, the index of its subnet.</summary>
    public IReadOnlyList<int> Placement =>
        Nodes.Count == 1
            ? [.. Enumerable.Range(0, Nodes[0]).Select(node => node % EffectiveSubnets.Count)]
            : [.. Nodes.SelectMany((count, subnet) => Enumerable.Repeat(subnet, count))];

    /// <summary>
    /// What EKS tells kubelet (max-pods-calculator.sh): interfaces x (addresses - 1) + 2; with prefixes sixteen times as many addresses,
    /// and then at most 110, or 250 on a node with more than 30 CPUs.
    /// </summary>
    public int MaxPodsOf(InstanceType type)
    {
        if (MaxPods is { } fixedNumber)
            return fixedNumber;
        if (!string.Equals(Environment.GetValueOrDefault("ENABLE_PREFIX_DELEGATION"), "true", StringComparison.OrdinalIgnoreCase))
            return type.MaxPodsWithSecondaryAddresses;
        return Math.Min(type.MaxInterfaces * (type.Ipv4PerInterface - 1) * 16 + 2, type.Vcpus > 30 ? 250 : 110);
    }

    /// <summary>All that is wrong with the options, in words for the user.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        if (FabricNames.Problem(Name) is { } name)
            problems.Add(name);
        if (Nodes.Any(count => count < 0) || Nodes.Sum() is < 1 or > MaxNodes)
            problems.Add($"--nodes {string.Join(',', Nodes)}: expected 1 to {MaxNodes} nodes in all");
        if (FabricAddresses.Problem(VpcRange) is { } range)
            problems.Add(range);
        if (VpcRange.BaseAddress.AddressFamily == AddressFamily.InterNetwork && VpcRange.PrefixLength is < 16 or > 28)
            problems.Add($"--vpc-cidr {VpcRange}: a VPC is a /16 to a /28");
        foreach (var subnet in Subnets)
        {
            if (subnet.PrefixLength is < 16 or > 28)
                problems.Add($"--subnet-cidr {subnet}: a subnet is a /16 to a /28");
            if (!VpcRange.Contains(subnet.BaseAddress) || subnet.PrefixLength < VpcRange.PrefixLength)
                problems.Add($"--subnet-cidr {subnet}: not within the VPC's range {VpcRange}");
            if (Subnets.Any(other => other != subnet && other.Contains(subnet.BaseAddress)))
                problems.Add($"--subnet-cidr {subnet}: overlaps another subnet");
        }

        foreach (var subnet in PodSubnets)
        {
            if (subnet.PrefixLength is < 16 or > 28)
                problems.Add($"--pod-subnet-cidr {subnet}: a subnet is a /16 to a /28");
            if (FabricAddresses.Problem(subnet) is { } taken)
                problems.Add($"--pod-subnet-cidr {subnet}: {taken}");
            if (
                EffectiveSubnets.Concat(PodSubnets).Count(other => other.Contains(subnet.BaseAddress) || subnet.Contains(other.BaseAddress))
                > 1
            )
                problems.Add($"--pod-subnet-cidr {subnet}: overlaps another subnet");
            if (!VpcRange.Contains(subnet.BaseAddress) && subnet.Contains(VpcRange.BaseAddress))
                problems.Add($"--pod-subnet-cidr {subnet}: overlaps the VPC's range {VpcRange}");
        }

        if (Subnets.Distinct().Count() != Subnets.Count)
            problems.Add("--subnet-cidr: the same subnet is given twice");
        if (Nodes.Count > 1 && Nodes.Count != EffectiveSubnets.Count)
            problems.Add($"--nodes {string.Join(',', Nodes)}: numbers for {Nodes.Count} subnets, but there are {EffectiveSubnets.Count}");
        if (Ec2Latency < TimeSpan.Zero || Ec2Latency > TimeSpan.FromMinutes(5))
            problems.Add($"--ec2-latency {Ec2Latency.TotalMilliseconds}: expected 0 to 300000 ms");
        if (AttachLatency < TimeSpan.Zero || AttachLatency > TimeSpan.FromMinutes(5))
            problems.Add($"--attach-latency {AttachLatency.TotalMilliseconds}: expected 0 to 300000 ms");
        if (PrimaryDeviceIndex is < 0 or > 99)
            problems.Add($"--primary-device-index {PrimaryDeviceIndex}: expected 0 to 99");
        if (MaxPods is <= 0)
            problems.Add($"--max-pods {MaxPods}: expected a number above 0");
        if (Ec2Rate is { } rate && !(rate > 0))
            problems.Add($"--ec2-rate {rate}: expected a number above 0");
        if (Listen is { } listen && !IPAddress.IsLoopback(listen.Address))
            problems.Add($"--listen {listen}: expected a loopback address; a lab is never served to other machines");
        foreach (var (path, option) in ((string?, string)[])[(IpamdPath, "--ipamd"), (PluginPath, "--plugin")])
        {
            if (path is not null && !File.Exists(path))
                problems.Add($"{option} {path}: no such file; build it first (make build)");
        }

        return problems;
    }
}
