// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// How many addresses and interfaces an operator wants ready. Names and meaning are those of the AWS VPC CNI (docs/eni-and-ip-target.md and
/// docs/prefix-and-ip-target.md there).
/// </summary>
internal sealed record PoolTargets
{
    /// <summary>ENABLE_PREFIX_DELEGATION: the pool grows by /28 prefixes instead of single addresses.</summary>
    public bool UsesPrefixes { get; init; }

    /// <summary>
    /// WARM_ENI_TARGET: whole interfaces' worth of free addresses to keep. Ignored when one of the two address targets is set, and with
    /// prefixes.
    /// </summary>
    public int WarmEniTarget { get; init; } = 1;

    /// <summary>
    /// WARM_PREFIX_TARGET: wholly free prefixes to keep. Ignored without prefixes, and when one of the two address targets is set.
    /// </summary>
    public int WarmPrefixTarget { get; init; } = 1;

    /// <summary>WARM_IP_TARGET: free addresses to keep; 0 means unset.</summary>
    public int WarmIpTarget { get; init; }

    /// <summary>MINIMUM_IP_TARGET: addresses to have at least, free or not; 0 means unset.</summary>
    public int MinimumIpTarget { get; init; }

    /// <summary>MAX_ENI: fewer interfaces than the instance type allows; null means unset.</summary>
    public int? MaxEni { get; init; }

    /// <summary>How many pods the node runs at most; null means what the instance type allows. The pool never grows beyond it.</summary>
    public int? MaxPods { get; init; }

    /// <summary>WARM_IP_TARGET or MINIMUM_IP_TARGET is set: addresses are counted, not interfaces or prefixes.</summary>
    public bool UsesAddressTargets => WarmIpTarget > 0 || MinimumIpTarget > 0;

    /// <summary>Addresses of the block that the pool grows by.</summary>
    public int BlockSize => UsesPrefixes ? PrefixSize : 1;

    /// <summary>The targets that are set, as the variables spell them.</summary>
    public string InWords()
    {
        List<string> words = UsesAddressTargets
            ? [$"WARM_IP_TARGET={WarmIpTarget}", $"MINIMUM_IP_TARGET={MinimumIpTarget}"]
            : [UsesPrefixes ? $"WARM_PREFIX_TARGET={WarmPrefixTarget}" : $"WARM_ENI_TARGET={WarmEniTarget}"];
        if (UsesPrefixes)
            words.Add("ENABLE_PREFIX_DELEGATION=true");
        if (MaxEni is { } interfaces)
            words.Add($"MAX_ENI={interfaces}");
        if (MaxPods is { } pods)
            words.Add($"VPCCNI_MAX_PODS={pods}");
        return string.Join(' ', words);
    }

    /// <summary>All of them, in force or not: which are depends on the instance type, too.</summary>
    public string AllInWords() =>
        $"WARM_ENI_TARGET={WarmEniTarget} WARM_IP_TARGET={WarmIpTarget} MINIMUM_IP_TARGET={MinimumIpTarget} "
        + $"WARM_PREFIX_TARGET={WarmPrefixTarget} "
        + $"ENABLE_PREFIX_DELEGATION={(UsesPrefixes ? "true" : "false")} MAX_ENI={MaxEni} VPCCNI_MAX_PODS={MaxPods}";

    /// <summary>Addresses of a /28, all of them usable.</summary>
    public const int PrefixSize = 16;
}
