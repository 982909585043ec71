// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// Everything that a seed determines: the node, its options, the load, and the amount of each kind of fault. Many scenarios disable each
/// kind completely, so that no kind hides another.
/// </summary>
internal sealed record Scenario
{
    private static readonly string[] Types =
    [
        "t3.nano",
        "t3.small",
        "t3.small",
        "t3.medium",
        "m5.large",
        "m5.large",
        "m4.large",
        "m5.xlarge",
        "c5.4xlarge",
    ];

    public required int Seed { get; init; }
    public required InstanceType Type { get; init; }

    // Options of the daemon.
    public required int WarmEni { get; init; }
    public required int WarmIp { get; init; }
    public required int MinimumIp { get; init; }
    public required int? MaxEni { get; init; }
    public required int MaxPods { get; init; }
    public required bool SetsMaxPods { get; init; }
    public required TimeSpan Cooldown { get; init; }
    public required TimeSpan AddWait { get; init; }
    public required bool ManageUntagged { get; init; }
    public required bool UsesPrefixes { get; init; }
    public required int WarmPrefix { get; init; }
    public required bool DiscoversSubnets { get; init; }

    /// <summary>The families of the pods; null for IPv4 in a VPC without IPv6.</summary>
    public required FamilyPlan? Families { get; init; }

    // The cluster. Null for custom networking: the pods are where the subnets' tags say.
    public required CustomNetworkPlan? CustomNetwork { get; init; }
    public required TimeSpan? MeanGroupChange { get; init; }

    // The subnets and their other tenants. The first is the primary interface's.
    public required IReadOnlyList<SubnetPlan> Subnets { get; init; }
    public required double Neighbours { get; init; }

    // Load.
    public required TimeSpan Trouble { get; init; }
    public required int PodsAtMost { get; init; }
    public required TimeSpan MeanLifetime { get; init; }
    public required TimeSpan MeanArrival { get; init; }
    public required double BurstShare { get; init; }
    public required double PluginFails { get; init; }
    public required TimeSpan PluginDelay { get; init; }
    public required double ClientLeaves { get; init; }
    public required double DuplicateAdds { get; init; }
    public required double LostDeletes { get; init; }
    public required double RepeatedDeletes { get; init; }

    /// <summary>
    /// The plugin's handling of DELs that the daemon does not answer; null when the runtime repeats them until they are answered.
    /// </summary>
    public required NotePlan? Notes { get; init; }

    /// <summary>Faults of the host's network; null for none.</summary>
    public required HostPlan? Host { get; init; }

    // Cloud.
    public required CallLatency Latency { get; init; }
    public required TimeSpan AttachLatency { get; init; }
    public required TimeSpan DetachLatency { get; init; }
    public required TimeSpan DescribeLag { get; init; }
    public required TimeSpan MetadataLag { get; init; }
    public required double FailsBefore { get; init; }
    public required double FailsAfter { get; init; }
    public required TimeSpan? MeanFaultWindow { get; init; }
    public required double? MutatingRate { get; init; }
    public required TimeSpan? MeanInterference { get; init; }
    public required bool HidesFromMetadata { get; init; }
    public required TimeSpan? MeanOperator { get; init; }

    /// <summary>Mean time between restarts of the daemon while every EC2 call fails or is throttled.</summary>
    public required TimeSpan? MeanAway { get; init; }

    // The machine.
    public required TimeSpan? MeanCrash { get; init; }
    public required double CrashAtCall { get; init; }
    public required double CrashAtWrite { get; init; }
    public required double DiskFails { get; init; }
    public required double KernelFails { get; init; }
    public required TimeSpan? MeanClockJump { get; init; }

    /// <summary>kubelet's default for max pods.</summary>
    private const int KubeletPods = 110;

    /// <summary>The mode of the first daemon run.</summary>
    public PodMode Mode => Families?.Mode ?? PodMode.Ipv4;

    /// <summary>Addresses or prefixes of the family that the targets count on one interface, without the node's own.</summary>
    public int PerInterface(PodMode mode) => (mode == PodMode.Ipv6 ? Type.Ipv6PerInterface : Type.Ipv4PerInterface) - 1;

    /// <summary>
    /// Max pods as documented: interfaces x (addresses - 1) + 2; with prefixes 16 times the addresses, at most kubelet's default, which an
    /// IPv6 prefix always exceeds.
    /// </summary>
    public int PodLimit(bool usesPrefixes, PodMode mode) =>
        SetsMaxPods ? MaxPods
        : !usesPrefixes || !Type.SupportsPrefixes ? (PodInterfaces * PerInterface(mode)) + 2
        : mode == PodMode.Ipv6 ? KubeletPods
        : Math.Min(KubeletPods, (PodInterfaces * PerInterface(mode) * 16) + 2);

    /// <summary>Why the daemon must refuse these settings, as documented (docs/ipv6.md); null when it must start.</summary>
    public string? Refusal(bool usesPrefixes, PodMode mode) =>
        mode != PodMode.Ipv6 ? null
        : !usesPrefixes ? "ENABLE_PREFIX_DELEGATION"
        : CustomNetwork is not null ? "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"
        : null;

    /// <summary>Interfaces for pods; with custom networking without the primary one.</summary>
    private int PodInterfaces => Type.NetworkCards[0].MaxInterfaces - (CustomNetwork is null ? 0 : 1);

    public int MaxInterfaces => Math.Min(MaxEni ?? int.MaxValue, Type.NetworkCards[0].MaxInterfaces);

    /// <param name="seed">The seed.</param>
    /// <param name="mode">Overrides the seed's families.</param>
    public static Scenario From(int seed, PodMode? mode = null)
    {
        var random = Stream(seed, "scenario");
        var type = InstanceTypeCatalog.Common[Pick(random, Types)];
        var addressTargets = random.Next(2) == 0;
        var formula = (type.NetworkCards[0].MaxInterfaces * (type.Ipv4PerInterface - 1)) + 2;
        var setsMaxPods = random.Next(4) == 0;
        var usesPrefixes = random.Next(5) < 2;
        var capacity = type.NetworkCards[0].MaxInterfaces * (type.Ipv4PerInterface - 1) * (usesPrefixes && type.SupportsPrefixes ? 16 : 1);
        var discoversSubnets = random.Next(6) > 0;
        var troubled = random.Next(10) > 0;
        bool On(double share) => troubled && random.NextDouble() < share;
        var customNetwork = CustomNetworkPlan.From(seed, troubled);
        return new Scenario
        {
            Seed = seed,
            Type = type,
            WarmEni = addressTargets ? 1 : random.Next(3),
            WarmIp = addressTargets ? random.Next(6) : 0,
            MinimumIp = addressTargets && random.Next(2) == 0 ? random.Next(1, 11) : 0,
            MaxEni = random.Next(4) == 0 ? random.Next(1, 4) : null,
            SetsMaxPods = setsMaxPods,
            MaxPods = setsMaxPods ? random.Next(1, Math.Min(capacity, 150) + 3) : formula,
            Cooldown = TimeSpan.FromSeconds(Pick(random, 0, 1, 5, 30, 30, 30)),
            AddWait = TimeSpan.FromSeconds(Pick(random, 0, 5, 20, 20, 20)),
            ManageUntagged = random.Next(3) > 0,
            UsesPrefixes = usesPrefixes,
            WarmPrefix = random.Next(3),
            DiscoversSubnets = discoversSubnets,
            Families = FamilyPlan.From(seed, troubled, customNetwork is not null, mode),
            CustomNetwork = customNetwork,
            MeanGroupChange = CustomNetworkPlan.GroupChange(seed, troubled),
            Subnets =
                PlanSubnets(random) is var planned && customNetwork is null
                    ? planned
                    : [planned[0] with { Role = null }, .. customNetwork!.Subnets],
            Neighbours = random.Next(3) == 0 ? 0.3 + (random.NextDouble() * 0.65) : 0,
            Trouble = TimeSpan.FromMinutes(random.Next(3, 13)),
            PodsAtMost = Math.Max(1, (int)(Math.Min(capacity, 60) * (0.3 + random.NextDouble()))),
            MeanLifetime = Seconds(random, 5, 240),
            MeanArrival = Seconds(random, 0.5, 15),
            BurstShare = random.Next(2) == 0 ? random.NextDouble() * 0.2 : 0,
            PluginFails = On(0.5) ? random.NextDouble() * 0.1 : 0,
            PluginDelay = Seconds(random, 0.01, 3),
            ClientLeaves = On(0.5) ? random.NextDouble() * 0.2 : 0,
            DuplicateAdds = On(0.5) ? random.NextDouble() * 0.2 : 0,
            LostDeletes = On(0.5) ? random.NextDouble() * 0.15 : 0,
            RepeatedDeletes = On(0.5) ? random.NextDouble() * 0.2 : 0,
            Notes = NotePlan.From(seed, troubled),
            Host = HostPlan.From(seed, troubled),
            Latency = new CallLatency(
                Seconds(random, 0.02, 0.1),
                Seconds(random, 0.1, 1.5),
                On(0.3) ? random.NextDouble() * 0.05 : 0,
                Seconds(random, 5, 15)
            ),
            AttachLatency = Seconds(random, 0.1, 6),
            DetachLatency = Seconds(random, 0.5, 25),
            DescribeLag = On(0.4) ? Seconds(random, 0.5, 20) : TimeSpan.Zero,
            MetadataLag = On(0.5) ? Seconds(random, 1, 60) : TimeSpan.Zero,
            FailsBefore = On(0.4) ? random.NextDouble() * 0.15 : 0,
            FailsAfter = On(0.5) ? random.NextDouble() * 0.15 : 0,
            MeanFaultWindow = On(0.4) ? Seconds(random, 20, 120) : null,
            MutatingRate = On(0.3) ? 0.1 + random.NextDouble() : null,
            MeanInterference = On(0.35) ? Seconds(random, 20, 180) : null,
            HidesFromMetadata = On(0.3),
            MeanOperator = On(0.3) ? Seconds(random, 60, 300) : null,
            MeanAway = Away(seed, troubled),
            MeanCrash = On(0.5) ? Seconds(random, 15, 200) : null,
            CrashAtCall = On(0.4) ? random.NextDouble() * 0.05 : 0,
            CrashAtWrite = On(0.3) ? random.NextDouble() * 0.03 : 0,
            DiskFails = On(0.2) ? random.NextDouble() * 0.1 : 0,
            KernelFails = On(0.2) ? random.NextDouble() * 0.1 : 0,
            MeanClockJump = On(0.3) ? Seconds(random, 20, 120) : null,
        };
    }

    /// <summary>Off in most scenarios, and in those that were run and pinned before this fault existed.</summary>
    private static TimeSpan? Away(int seed, bool troubled)
    {
        var random = Stream(seed, "away");
        return seed >= CustomNetworkPlan.FirstSeed && troubled && random.NextDouble() < 0.3 ? Seconds(random, 40, 200) : null;
    }

    /// <summary>A third of the nodes have several subnets; the primary interface's is then sometimes not for pods.</summary>
    private static SubnetPlan[] PlanSubnets(Random random)
    {
        int Size() => random.Next(4) == 0 ? Pick(random, 27, 28) : Pick(random, 22, 24);
        if (random.Next(3) > 0)
            return [new SubnetPlan(Size(), null, null)];
        var primary = new SubnetPlan(Size(), Pick(random, null, null, "1", "0"), null);
        return
        [
            primary,
            .. Enumerable
                .Range(0, random.Next(1, 4))
                .Select(_ => new SubnetPlan(Size(), Pick(random, "1", "1", "1", null, "0"), Pick(random, null, null, "sim", "another"))),
        ];
    }

    /// <summary>The daemon's environment, as an operator would set it.</summary>
    public Dictionary<string, string> Environment(bool usesPrefixes, PodMode mode)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["WARM_ENI_TARGET"] = $"{WarmEni}",
            ["WARM_IP_TARGET"] = $"{WarmIp}",
            ["MINIMUM_IP_TARGET"] = $"{MinimumIp}",
            ["IP_COOLDOWN_PERIOD"] = $"{Cooldown.TotalSeconds}",
            ["VPCCNI_ADD_WAIT_SECONDS"] = $"{AddWait.TotalSeconds}",
            ["MANAGE_UNTAGGED_ENI"] = ManageUntagged ? "true" : "false",
            ["ENABLE_PREFIX_DELEGATION"] = usesPrefixes ? "true" : "false",
            ["WARM_PREFIX_TARGET"] = $"{WarmPrefix}",
            ["ENABLE_SUBNET_DISCOVERY"] = DiscoversSubnets ? "true" : "false",
            ["CLUSTER_NAME"] = "sim",
        };
        if (mode != PodMode.Ipv4)
            (environment["ENABLE_IPv4"], environment["ENABLE_IPv6"]) = (mode == PodMode.Dual ? "true" : "false", "true");
        if (CustomNetwork is not null)
        {
            // The endpoint is never called: the simulated cluster sends the ENIConfig.
            (environment["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"], environment["CLUSTER_ENDPOINT"], environment["MY_NODE_NAME"]) = (
                "true",
                "https://cluster.test",
                "node-1"
            );
        }

        if (MaxEni is { } maxEni)
            environment["MAX_ENI"] = $"{maxEni}";
        if (SetsMaxPods)
            environment["VPCCNI_MAX_PODS"] = $"{MaxPods}";
        return environment;
    }

    /// <summary>Random source for one purpose, so that draws of one part of the simulation do not shift those of another.</summary>
    public static Random Stream(int seed, string purpose)
    {
        var mixed = 2166136261u ^ (uint)seed;
        foreach (var character in purpose)
            mixed = (mixed ^ character) * 16777619u;
        return new Random((int)(mixed ^ (mixed >> 15) ^ ((uint)seed * 2654435761u)));
    }

    private static T Pick<T>(Random random, params ReadOnlySpan<T> choices) => choices[random.Next(choices.Length)];

    /// <summary>A time until the next of events that are independent of each other: exponentially distributed.</summary>
    internal static TimeSpan Exponential(Random random, TimeSpan mean) =>
        TimeSpan.FromTicks((long)(-Math.Log(1 - random.NextDouble()) * mean.Ticks));

    internal static TimeSpan Seconds(Random random, double least, double most) =>
        TimeSpan.FromSeconds(Math.Round(least + (random.NextDouble() * (most - least)), 3));
}

/// <summary>A subnet, usually in the node's zone.</summary>
/// <param name="PrefixLength">Prefix length of its range.</param>
/// <param name="Role">Value of the tag kubernetes.io/role/cni; null for none.</param>
/// <param name="Cluster">The cluster that a tag reserves it for; null for any.</param>
/// <param name="IsFar">Whether it is in another zone.</param>
internal sealed record SubnetPlan(int PrefixLength, string? Role, string? Cluster, bool IsFar = false);
