// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Computes repairs of policy rules. A rule is ours, or adopted from the AWS VPC CNI, when priority, selectors and table have the shape
/// that only those two use. A rule with any other selector is another program's. The rule's protocol is ignored.
/// </summary>
internal static class RuleDiff
{
    /// <summary>Repairs of the rules for marks and external services, and of the kernel's rule for main when it is missing.</summary>
    public static IEnumerable<Repair> Node(HostNetworkState state, HostIndex index)
    {
        var present = index.NodeRules;
        foreach (var family in index.FamiliesWithoutMain)
            yield return Add(new RuleInfo { Family = family, Priority = RulePriorities.Main });
        var wanted = state.NodeRules;
        RuleInfo[] ours = [.. present.Where(rule => IsMark(rule, state.Options.ConnectionMark) || IsExternalService(rule))];
        foreach (var rule in wanted.Where(rule => !ours.Any(item => Same(item, rule))))
            yield return Add(rule);
        foreach (var rule in ours.Where(rule => !wanted.Any(item => Same(item, rule))))
            yield return Remove(rule);
    }

    public static IEnumerable<Repair> Pod(PodEndpoint pod, HostIndex present)
    {
        var host = IpRanges.Single(pod.Address);
        foreach (
            var rule in PodPath
                .Rules(pod.Address, pod.Egress)
                .Where(rule => !present.Rules(rule.Priority, host).Any(item => IsPlain(item) && Same(item, rule)))
        )
            yield return Add(rule);
        if (pod.Egress is null or Egress.Vlan)
            yield break;
        // Left by an earlier pod with the address on another interface.
        var table = pod.Egress is Egress.Table { Number: var number } ? number : RouteTables.Main;
        foreach (var rule in present.Rules(RulePriorities.FromPod, host).Where(rule => IsFromPod(rule) && rule.Table != table))
            yield return Remove(rule);
    }

    /// <summary>Rules of an address of the node that no attachment has and no host route leads to.</summary>
    public static IEnumerable<RuleInfo> Stale(HostNetworkState state, IReadOnlyList<RuleInfo> present, HostIndex index)
    {
        var held = state.Inputs.Pods.Select(pod => pod.Address).ToHashSet();
        bool IsGone(IPNetwork? host) =>
            host is { } one
            && !held.Contains(one.BaseAddress)
            && !index.IsRouted(one.BaseAddress)
            && state.Inputs.PodRanges.Any(range => range.Contains(one.BaseAddress));
        var tables = state.Interfaces.Select(item => item.RouteTable).ToHashSet();
        return present.Where(rule =>
            (IsToPod(rule) && IsGone(rule.Destination)) || (IsFromPod(rule) && tables.Contains(rule.Table) && IsGone(rule.Source))
        );
    }

    /// <summary>The rules from an interface's own address to its table.</summary>
    public static IEnumerable<RuleInfo> FromInterface(InterfaceWiring wiring, HostIndex present) =>
        wiring.IsPrimary
            ? []
            : present
                .Rules(RulePriorities.FromInterface, IpRanges.Single(wiring.PrimaryAddress))
                .Where(rule => rule is { Destination: null, MarkMask: 0 } && rule.Table == wiring.RouteTable && IsPlain(rule));

    private static Repair Add(RuleInfo rule) => new(RepairKind.Rule, new HostChange.AddRule(rule).Tolerating(Errno.EEXIST));

    public static Repair Remove(RuleInfo rule) => new(RepairKind.Leftover, new HostChange.RemoveRule(rule).Tolerating(Errno.ENOENT));

    /// <summary>Whether a rule leads all traffic of its family to main, at any priority.</summary>
    public static bool IsMain(RuleInfo rule) =>
        rule is { Table: RouteTables.Main, Source: null, Destination: null, MarkMask: 0 } && IsPlain(rule);

    private static bool IsMark(RuleInfo rule, uint mark) =>
        rule is { Priority: RulePriorities.Mark, Table: RouteTables.Main, Source: null, Destination: null }
        && rule.Mark == mark
        && rule.MarkMask == mark
        && IsPlain(rule);

    private static bool IsExternalService(RuleInfo rule) =>
        rule is { Priority: RulePriorities.ExternalService, Table: RouteTables.Main, Source: null, Destination: not null, MarkMask: 0 }
        && IsPlain(rule);

    private static bool IsToPod(RuleInfo rule) =>
        rule is { Priority: RulePriorities.ToPod, Table: RouteTables.Main, Source: null, Destination: { } host, MarkMask: 0 }
        && IpRanges.IsSingle(host)
        && IsPlain(rule);

    private static bool IsFromPod(RuleInfo rule) =>
        rule is { Priority: RulePriorities.FromPod, Source: { } host, Destination: null, MarkMask: 0 }
        && IpRanges.IsSingle(host)
        && IsPlain(rule);

    internal static bool IsPlain(RuleInfo rule) =>
        rule is { Invert: false, HasOtherSelectors: false, InputInterface: null, OutputInterface: null, Action: RuleAction.ToTable };

    private static bool Same(RuleInfo one, RuleInfo other) =>
        one.Family == other.Family
        && one.Priority == other.Priority
        && one.Source == other.Source
        && one.Destination == other.Destination
        && one.Mark == other.Mark
        && one.MarkMask == other.MarkMask
        && one.Table == other.Table;
}
