// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// The network state of the host's namespace: read, changed, watched. <see cref="RtnetlinkKernel"/> is the kernel's own. Every member
/// throws <see cref="NetlinkException"/> when the kernel does not answer.
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

    /// <summary>Applies all changes, in order, whatever becomes of each.</summary>
    /// <param name="changes">The changes.</param>
    /// <param name="unneeded">Gets the positions of changes that had nothing to do.</param>
    /// <exception cref="NetlinkException">
    /// The kernel refused some (<see cref="NetlinkException.Failures"/>), or did not answer (<see cref="NetlinkException.Succeeded"/> is
    /// 0).
    /// </exception>
    void Apply(IReadOnlyList<HostChange> changes, ICollection<int>? unneeded = null);

    /// <summary>Reports changes until disposed, from before this returns. From a thread of its own.</summary>
    /// <param name="groups">What is reported.</param>
    /// <param name="onChange">A change; <see cref="RouteNotification.Overflow"/> when some were lost.</param>
    /// <param name="onError">Reports ended or were lost.</param>
    IKernelReports Watch(RouteMonitorGroups groups, Action<RouteNotification> onChange, Action<Exception> onError);

    /// <summary>The same for nftables tables, by name; null: any may have changed.</summary>
    IKernelReports WatchTables(Action<string?> onChange, Action<Exception> onError);

    /// <summary>
    /// The MAC address that a pod has for its gateway; null where its namespace is gone, cannot be entered, is not at the other end of the
    /// link, or has no such entry.
    /// </summary>
    /// <param name="netnsPath">Path of the pod's namespace.</param>
    /// <param name="hostLink">The host end of the pod's link.</param>
    MacAddress? GatewaySeenBy(string netnsPath, LinkInfo hostLink);

    /// <summary>Whether the path of a pod's namespace still leads anywhere.</summary>
    NamespacePresence NamespaceAt(string path);
}

/// <summary>Kernel parameters under net.ipv4 of the host's namespace.</summary>
internal interface IKernelSettings
{
    /// <param name="name">The path below net/ipv4, such as <c>conf/eth0/rp_filter</c>.</param>
    /// <returns>Null: there is no such parameter.</returns>
    /// <exception cref="HostNetworkException">It cannot be read.</exception>
    string? Read(string name);

    /// <returns>False: there is no such parameter any more.</returns>
    /// <exception cref="HostNetworkException">It cannot be written.</exception>
    bool Write(string name, string value);
}

/// <summary>Reports of the kernel; disposing ends them.</summary>
internal interface IKernelReports : IDisposable
{
    /// <summary>They ended by themselves: the socket failed.</summary>
    bool HasEnded { get; }
}
