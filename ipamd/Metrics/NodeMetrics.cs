// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Runtime.InteropServices;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Metrics;

/// <summary>Reads the values of a scrape: one statement per row of the table.</summary>
internal static class NodeMetrics
{
    private static readonly string Runtime = RuntimeInformation.FrameworkDescription;

    public static void Register(MetricRegistry<NodeReading> registry, string version)
    {
        Daemon(registry, version);
        Pool(registry);
        Cloud(registry);
        Process(registry);
        registry.Read(
            MetricTable.ClusterOk,
            reading => reading.UsesCluster ? (reading.State.Facts.ClusterProblem() is null ? 1 : 0) : null
        );
        registry.Read(MetricTable.LogOk, reading => reading.State.Facts.LogProblem() is null ? 1 : 0);
        registry.Read(MetricTable.HostOk, reading => reading.State.Facts.HostNetworkProblem() is null ? 1 : 0);
        registry.ReadAll(
            MetricTable.HostRepairs,
            reading =>
                reading.HostNetwork.Kinds.OrderBy(pair => pair.Key).Select(pair => new Sample(pair.Value.Repaired, SnakeCase.Of(pair.Key)))
        );
        registry.ReadAll(
            MetricTable.HostDisputes,
            reading =>
                reading.HostNetwork.Kinds.OrderBy(pair => pair.Key).Select(pair => new Sample(pair.Value.Disputes, SnakeCase.Of(pair.Key)))
        );
        registry.ReadAll(
            MetricTable.HostDisputed,
            reading =>
                reading
                    .HostNetwork.Kinds.OrderBy(pair => pair.Key)
                    .Select(pair => new Sample(pair.Value.IsDisputed ? 1 : 0, SnakeCase.Of(pair.Key)))
        );
        registry.Read(MetricTable.HostLookAge, reading => reading.HostLookAge?.TotalSeconds);
        registry.ReadAll(
            ReferenceMetrics.ConnmarkReconciled,
            reading => [new Sample(reading.HostNetwork.Syncs, "success"), new Sample(0, "error")]
        );
        registry.ReadAll(ReferenceMetrics.ConnmarkBackend, _ => [new Sample(1, "nftables")]);
    }

    private static void Daemon(MetricRegistry<NodeReading> registry, string version)
    {
        registry.ReadAll(ReferenceMetrics.BuildInfo, _ => [new Sample(1, version, Runtime)]);
        registry.ReadAll(MetricTable.BuildInfo, _ => [new Sample(1, version, Runtime)]);
        registry.Read(MetricTable.StartTime, reading => Seconds(reading.State.StartedAt));
        registry.Read(ReferenceMetrics.StartTime, reading => Seconds(reading.State.StartedAt));
        registry.ReadAll(MetricTable.Phase, reading => OneOf(reading.State.Phase));
        registry.Read(MetricTable.Ready, reading => reading.State.Ready ? 1 : 0);
        registry.ReadAll(
            ReferenceMetrics.InProgress,
            reading =>
                [
                    new Sample(reading.Pool is null ? 1 : 0, "nodeInit"),
                    new Sample(reading.Ledger.Intents.Count(open => open.IsRunning && open.Intent.IsGrowth), "increaseDatastorePool"),
                    new Sample(reading.Ledger.Intents.Count(open => open.IsRunning && !open.Intent.IsGrowth), "decreaseDatastorePool"),
                    new Sample(reading.Pool is { } pool && !pool.Sync.IdleAsync().IsCompleted ? 1 : 0, "nodeIPPoolReconcile"),
                ]
        );
    }

    private static void Pool(MetricRegistry<NodeReading> registry)
    {
        registry.Read(ReferenceMetrics.EniMax, reading => ManagedLimit(reading));
        registry.Read(
            ReferenceMetrics.IpMax,
            reading =>
                reading.Pool is { } pool
                    ? ManagedLimit(reading) * pool.Capacity.Lead.BlocksPerInterface * pool.Capacity.Lead.Shape.Size
                    : null
        );
        registry.Read(ReferenceMetrics.Enis, reading => reading.Ledger.Interfaces.Count(item => item.CarriesPods));
        registry.Read(ReferenceMetrics.TotalIps, reading => reading.Ledger.Total);
        registry.Read(ReferenceMetrics.AssignedIps, reading => reading.Ledger.Assigned);
        registry.Read(ReferenceMetrics.Prefixes, reading => Blocks(reading).Count(block => block.Family == IpFamily.V4 && !block.IsSingle));
        registry.ReadAll(
            ReferenceMetrics.AssignedPerCidr,
            reading => Blocks(reading).Select(block => new Sample(block.Assigned, block.Range.ToString()))
        );
        registry.ReadAll(
            ReferenceMetrics.AssignedPerEni,
            reading => reading.Ledger.Interfaces.Where(item => item.CarriesPods).Select(item => new Sample(item.Assigned, item.Id.Value))
        );
        registry.ReadAll(MetricTable.Health, reading => OneOf(reading.Health.Level));
        registry.ReadAll(
            MetricTable.HealthReasons,
            reading =>
                Enum.GetValues<HealthReason>()
                    .Select(reason => new Sample(
                        reading.Health.Causes.Any(item => item.Cause.Reason == reason) ? 1 : 0,
                        SnakeCase.Of(reason)
                    ))
        );
        registry.ReadAll(
            MetricTable.FamilyAddresses,
            reading => reading.Ledger.Families.All.SelectMany(family => FamilySamples(reading.Ledger, family))
        );
        registry.ReadAll(
            MetricTable.PoolAddresses,
            reading =>
                [
                    new Sample(reading.Ledger.Free, "free"),
                    new Sample(reading.Ledger.Assigned, "assigned"),
                    new Sample(reading.Ledger.Cooling, "cooling"),
                    new Sample(reading.Ledger.Total - reading.Ledger.Free - reading.Ledger.Assigned - reading.Ledger.Cooling, "withheld"),
                ]
        );
        registry.Read(MetricTable.PoolShort, reading => reading.Pool?.LastPlan?.Shortage);
        registry.Read(MetricTable.PoolOver, reading => reading.Pool?.LastPlan?.Surplus);
        registry.ReadAll(MetricTable.PoolTarget, reading => reading.Pool is { } pool ? TargetsOf(pool.Targets) : []);
        registry.Read(MetricTable.PoolMaxPods, reading => reading.Pool?.Capacity.MaxPods);
        registry.Read(MetricTable.PoolInterfaceLimit, reading => reading.Pool?.Capacity.MaxInterfaces);
        registry.ReadAll(
            MetricTable.PoolInterfaces,
            reading =>
            {
                var usesPrimary = reading.Pool?.UsesPrimary ?? true;
                return Enum.GetValues<InterfaceState>()
                    .Select(state => new Sample(
                        reading.Ledger.Interfaces.Count(item => InterfaceStates.Of(item, usesPrimary) == state),
                        SnakeCase.Of(state)
                    ));
            }
        );
        registry.Read(MetricTable.PoolOrphans, reading => reading.Ledger.Orphans.Count);
        registry.ReadAll(
            MetricTable.PoolBlocked,
            reading =>
                OneOf(reading.Pool?.LastPlan is { Shortage: > 0, Obstacle: { } obstacle } ? obstacle.Kind : (GrowthObstacleKind?)null)
        );
        registry.ReadAll(
            MetricTable.PoolObstacles,
            reading =>
                Enum.GetValues<GrowthObstacleKind>()
                    .Select(kind => new Sample(KindsOf(reading.Obstacles).Count(item => item == kind), SnakeCase.Of(kind)))
        );
        registry.Read(MetricTable.PoolResyncAge, reading => reading.ResyncAge?.TotalSeconds);
        registry.ReadAll(
            MetricTable.SubnetFree,
            reading =>
                (reading.Pool?.SubnetCandidates ?? [])
                    .Where(subnet => subnet.FreeAddresses is not null)
                    .Select(subnet => new Sample(subnet.FreeAddresses!.Value, subnet.Id))
        );
        registry.Read(MetricTable.Waiting, reading => reading.Waiting);
    }

    private static void Cloud(MetricRegistry<NodeReading> registry)
    {
        registry.ReadAll(
            MetricTable.CloudCalls,
            reading => reading.Budget.Calls.Select(call => new Sample(call.Count, SnakeCase.Of(call.Operation), SnakeCase.Of(call.Outcome)))
        );
        registry.ReadAll(
            ReferenceMetrics.UtilsErrors,
            reading =>
                reading
                    .Budget.Calls.Where(call => call.Outcome is not ("Ok" or "Canceled"))
                    .Select(call => new Sample(call.Count, SnakeCase.Of(call.Operation), SnakeCase.Of(call.Outcome)))
        );
        registry.ReadAll(
            MetricTable.CloudAccess,
            reading =>
                MetricTable
                    .CloudAccess.Labels[0]
                    .Values.Select(level => new Sample(CloudAccessText.Of(reading.Budget.Access) == level ? 1 : 0, level))
        );
        registry.ReadAll(
            MetricTable.BudgetTokens,
            reading => reading.Budget.Buckets.Select(bucket => new Sample(Math.Round(bucket.Tokens, 3), SnakeCase.Of(bucket.Kind)))
        );
        registry.ReadAll(
            MetricTable.BudgetCapacity,
            reading => reading.Budget.Buckets.Select(bucket => new Sample(bucket.Allowance.Capacity, SnakeCase.Of(bucket.Kind)))
        );
        registry.ReadAll(
            MetricTable.BudgetRate,
            reading => reading.Budget.Buckets.Select(bucket => new Sample(bucket.PerSecond, SnakeCase.Of(bucket.Kind)))
        );
        registry.ReadAll(
            MetricTable.BudgetWaiting,
            reading => reading.Budget.Buckets.Select(bucket => new Sample(bucket.Waiting, SnakeCase.Of(bucket.Kind)))
        );
        registry.ReadAll(
            MetricTable.ChangesOpen,
            reading =>
                MetricTable
                    .ChangesOpen.Labels[0]
                    .Values.SelectMany(kind =>
                        new[]
                        {
                            new Sample(
                                reading.Ledger.Intents.Count(open => open.IsRunning && KindOf(open.Intent) == kind),
                                kind,
                                "running"
                            ),
                            new Sample(
                                reading.Ledger.Intents.Count(open => !open.IsRunning && KindOf(open.Intent) == kind),
                                kind,
                                "in_doubt"
                            ),
                        }
                    )
        );
    }

    private static void Process(MetricRegistry<NodeReading> registry)
    {
        registry.Read(ReferenceMetrics.ResidentBytes, _ => Environment.WorkingSet);
        registry.Read(ReferenceMetrics.CpuSeconds, _ => Environment.CpuUsage.TotalTime.TotalSeconds);
        registry.Read(ReferenceMetrics.OpenFiles, _ => Directory.EnumerateFileSystemEntries("/proc/self/fd").Count());
        registry.Read(MetricTable.HeapBytes, _ => GC.GetTotalMemory(forceFullCollection: false));
        registry.ReadAll(
            MetricTable.Collections,
            _ =>
                Enumerable
                    .Range(0, GC.MaxGeneration + 1)
                    .Select(generation => new Sample(GC.CollectionCount(generation), generation.ToString()))
        );
    }

    /// <summary>Value of the label <c>kind</c> for an intent.</summary>
    public static string KindOf(Intent intent) =>
        intent.Change.Match(_ => "assign_blocks", _ => "add_interface", _ => "release_blocks", _ => "remove_interface");

    private static double? ManagedLimit(NodeReading reading) =>
        reading.Pool is { } pool
            ? Math.Max(pool.Capacity.MaxInterfaces - reading.Ledger.Interfaces.Count(item => !item.CarriesPods), 0)
            : null;

    private static IEnumerable<BlockView> Blocks(NodeReading reading) =>
        reading.Ledger.Interfaces.Where(item => item.CarriesPods).SelectMany(item => item.Blocks);

    /// <summary>Returns the targets in force, without those that another one overrides.</summary>
    private static IEnumerable<Sample> TargetsOf(PoolTargets targets)
    {
        if (targets.UsesAddressTargets)
            return [new Sample(targets.WarmIpTarget, "WARM_IP_TARGET"), new Sample(targets.MinimumIpTarget, "MINIMUM_IP_TARGET")];
        return targets.UsesPrefixes
            ? [new Sample(targets.WarmPrefixTarget, "WARM_PREFIX_TARGET")]
            : [new Sample(targets.WarmEniTarget, "WARM_ENI_TARGET")];
    }

    private static IEnumerable<Sample> FamilySamples(LedgerView view, AddressFamily family)
    {
        var name = IpFamily.Name(family).ToLowerInvariant();
        yield return new Sample(view.FreeOf(family), name, "free");
        yield return new Sample(view.AssignedOf(family), name, "assigned");
        yield return new Sample(view.CoolingOf(family), name, "cooling");
    }

    private static IEnumerable<GrowthObstacleKind> KindsOf(GrowthObstacles obstacles)
    {
        if (obstacles.Everything is { } everything)
            yield return everything.Kind;
        if (obstacles.NewInterfaces is { } interfaces)
            yield return interfaces.Kind;
        foreach (var obstacle in obstacles.Interfaces.Values)
            yield return obstacle.Kind;
        foreach (var subnet in obstacles.Subnets.Values)
        {
            if ((subnet.Addresses ?? subnet.Prefixes) is { } refused)
                yield return refused.Kind;
        }
    }

    /// <summary>Returns 1 for the value and 0 for every other.</summary>
    private static IEnumerable<Sample> OneOf<TEnum>(TEnum? value)
        where TEnum : struct, Enum =>
        Enum.GetValues<TEnum>()
            .Select(item => new Sample(EqualityComparer<TEnum?>.Default.Equals(item, value) ? 1 : 0, SnakeCase.Of(item)));

    private static IEnumerable<Sample> OneOf<TEnum>(TEnum value)
        where TEnum : struct, Enum => OneOf((TEnum?)value);

    private static double Seconds(DateTimeOffset at) => at.ToUnixTimeMilliseconds() / 1000.0;
}
