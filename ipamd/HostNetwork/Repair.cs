// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
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

    /// <summary>A pod's link of the host: it was set down, or has another MAC address than the pod knows.</summary>
    PodLink,

    /// <summary>
    /// A rule or route that nothing needs any more: of a pod or an interface that is gone, or of another configuration. Nobody changed
    /// anything; whoever left it died or was not told.
    /// </summary>
    Leftover,
}

/// <summary>One change of the kernel's network state.</summary>
internal sealed record Repair(RepairKind Kind, HostChange Change)
{
    /// <summary>The equivalent <c>ip</c> command.</summary>
    public string Description => Change.Description;
}

/// <summary>A kernel parameter that has to be written.</summary>
/// <param name="Family">The family whose parameter it is.</param>
/// <param name="Link">The link, or <see cref="KernelSettings.AllLinks"/>.</param>
/// <param name="Name">Its name.</param>
/// <param name="Value">The desired value.</param>
internal sealed record SettingRepair(AddressFamily Family, string Link, string Name, string Value)
{
    /// <summary>Below /proc/sys/net.</summary>
    public string Path => KernelSettings.OfLink(Family, Link, Name);

    public override string ToString() => $"sysctl -w net.{IpFamily.SettingsFolder(Family)}.conf.{Link}.{Name}={Value}";
}

/// <summary>What one interface lacks, in the order in which the kernel can take it.</summary>
internal sealed record InterfaceRepairs(InterfaceWiring Wiring, IReadOnlyList<Repair> Requests);

/// <summary>What the host's side of one pod lacks.</summary>
internal sealed record PodRepairs(PodEndpoint Pod, int LinkIndex, IReadOnlyList<Repair> Requests);

/// <summary>All that leads from what is to what must be.</summary>
internal sealed record HostRepairs
{
    public required IReadOnlyList<InterfaceRepairs> Interfaces { get; init; }

    /// <summary>Rules that belong to no pod and no interface.</summary>
    public required IReadOnlyList<Repair> Node { get; init; }
    public required IReadOnlyList<PodRepairs> Pods { get; init; }
    public required IReadOnlyList<SettingRepair> Settings { get; init; }

    /// <summary>Rules that nothing needs, as far as one look can tell.</summary>
    public required IReadOnlyList<RuleInfo> Stale { get; init; }

    /// <summary>What cannot be repaired, one sentence each.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>
    /// With those pods only that an earlier look found broken, too. A pod that is being added or deleted is half wired for some
    /// milliseconds, while it is held and its link is up; one look cannot tell that from a flush.
    /// </summary>
    public HostRepairs Confirmed(HostRepairs earlier)
    {
        var broken = earlier.Pods.Select(item => (item.Pod, item.LinkIndex)).ToHashSet();
        return this with { Pods = [.. Pods.Where(item => broken.Contains((item.Pod, item.LinkIndex)))] };
    }
}
