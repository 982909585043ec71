// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The kind of a drift.</summary>
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

    /// <summary>The host end of a pod's link: it was set down, or has another MAC address than the pod's neighbour entry.</summary>
    PodLink,

    /// <summary>
    /// A rule or route that is not needed any more: of a pod or an interface that is gone, or of another configuration. Not a change by
    /// another program: its owner did not remove it.
    /// </summary>
    Leftover,
}

/// <summary>One change towards the desired state.</summary>
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

/// <summary>Repairs of one interface, in the order in which the kernel accepts them.</summary>
internal sealed record InterfaceRepairs(InterfaceWiring Wiring, IReadOnlyList<Repair> Requests);

/// <summary>Repairs of the host's side of one address of a pod.</summary>
internal sealed record PodRepairs(PodEndpoint Pod, int LinkIndex, IReadOnlyList<Repair> Requests);

/// <summary>All repairs from the observed state to the desired one.</summary>
internal sealed record HostRepairs
{
    public required IReadOnlyList<InterfaceRepairs> Interfaces { get; init; }

    /// <summary>Repairs of rules that belong to no pod and no interface.</summary>
    public required IReadOnlyList<Repair> Node { get; init; }
    public required IReadOnlyList<PodRepairs> Pods { get; init; }
    public required IReadOnlyList<SettingRepair> Settings { get; init; }

    /// <summary>Rules that are not needed, as far as one sync shows.</summary>
    public required IReadOnlyList<RuleInfo> Stale { get; init; }

    /// <summary>Problems that cannot be repaired, one sentence each.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>
    /// Keeps only repairs of pods that an earlier read required, too. For some milliseconds of an ADD or DEL a pod is half configured while
    /// the ledger has it and its link is up; one read cannot distinguish that from a flush.
    /// </summary>
    public HostRepairs Confirmed(HostRepairs earlier)
    {
        var broken = earlier.Pods.Select(item => (item.Pod, item.LinkIndex)).ToHashSet();
        return this with { Pods = [.. Pods.Where(item => broken.Contains((item.Pod, item.LinkIndex)))] };
    }
}
