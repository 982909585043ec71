// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>What was not as it must be.</summary>
internal enum RepairKind
{
    Link,
    Address,
    Route,
    Rule,

    /// <summary>A kernel parameter.</summary>
    Setting,

    /// <summary>The nftables table.</summary>
    Nat,
}

/// <summary>One change of the kernel's network state.</summary>
internal sealed record Repair(RepairKind Kind, NetlinkRequest Request)
{
    /// <summary>The equivalent <c>ip</c> command.</summary>
    public string Description => Request.Description;
}

/// <summary>A kernel parameter under net.ipv4.conf that has to be written.</summary>
internal sealed record SettingRepair(string Link, string Name, string Value);

/// <summary>All that leads from what is to what must be.</summary>
internal sealed record HostRepairs
{
    /// <summary>In the order in which the kernel can take them.</summary>
    public required IReadOnlyList<Repair> Requests { get; init; }
    public required IReadOnlyList<SettingRepair> Settings { get; init; }

    /// <summary>The pods that some of the requests are for, with the index of their link.</summary>
    public required IReadOnlyList<(PodEndpoint Pod, int LinkIndex)> Pods { get; init; }

    /// <summary>Rules of pods that are gone, as far as one look can tell.</summary>
    public required IReadOnlyList<RuleInfo> Stale { get; init; }
}
