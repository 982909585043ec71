// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Metrics;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Netlink;
using VpcCni.Protos.V1;
using HealthCause = VpcCni.Ipamd.Readiness.HealthCause;

namespace VpcCni.Ipamd.Rpc;

/// <summary>Builds the reply of <c>GetStatus</c>: a snapshot of the daemon.</summary>
internal static class StatusReplies
{
    public static GetStatusReply Of(NodeIpamParts parts)
    {
        var now = parts.Time.GetUtcNow();
        var state = parts.State;
        var view = parts.Ledger.View(now);
        var pending = parts.Waiting.Entries();
        var reply = new GetStatusReply
        {
            Ready = state.Ready,
            Phase = state.Phase.ToString().ToLowerInvariant(),
            Version = state.Version,
            StartedAt = Timestamp.FromDateTimeOffset(state.StartedAt),
            Now = Timestamp.FromDateTimeOffset(now),
            NodeId = state.Identity?.NodeId ?? "",
            InstanceType = state.Identity?.NodeType ?? "",
            WaitingAdds = (uint)pending.Count,
            HostNetworkProblem = state.Facts.HostNetworkProblem() ?? "",
            Pool = PoolOf(view, state.Pool),
            Cloud = CloudOf(parts, view),
            Line = new Line { Length = (uint)pending.Count },
        };
        var health = parts.Health.Report();
        reply.Health = HealthOf(health);
        if (pending.Count > 0)
        {
            reply.Line.Longest = Duration.FromTimeSpan(now - pending[0].Since);
            reply.Line.NextDeadline = Timestamp.FromDateTimeOffset(pending.Min(add => add.Deadline));
            reply.Line.WaitsFor = WaitsFor(parts, view, pending[0].Deadline);
        }

        reply.Warnings.AddRange(state.Warnings);
        reply.Pool.Settings.AddRange(
            state
                .Facts.Settings()
                .Select(setting => new Setting
                {
                    Name = setting.Name,
                    Value = setting.Value,
                    Source = setting.Source,
                    OverruledBy = setting.OverruledBy ?? "",
                })
        );
        if (state.Pool is { } pool)
            reply.Obstacles.AddRange(Obstacles(pool.Obstacles, pool.LastPlan));
        reply.Failures.AddRange(
            parts
                .History.Failures()
                .Select(failure => new RecentFailure
                {
                    At = Timestamp.FromDateTimeOffset(failure.At),
                    Count = (uint)failure.Count,
                    What = failure.What,
                })
        );
        reply.Problems.AddRange(Problems(parts, health));
        reply.Interfaces.AddRange(
            view.Interfaces.Select(item => new NetworkInterface
            {
                Id = item.Id.Value,
                DeviceIndex = (uint)item.Slot.DeviceIndex,
                PrimaryAddress = item.PrimaryAddress.ToString(),
                SubnetId = item.SubnetId,
                Total = (uint)item.Total,
                Assigned = (uint)item.Assigned,
                Cooling = (uint)item.Cooling,
                State = InterfaceStates.Of(item, state.Pool?.UsesPrimary ?? true).InWords(),
            })
        );
        return reply;
    }

    private static Health HealthOf(HealthReport health)
    {
        var reply = new Health { Level = SnakeCase.Of(health.Level), Headline = health.Headline };
        reply.Causes.AddRange(
            health.Causes.Select(item => new Protos.V1.HealthCause
            {
                Reason = item.Cause.Reason.ToString(),
                Level = SnakeCase.Of(item.Cause.Level),
                Detail = item.Cause.Detail,
                Since = Timestamp.FromDateTimeOffset(item.Since),
            })
        );
        return reply;
    }

    /// <summary>Returns one sentence for each cause of bad health, and for problems too small to affect it.</summary>
    private static IEnumerable<string> Problems(NodeIpamParts parts, HealthReport health)
    {
        foreach (var (cause, _) in health.Causes)
            yield return Sentence(cause);
        if (
            parts.State.Facts.ClusterProblem() is { } cluster
            && health.Causes.All(item => item.Cause.Reason != HealthReason.ClusterUnavailable)
        )
            yield return $"cluster: {cluster}";
        if (
            parts.State.Pool?.LastPlan is { Shortage: > 0, Obstacle: { } obstacle } plan
            && !health.Causes.Any(item => item.Cause.Detail.Contains(obstacle.Detail, StringComparison.Ordinal))
        )
            yield return $"{plan.Shortage} addresses below the targets: {obstacle.Detail}";
        if (parts.Budget.Access != CloudAccess.Full)
            yield return $"cloud access is {CloudAccessText.Of(parts.Budget.Access)}; `ipamd access full` restores it";
        if (parts.State.CheckpointSetAside is { } aside)
            yield return $"the checkpoint of the last run could not be used and is kept as {aside}; the addresses in use were read "
                + "from the kernel";
    }

    private static string Sentence(HealthCause cause) =>
        cause.Reason switch
        {
            HealthReason.HostNetwork => $"host network: {cause.Detail}",
            HealthReason.ClusterUnavailable => $"cluster: {cause.Detail}",
            HealthReason.Installation => $"installation: {cause.Detail}",
            _ => cause.Detail,
        };

    private static Pool PoolOf(LedgerView view, PoolReconciler? pool)
    {
        var reply = new Pool
        {
            Total = (uint)view.Total,
            Assigned = (uint)view.Assigned,
            Cooling = (uint)view.Cooling,
            Available = (uint)view.Free,
            Interfaces = (uint)view.Interfaces.Count,
            InterfaceLimit = (uint)(pool?.Capacity.MaxInterfaces ?? 0),
            MaxPods = (uint)(pool?.Capacity.MaxPods ?? 0),
            CooldownEnds = view.CooldownEnds.Count > 0 ? Timestamp.FromDateTimeOffset(view.CooldownEnds[0]) : null,
            Surplus = pool?.LastPlan?.SurplusReport is { } surplus ? SurplusOf(surplus) : null,
        };
        reply.Families.AddRange(
            view.Families.All.Select(family => new FamilyCounts
            {
                IpVersion = family == IpFamily.V6 ? 6u : 4u,
                Total = (uint)view.TotalOf(family),
                Assigned = (uint)view.AssignedOf(family),
                Cooling = (uint)view.CoolingOf(family),
                Available = (uint)view.FreeOf(family),
            })
        );
        return reply;
    }

    private static Protos.V1.Surplus SurplusOf(Planning.SurplusReport surplus) =>
        new()
        {
            Addresses = (uint)surplus.Addresses,
            Interfaces = (uint)surplus.Interfaces,
            Why = surplus.Why,
            GoesAt = surplus.RemovableAt is { } at ? Timestamp.FromDateTimeOffset(at) : null,
        };

    private static Protos.V1.Cloud CloudOf(NodeIpamParts parts, LedgerView view)
    {
        var spent = parts.Budget.View();
        var membership = parts.State.Pool?.Sync;
        var cloud = new Protos.V1.Cloud
        {
            Access = CloudAccessText.Of(spent.Access),
            ObservedAt = membership?.LastObservedAt is { } at ? Timestamp.FromDateTimeOffset(at) : null,
            DriftFound = (uint)Math.Min(membership?.DriftFound ?? 0, uint.MaxValue),
        };
        cloud.OpenChanges.AddRange(view.Intents.Select(open => $"{open.Intent.Description}{(open.IsRunning ? "" : " (outcome unknown)")}"));
        cloud.Budget.AddRange(
            spent.Buckets.Select(bucket => new CallBudget
            {
                Kind = bucket.Kind.ToString().ToLowerInvariant(),
                Tokens = bucket.Tokens,
                Capacity = bucket.Allowance.Capacity,
                PerSecond = bucket.PerSecond,
                Waiting = (uint)bucket.Waiting,
            })
        );
        cloud.Calls.AddRange(
            spent.Calls.Select(call => new Protos.V1.CallCount
            {
                Operation = call.Operation,
                Outcome = call.Outcome,
                Count = (uint)Math.Min(call.Count, uint.MaxValue),
            })
        );
        return cloud;
    }

    /// <summary>Describes what the oldest pending ADD waits for.</summary>
    private static string WaitsFor(NodeIpamParts parts, LedgerView view, DateTimeOffset deadline)
    {
        if (parts.State.StartObstacle is { } start)
            return $"the daemon's start: {start}";
        var reason = parts.WaitReason.Current() ?? parts.State.Pool?.Obstacles.Everything;
        if (CooldownWait.EndFor(view, ahead: 0, deadline, reason) is { } end)
            return $"an address that cools until {end:HH:mm:ss}Z{(reason is { } other ? $"; {other.Detail}" : "")}";
        if (reason is { } obstacle)
            return $"{obstacle.Detail}{(obstacle.Until is { } until ? $"; retry at {until:HH:mm:ss}Z" : "")}";
        return "the next plan";
    }

    private static IEnumerable<Obstacle> Obstacles(GrowthObstacles obstacles, PoolPlan? plan)
    {
        List<(string About, GrowthObstacle Obstacle)> all = [];
        if (obstacles.Everything is { } everything)
            all.Add(("everything", everything));
        if (obstacles.NewInterfaces is { } interfaces)
            all.Add(("new interfaces", interfaces));
        all.AddRange(
            obstacles.Interfaces.OrderBy(pair => pair.Key.Id.Value, StringComparer.Ordinal).Select(pair => (pair.Key.Id.Value, pair.Value))
        );
        foreach (var ((id, _), subnet) in obstacles.Subnets.OrderBy(pair => pair.Key.SubnetId, StringComparer.Ordinal))
        {
            if (subnet.Addresses is { } addresses)
                all.Add((subnet.AddressesAtOnce > 0 ? $"{id}, more than {subnet.AddressesAtOnce} at once" : id, addresses));
            if (subnet.Prefixes is { } prefixes)
            {
                var bound = subnet.PrefixesAtOnce > 0 ? $", more than {subnet.PrefixesAtOnce} at once" : "";
                all.Add(($"prefixes of {id}{bound}", prefixes));
            }
        }

        // The node's own limits are no refusal of the cloud, so only the plan has them.
        if (
            plan is
            {
                Shortage: > 0,
                Obstacle:
                {
                    Kind: GrowthObstacleKind.InterfaceLimit
                        or GrowthObstacleKind.AddressLimit
                        or GrowthObstacleKind.MaxPods
                        or GrowthObstacleKind.EniConfig
                        or GrowthObstacleKind.NoSubnet
                } limit
            }
        )
            all.Add(("node", limit));
        return all.DistinctBy(item => (item.About, item.Obstacle.Kind))
            .Select(item => new Obstacle
            {
                About = item.About,
                Kind = item.Obstacle.Kind.ToString(),
                Detail = item.Obstacle.Detail,
                Until = item.Obstacle.Until is { } until ? Timestamp.FromDateTimeOffset(until) : null,
            });
    }
}
