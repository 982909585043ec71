// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// Reports the settings that determine the pool's size, from the operator's variables, the instance type and the cluster, each with its
/// source.
/// </summary>
internal static class SettingsInForce
{
    private const string Default = "default";
    private const string Environment = "environment";
    private const string Node = "node";
    private const string Cluster = "cluster";

    /// <param name="bound">The operator's settings.</param>
    /// <param name="pool">The pool; null until the node is started.</param>
    /// <param name="conditions">The facts from the cluster.</param>
    public static IReadOnlyList<SettingInForce> Of(BoundOptions bound, PoolReconciler? pool, NodeConditions conditions)
    {
        var configured = bound.Options.Targets;
        // A node without prefixes uses single addresses.
        var targets = pool?.Targets ?? configured;
        SettingInForce Of(OptionDefinition option, string value, string? overruledBy) =>
            new(option.Name, value, bound.Set.Contains(option.Name) ? Environment : Default, overruledBy);
        var addressTargets =
            targets.WarmIpTarget > 0 ? OptionTable.WarmIpTarget.Name
            : targets.MinimumIpTarget > 0 ? OptionTable.MinimumIpTarget.Name
            : null;
        var noPrefixes = configured.UsesPrefixes && !targets.UsesPrefixes ? "the instance type has no prefixes" : null;
        List<SettingInForce> settings =
        [
            Of(OptionTable.WarmIpTarget, targets.WarmIpTarget.ToString(), null),
            Of(OptionTable.MinimumIpTarget, targets.MinimumIpTarget.ToString(), null),
            Of(OptionTable.PrefixDelegation, configured.UsesPrefixes ? "true" : "false", noPrefixes),
            Of(
                OptionTable.WarmPrefixTarget,
                targets.WarmPrefixTarget.ToString(),
                noPrefixes ?? (targets.UsesPrefixes ? Decides(addressTargets) : $"{OptionTable.PrefixDelegation.Name} is false")
            ),
            Of(
                OptionTable.WarmEniTarget,
                targets.WarmEniTarget.ToString(),
                Decides(addressTargets ?? (targets.UsesPrefixes ? OptionTable.WarmPrefixTarget.Name : null))
            ),
            Of(OptionTable.Cooldown, $"{bound.Options.Cooldown.TotalSeconds:0}", null),
        ];
        if (pool is null)
            return settings;
        var capacity = pool.Capacity;
        settings.Add(
            new SettingInForce(
                OptionTable.MaxEni.Name,
                capacity.MaxInterfaces.ToString(),
                configured.MaxInterfaces == capacity.MaxInterfaces ? Environment : Node
            )
        );
        settings.Add(
            new SettingInForce(
                OptionTable.MaxPods.Name,
                capacity.MaxPods.ToString(),
                capacity.Pods switch
                {
                    { Configured: not null } => Environment,
                    { Cluster: not null } => Cluster,
                    _ => Node,
                }
            )
        );
        return settings;
    }

    private static string? Decides(string? other) => other is null ? null : $"{other} decides";
}
