// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// How many addresses and interfaces the pool keeps ready. Names and meaning are those of the AWS VPC CNI (its docs/eni-and-ip-target.md
/// and docs/prefix-and-ip-target.md).
/// </summary>
internal sealed record PoolTargets
{
    /// <summary>ENABLE_PREFIX_DELEGATION: the pool grows by prefixes instead of single addresses.</summary>
    public bool UsesPrefixes { get; init; }

    /// <summary>
    /// WARM_ENI_TARGET: free addresses to keep, in whole interfaces. Ignored with prefixes and when an address target is set.
    /// </summary>
    public int WarmEniTarget { get; init; } = 1;

    /// <summary>WARM_PREFIX_TARGET: wholly free prefixes to keep. Ignored without prefixes and when an address target is set.</summary>
    public int WarmPrefixTarget { get; init; } = 1;

    /// <summary>WARM_IP_TARGET: free addresses to keep; 0 means unset.</summary>
    public int WarmIpTarget { get; init; }

    /// <summary>MINIMUM_IP_TARGET: minimum number of attached addresses, free or not; 0 means unset.</summary>
    public int MinimumIpTarget { get; init; }

    /// <summary>MAX_ENI: most interfaces, where that is fewer than the instance type allows; null means unset.</summary>
    public int? MaxInterfaces { get; init; }

    /// <summary>VPCCNI_MAX_PODS: most pods of this node, which the pool never grows beyond; null means the instance type's limit.</summary>
    public int? MaxPods { get; init; }

    /// <summary>Whether WARM_IP_TARGET or MINIMUM_IP_TARGET is set, so that addresses count and not interfaces or prefixes.</summary>
    public bool UsesAddressTargets => WarmIpTarget > 0 || MinimumIpTarget > 0;

    /// <summary>The targets in force, as environment variables.</summary>
    public string Describe()
    {
        List<string> words = UsesAddressTargets
            ? [$"WARM_IP_TARGET={WarmIpTarget}", $"MINIMUM_IP_TARGET={MinimumIpTarget}"]
            : [UsesPrefixes ? $"WARM_PREFIX_TARGET={WarmPrefixTarget}" : $"WARM_ENI_TARGET={WarmEniTarget}"];
        if (UsesPrefixes)
            words.Add("ENABLE_PREFIX_DELEGATION=true");
        if (MaxInterfaces is { } interfaces)
            words.Add($"MAX_ENI={interfaces}");
        if (MaxPods is { } pods)
            words.Add($"VPCCNI_MAX_PODS={pods}");
        return string.Join(' ', words);
    }

    /// <summary>All targets as environment variables, in force or not: which ones apply also depends on the instance type.</summary>
    public string DescribeAll() =>
        $"WARM_ENI_TARGET={WarmEniTarget} WARM_IP_TARGET={WarmIpTarget} MINIMUM_IP_TARGET={MinimumIpTarget} "
        + $"WARM_PREFIX_TARGET={WarmPrefixTarget} "
        + $"ENABLE_PREFIX_DELEGATION={(UsesPrefixes ? "true" : "false")} MAX_ENI={MaxInterfaces} VPCCNI_MAX_PODS={MaxPods}";
}
