// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Reads, changes and watches the network state of the host's namespace. <see cref="RtnetlinkKernel"/> implements it on rtnetlink. Every
/// member throws <see cref="NetlinkException"/> when the kernel does not answer.
/// </summary>
internal interface IHostKernel : IKernelSettings, IDisposable
{
    IReadOnlyList<LinkInfo> Links();

    /// <summary>The link with a MAC address; null when there is none.</summary>
    LinkInfo? FindLink(MacAddress mac);

    /// <param name="family"><see cref="AddressFamily.Unspecified"/>: both.</param>
    /// <param name="linkIndex">Null: of all links.</param>
    IReadOnlyList<AddressInfo> Addresses(AddressFamily family, int? linkIndex = null);

    IReadOnlyList<RouteInfo> Routes(AddressFamily family, int table);

    IReadOnlyList<RuleInfo> Rules(AddressFamily family);

    /// <summary>net.ipv4.conf by link index, <see cref="LinkConfiguration.All"/> among them.</summary>
    IReadOnlyDictionary<int, LinkConfiguration> Configurations();

    /// <summary>Applies all changes in order; a failure of one does not stop the others.</summary>
    /// <param name="changes">The changes.</param>
    /// <param name="unneeded">Receives the positions of changes with nothing to do.</param>
    /// <exception cref="NetlinkException">
    /// The kernel refused some (<see cref="NetlinkException.Failures"/>), or did not answer (<see cref="NetlinkException.Succeeded"/> is
    /// 0).
    /// </exception>
    void Apply(IReadOnlyList<HostChange> changes, ICollection<int>? unneeded = null);

    /// <summary>Reports changes, from before this returns until disposed, on a thread of its own.</summary>
    /// <param name="groups">The kinds of change to report.</param>
    /// <param name="onChange">Called with a change; with <see cref="RouteNotification.Overflow"/> when some were lost.</param>
    /// <param name="onError">Called when reports ended or were lost.</param>
    IKernelReports Watch(RouteMonitorGroups groups, Action<RouteNotification> onChange, Action<Exception> onError);

    /// <summary>Reports changes of nftables tables, by name; null when any may have changed.</summary>
    IKernelReports WatchTables(Action<string?> onChange, Action<Exception> onError);

    /// <summary>
    /// Reads the MAC address that a pod has for its gateway. Null when its namespace is gone, cannot be entered, is not at the other end of
    /// the link, or has no such entry.
    /// </summary>
    /// <param name="netnsPath">Path of the pod's namespace.</param>
    /// <param name="hostLink">The host end of the pod's link.</param>
    MacAddress? GatewaySeenBy(string netnsPath, LinkInfo hostLink);

    /// <summary>Whether the path of a pod's namespace exists.</summary>
    NamespacePresence NamespaceAt(string path);
}

/// <summary>Kernel parameters of the host's network namespace.</summary>
internal interface IKernelSettings
{
    /// <param name="name">The path below /proc/sys/net, such as <c>ipv4/conf/eth0/rp_filter</c>.</param>
    /// <returns>Null when there is no such parameter.</returns>
    /// <exception cref="HostNetworkException">It cannot be read.</exception>
    string? Read(string name);

    /// <returns>False when there is no such parameter.</returns>
    /// <exception cref="HostNetworkException">It cannot be written.</exception>
    bool Write(string name, string value);
}

/// <summary>Reports of the kernel; disposing ends them.</summary>
internal interface IKernelReports : IDisposable
{
    /// <summary>Whether reports have ended because the socket failed.</summary>
    bool HasEnded { get; }
}
