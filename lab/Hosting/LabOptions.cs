// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>Options of a lab.</summary>
internal sealed record LabOptions
{
    /// <summary>Maximum number of nodes. Each runs a daemon, and more would exceed the memory of a test machine.</summary>
    public const int MaxNodes = 64;

    /// <summary>Pod capacity of a node of GKE by default.</summary>
    public const int GkeMaxPods = 110;

    /// <summary>Pod capacity of a node of AKS with Azure CNI by default.</summary>
    public const int AksMaxPods = 30;

    /// <summary>Prefix lengths of a node's pod ranges, as kube-controller-manager assigns them by default.</summary>
    private const int Ipv4PodPrefix = 24;
    private const int Ipv6PodPrefix = 64;

    /// <summary>Where the default secondary ranges of subnetworks are, and their prefix length (GCE).</summary>
    private static readonly IPNetwork DefaultPodSpace = IPNetwork.Parse("10.4.0.0/14");
    private const int DefaultPodRangePrefix = 18;

    public string Name { get; init; } = "lab";

    /// <summary>The cloud whose API, metadata and network the lab has.</summary>
    public LabCloud Cloud { get; init; }

    /// <summary>
    /// Number of nodes in each subnet, in the order of <see cref="Subnets"/>. A single number is spread round robin over all subnets.
    /// </summary>
    public IReadOnlyList<int> Nodes { get; init; } = [2];

    public string InstanceType { get; init; } = DefaultTypeOf(LabCloud.Aws);

    public IPNetwork VpcRange { get; init; } = IPNetwork.Parse("10.0.0.0/16");

    public LabFamily Family { get; init; }

    /// <summary>The VPC's IPv6 range; null for the default (<see cref="DefaultIpv6Range"/>). Only with IPv6.</summary>
    public IPNetwork? VpcIpv6Range { get; init; }

    /// <summary>The nodes' subnets. If empty, one subnet: the first /20 of the VPC, or all of it if it is smaller.</summary>
    public IReadOnlyList<IPNetwork> Subnets { get; init; } = [];

    /// <summary>
    /// Subnets for pods only (custom networking), spread round robin over the zones of <see cref="Subnets"/>. A subnet outside
    /// <see cref="VpcRange"/> is added to the VPC as a range. On GCE, secondary ranges, spread round robin over <see cref="Subnets"/>; by
    /// default each subnetwork has one.
    /// </summary>
    public IReadOnlyList<IPNetwork> PodSubnets { get; init; } = [];

    /// <summary>
    /// Ranges of which each node gets a part as its <c>spec.podCIDRs</c>, a /24 or a /64, as from a cluster CIDR; at most one of each
    /// family.
    /// </summary>
    public IReadOnlyList<IPNetwork> PodCidrs { get; init; } = [];

    /// <summary>
    /// Whether the nodes may forward: EC2's source/destination check disabled, GCE's canIpForward or Azure's enableIPForwarding set.
    /// </summary>
    public bool MayForward { get; init; }

    /// <summary>Name of the scale set that the nodes are of; null for virtual machines by themselves. Only on Azure.</summary>
    public string? ScaleSet { get; init; }

    /// <summary>How long an operation takes; not on AWS.</summary>
    public TimeSpan OperationLatency { get; init; } = TimeSpan.Zero;

    /// <summary>Latency of every call of the cloud's API.</summary>
    public TimeSpan Ec2Latency { get; init; } = TimeSpan.Zero;

    /// <summary>How long EC2 takes to attach or detach an ENI after it has responded.</summary>
    public TimeSpan AttachLatency { get; init; } = TimeSpan.Zero;

    /// <summary>
    /// EC2's device index of the nodes' primary ENIs. A value other than 0 tests that a daemon finds its primary ENI by the MAC address in
    /// the metadata.
    /// </summary>
    public int PrimaryDeviceIndex { get; init; }

    /// <summary>Calls per second above which the cloud's API throttles; null for no limit.</summary>
    public double? Ec2Rate { get; init; }

    /// <summary>Whether the lab has a Kubernetes cluster, whose API the daemons use.</summary>
    public bool HasKubernetes { get; init; } = true;

    /// <summary>Pod capacity of a node, like kubelet's --max-pods; null derives it from the type, see <see cref="MaxPodsOf"/>.</summary>
    public int? MaxPods { get; init; }

    /// <summary>
    /// Loopback endpoint in the caller's namespace that serves the EC2 API, metadata and Kubernetes API; null for none.
    /// </summary>
    public IPEndPoint? Listen { get; init; }

    /// <summary>Additional environment of every ipamd, for example WARM_IP_TARGET.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Path of ipamd; null for nodes without a daemon.</summary>
    public string? IpamdPath { get; init; }

    /// <summary>Path of the CNI plugin; null for a lab without pods.</summary>
    public string? PluginPath { get; init; }

    /// <summary>Folder of the labs' sockets, logs and state; each lab has a folder in it.</summary>
    public string RunFolder { get; init; } = "/run/vpc-lab";

    /// <summary>How long a daemon may take to start serving.</summary>
    public TimeSpan ReadyDeadline { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The VPC's IPv6 range in a lab with IPv6 (documentation range, RFC 3849).</summary>
    public static readonly IPNetwork DefaultIpv6Range = IPNetwork.Parse("2001:db8:0:100::/56");

    /// <summary>The VPC's IPv6 range, with the default applied; null in an IPv4 lab.</summary>
    public IPNetwork? EffectiveIpv6Range => Family == LabFamily.Ipv4 ? null : VpcIpv6Range ?? DefaultIpv6Range;

    /// <summary>
    /// IPv6 ranges of <see cref="EffectiveSubnets"/> and then of <see cref="PodSubnets"/>, in order: the VPC range's /64s from the second,
    /// because an address of the first is hard to tell from the range. Empty in an IPv4 lab.
    /// </summary>
    public IReadOnlyList<IPNetwork> Ipv6Subnets =>
        EffectiveIpv6Range is { } range
            ? [.. Enumerable.Range(1, EffectiveSubnets.Count + PodSubnets.Count).Select(index => Ipv6SubnetOf(range, index))]
            : [];

    /// <summary>Variables of the daemons that the family sets; <see cref="Environment"/> overrides them.</summary>
    public IReadOnlyDictionary<string, string> FamilyEnvironment =>
        Family switch
        {
            LabFamily.Ipv4 => new Dictionary<string, string> { ["ENABLE_IPv4"] = "true", ["ENABLE_IPv6"] = "false" },
            LabFamily.Ipv6 => new Dictionary<string, string>
            {
                ["ENABLE_IPv4"] = "false",
                ["ENABLE_IPv6"] = "true",
                ["ENABLE_PREFIX_DELEGATION"] = "true",
            },
            _ => new Dictionary<string, string> { ["ENABLE_IPv4"] = "true", ["ENABLE_IPv6"] = "true" },
        };

    /// <summary>
    /// Families of which pods that lack them get a node-local address, as <c>ipamd install</c> configures the plugin by
    /// ENABLE_V4_EGRESS and ENABLE_V6_EGRESS. Empty in a lab without daemons, where nothing would translate such an address.
    /// </summary>
    public IReadOnlyList<AddressFamily> NodeLocalFamilies =>
        IpamdPath is null
            ? []
            :
            [
                .. IsOn("ENABLE_V4_EGRESS", byDefault: true) ? [IpFamily.V4] : (AddressFamily[])[],
                .. IsOn("ENABLE_V6_EGRESS", byDefault: false) ? [IpFamily.V6] : (AddressFamily[])[],
            ];

    /// <summary>The nodes' subnets, with the default applied.</summary>
    public IReadOnlyList<IPNetwork> EffectiveSubnets =>
        Subnets.Count > 0 ? Subnets : [new IPNetwork(VpcRange.BaseAddress, Math.Max(20, VpcRange.PrefixLength))];

    /// <summary>The ranges that the network routes, as the fabric has them at the start.</summary>
    public IReadOnlyList<IPNetwork> NetworkRanges =>
        Cloud switch
        {
            LabCloud.Gce => [.. EffectiveSubnets, .. Enumerable.Range(0, EffectiveSubnets.Count).SelectMany(PodRangesOf)],
            _ => [VpcRange, .. EffectiveIpv6Range is { } ipv6 ? [ipv6] : (IPNetwork[])[]],
        };

    /// <summary>The subnets with a gateway in the fabric.</summary>
    public IReadOnlyList<IPNetwork> FabricSubnets =>
        Cloud == LabCloud.Gce ? EffectiveSubnets : [.. EffectiveSubnets, .. PodSubnets, .. Ipv6Subnets];

    /// <summary>The secondary ranges of a subnetwork (GCE), by its index in <see cref="EffectiveSubnets"/>.</summary>
    public IEnumerable<IPNetwork> PodRangesOf(int subnet) =>
        PodSubnets.Count > 0
            ? PodSubnets.Where((_, index) => index % EffectiveSubnets.Count == subnet)
            : [Part(DefaultPodSpace, DefaultPodRangePrefix, subnet)];

    /// <summary>The <c>spec.podCIDRs</c> of a node, by its index; empty without <see cref="PodCidrs"/>.</summary>
    public IReadOnlyList<IPNetwork> PodRangesOfNode(int node) =>
        [.. PodCidrs.Select(range => Part(range, FabricAddresses.IsIpv6(range) ? Ipv6PodPrefix : Ipv4PodPrefix, node))];

    /// <summary>Instance type of a cloud's nodes by default.</summary>
    public static string DefaultTypeOf(LabCloud cloud) =>
        cloud switch
        {
            LabCloud.Gce => MachineTypes.GceDefault,
            LabCloud.Azure => MachineTypes.AzureDefault,
            _ => "m5.large",
        };

    /// <summary>The name of a cloud on the command line.</summary>
    public static string NameOf(LabCloud cloud) => cloud.ToString().ToLowerInvariant();

    /// <summary>The part of a range with a prefix length and an index.</summary>
    private static IPNetwork Part(IPNetwork range, int prefixLength, int index)
    {
        var bytes = range.BaseAddress.GetAddressBytes();
        var carry = (long)index;
        for (var octet = prefixLength / 8 - (prefixLength % 8 == 0 ? 1 : 0); octet >= 0 && carry > 0; octet--)
        {
            var shift = octet == prefixLength / 8 ? 8 - prefixLength % 8 : 0;
            var sum = bytes[octet] + (carry << shift);
            (bytes[octet], carry) = ((byte)sum, sum >> 8);
        }

        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    /// <summary>The subnet's index in <see cref="EffectiveSubnets"/>, for each node in order.</summary>
    public IReadOnlyList<int> Placement =>
        Nodes.Count == 1
            ? [.. Enumerable.Range(0, Nodes[0]).Select(node => node % EffectiveSubnets.Count)]
            : [.. Nodes.SelectMany((count, subnet) => Enumerable.Repeat(subnet, count))];

    /// <summary>
    /// Pod capacity that EKS configures for a type (max-pods-calculator.sh): interfaces x (addresses - 1) + 2. With prefixes:
    /// interfaces x (addresses - 1) x 16 + 2, at most 110, or 250 with more than 30 CPUs. <see cref="MaxPods"/> overrides it.
    /// </summary>
    public int MaxPodsOf(InstanceType type)
    {
        if (MaxPods is { } fixedNumber)
            return fixedNumber;
        const string Prefixes = "ENABLE_PREFIX_DELEGATION";
        var prefixes = Environment.GetValueOrDefault(Prefixes) ?? FamilyEnvironment.GetValueOrDefault(Prefixes);
        if (!string.Equals(prefixes, "true", StringComparison.OrdinalIgnoreCase))
            return type.MaxPodsWithSecondaryAddresses;
        return Math.Min(type.MaxInterfaces * (type.Ipv4PerInterface - 1) * 16 + 2, type.Vcpus > 30 ? 250 : 110);
    }

    /// <summary>Reads a flag of the daemons' environment, with the spellings of true that the daemon accepts.</summary>
    private bool IsOn(string variable, bool byDefault) =>
        Environment.GetValueOrDefault(variable) is { Length: > 0 } value
            ? value is "1" or "t" or "T" or "true" or "TRUE" or "True"
            : byDefault;

    private IEnumerable<string> Ipv6Problems()
    {
        if (Family == LabFamily.Ipv4)
        {
            if (VpcIpv6Range is { } unused)
                yield return $"--vpc-ipv6-cidr {unused}: only with --family ipv6 or dual";
            yield break;
        }

        var range = EffectiveIpv6Range!.Value;
        var family = Family == LabFamily.Ipv6 ? "ipv6" : "dual";
        var subnets = EffectiveSubnets.Count + PodSubnets.Count;
        if (range.BaseAddress.AddressFamily != IpFamily.V6)
            yield return $"--vpc-ipv6-cidr {range}: expected an IPv6 range";
        else if (range.PrefixLength is < 44 or > 60 || range.PrefixLength % 4 != 0)
            yield return $"--vpc-ipv6-cidr {range}: a VPC is a /44 to a /60, in steps of 4; Amazon's ranges are /56";
        else if (FabricAddresses.Problem(range) is { } problem)
            yield return $"--vpc-ipv6-cidr: {problem}";
        else if (subnets >= 1 << (64 - range.PrefixLength))
            yield return $"--vpc-ipv6-cidr {range}: too small for {subnets} subnets, each of which is a /64";
        if (InstanceTypeCatalog.Common.GetValueOrDefault(InstanceType) is { } type && !(type.SupportsIpv6 && type.SupportsPrefixes))
            yield return $"--instance-type {InstanceType}: --family {family} needs a type with IPv6 and prefixes, which only Nitro has";
    }

    private IEnumerable<string> CloudProblems()
    {
        var name = NameOf(Cloud);
        if (ScaleSet is not null && Cloud != LabCloud.Azure)
            yield return "--scale-set: only with --cloud azure";
        if (ScaleSet is { } scaleSet && !(scaleSet.Length is > 0 and <= 64 && scaleSet.All(c => char.IsAsciiLetterOrDigit(c) || c == '-')))
            yield return $"--scale-set {scaleSet}: expected 1 to 64 letters, digits and hyphens";
        if (Cloud == LabCloud.Aws)
        {
            if (OperationLatency != TimeSpan.Zero)
                yield return "--operation-latency: EC2 has no operations; use --attach-latency";
            yield break;
        }

        if (Family != LabFamily.Ipv4)
            yield return $"--family: with --cloud {name}, pods have IPv4 addresses only";
        if (AttachLatency != TimeSpan.Zero)
            yield return $"--attach-latency: with --cloud {name}, interfaces are not attached; use --operation-latency";
        if (PrimaryDeviceIndex != 0)
            yield return $"--primary-device-index: only with --cloud aws";
        if (OperationLatency < TimeSpan.Zero || OperationLatency > TimeSpan.FromMinutes(5))
            yield return $"--operation-latency {OperationLatency.TotalMilliseconds}: expected 0 to 300000 ms";
        if (Cloud == LabCloud.Azure)
        {
            if (MachineTypes.AzureCpus(InstanceType) is null)
                yield return $"--instance-type {InstanceType}: the lab has D sizes of Azure, such as {MachineTypes.AzureDefault}";
            if (PodSubnets.Count > 0)
                yield return "--pod-subnet-cidr: with --cloud azure, all addresses of an interface are of one subnet";
        }

        if (Cloud == LabCloud.Gce)
        {
            if (MachineTypes.GceCpus(InstanceType) is null)
                yield return $"--instance-type {InstanceType}: the lab has standard types of GCE, such as {MachineTypes.GceDefault}";
            var available = 1 << (DefaultPodRangePrefix - DefaultPodSpace.PrefixLength);
            if (PodSubnets.Count == 0 && EffectiveSubnets.Count > available)
                yield return $"--subnet-cidr: more than {available} subnetworks need --pod-subnet-cidr for their secondary ranges";
            else if (NetworkRanges.Index().FirstOrDefault(range => Overlaps(range.Item, range.Index)) is { Index: > 0 } clash)
                yield return $"--pod-subnet-cidr: {clash.Item} overlaps another range of the network";
        }

        bool Overlaps(IPNetwork range, int index) =>
            NetworkRanges.Take(index).Any(other => other.Contains(range.BaseAddress) || range.Contains(other.BaseAddress));
    }

    private IEnumerable<string> PodCidrProblems()
    {
        foreach (var (index, range) in PodCidrs.Index())
        {
            var isIpv6 = FabricAddresses.IsIpv6(range);
            var length = isIpv6 ? Ipv6PodPrefix : Ipv4PodPrefix;
            if (PodCidrs.Take(index).Any(other => FabricAddresses.IsIpv6(other) == isIpv6))
                yield return $"--pod-cidr {range}: at most one range of each family";
            else if (range.PrefixLength > length || (length - range.PrefixLength < 16 && 1 << (length - range.PrefixLength) < Nodes.Sum()))
                yield return $"--pod-cidr {range}: each of {Nodes.Sum()} nodes needs a /{length} of it";
            else if (FabricAddresses.Problem(range) is not null)
                yield return $"--pod-cidr {range}: overlaps addresses that the lab reserves";
            else if (NetworkRanges.Concat(PodSubnets).Any(other => other.Contains(range.BaseAddress) || range.Contains(other.BaseAddress)))
                yield return $"--pod-cidr {range}: overlaps the network's ranges";
        }
    }

    private static IPNetwork Ipv6SubnetOf(IPNetwork range, int index)
    {
        var bytes = range.BaseAddress.GetAddressBytes();
        var upper = BinaryPrimitives.ReadUInt64BigEndian(bytes) + (ulong)index;
        BinaryPrimitives.WriteUInt64BigEndian(bytes, upper);
        return new IPNetwork(new IPAddress(bytes), 64);
    }

    /// <summary>Returns every problem with the options, as messages for the user.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        if (FabricNames.Problem(Name) is { } name)
            problems.Add(name);
        if (Nodes.Any(count => count < 0) || Nodes.Sum() is < 1 or > MaxNodes)
            problems.Add($"--nodes {string.Join(',', Nodes)}: expected 1 to {MaxNodes} nodes in total");
        if (FabricAddresses.Problem(VpcRange) is { } range)
            problems.Add(range);
        if (VpcRange.BaseAddress.AddressFamily != IpFamily.V4)
            problems.Add($"--vpc-cidr {VpcRange}: expected an IPv4 range; --vpc-ipv6-cidr sets the IPv6 range");
        else if (VpcRange.PrefixLength is < 16 or > 28)
            problems.Add($"--vpc-cidr {VpcRange}: a VPC is a /16 to a /28");
        problems.AddRange(Cloud == LabCloud.Aws ? Ipv6Problems() : []);
        problems.AddRange(CloudProblems());
        problems.AddRange(PodCidrProblems());
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
            problems.Add("--subnet-cidr: a subnet is given twice");
        if (Nodes.Count > 1 && Nodes.Count != EffectiveSubnets.Count)
            problems.Add(
                $"--nodes {string.Join(',', Nodes)}: has numbers for {Nodes.Count} subnets, but there are {EffectiveSubnets.Count}"
            );
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
            problems.Add($"--listen {listen}: expected a loopback address; a lab does not serve other machines");
        foreach (var (path, option) in ((string?, string)[])[(IpamdPath, "--ipamd"), (PluginPath, "--plugin")])
        {
            if (path is not null && !File.Exists(path))
                problems.Add($"{option} {path}: no such file; build it first (make build)");
        }

        return problems;
    }
}
