// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Implements the port on rtnetlink. One socket for each instance: a dump of a busy node's tables is repeated until nothing changes
/// meanwhile, and callers that must not wait for that have an instance of their own.
/// </summary>
/// <param name="ns">Null: the process's own namespace.</param>
/// <param name="settingsFolder">VPCCNI_PROC_SYS_NET: where kernel parameters are and may be written.</param>
internal sealed class RtnetlinkKernel(NetworkNamespace? ns, string settingsFolder = KernelSettings.Folder) : IHostKernel
{
    private readonly RouteNetlink _netlink = ns?.OpenRouteNetlink() ?? RouteNetlink.Open();
    private readonly KernelSettings _settings = new(ns, settingsFolder);

    public IReadOnlyList<LinkInfo> Links() => _netlink.GetLinks();

    public LinkInfo? FindLink(MacAddress mac) => _netlink.FindLinkByMac(mac);

    public IReadOnlyList<AddressInfo> Addresses(AddressFamily family, int? linkIndex = null) => _netlink.GetAddresses(family, linkIndex);

    public IReadOnlyList<RouteInfo> Routes(AddressFamily family, int table) => _netlink.GetRoutes(family, table);

    public IReadOnlyList<RuleInfo> Rules(AddressFamily family) => _netlink.GetRules(family);

    public IReadOnlyDictionary<int, LinkConfiguration> Configurations() =>
        _netlink.GetConfigurations(IpFamily.V4).ToDictionary(item => item.LinkIndex);

    public void Apply(IReadOnlyList<HostChange> changes, ICollection<int>? unneeded = null) =>
        _netlink.Execute([.. changes.Select(change => change.ToRequest())], unneeded);

    public IKernelReports Watch(RouteMonitorGroups groups, Action<RouteNotification> onChange, Action<Exception> onError)
    {
        var monitor = RouteMonitor.Start(ns, groups, onChange, onError);
        return new Reports(monitor, () => monitor.HasEnded);
    }

    public IKernelReports WatchTables(Action<string?> onChange, Action<Exception> onError)
    {
        var monitor = NftMonitor.Start(ns, onChange, onError);
        return new Reports(monitor, () => monitor.HasEnded);
    }

    public MacAddress? GatewaySeenBy(string netnsPath, LinkInfo hostLink)
    {
        try
        {
            using var sandbox = NetworkNamespace.Open(netnsPath);
            using var netlink = sandbox.OpenRouteNetlink();
            if (
                hostLink.PeerIndex is not { } index
                || netlink.FindLink(index) is not { Kind: "veth" } peer
                || peer.PeerIndex != hostLink.Index
            )
                return null;
            return IpFamily
                .All.SelectMany(family => netlink.GetNeighbours(family, index))
                .FirstOrDefault(item =>
                    item.State.HasFlag(NeighbourState.Permanent)
                    && item.Address.Equals(PodPath.Gateway(item.Address.AddressFamily, index: 0))
                )
                ?.Mac;
        }
        catch (Exception exception) when (exception is NetworkNamespaceException or NetlinkException)
        {
            // The namespace is not visible from here, or being deleted.
            return null;
        }
    }

    /// <summary>
    /// A path below /proc names a process of the runtime's PID namespace, which differs from this one: its absence proves nothing.
    /// </summary>
    public NamespacePresence NamespaceAt(string path) =>
        path.Length == 0 ? NamespacePresence.Unknown
        : File.Exists(path) ? NamespacePresence.Present
        : !path.StartsWith("/proc/", StringComparison.Ordinal) && Directory.Exists(Path.GetDirectoryName(path)) ? NamespacePresence.Gone
        : NamespacePresence.Unknown;

    public string? Read(string name) => _settings.Read(name);

    public bool Write(string name, string value) => _settings.Write(name, value);

    public void Dispose() => _netlink.Dispose();

    private sealed class Reports(IDisposable monitor, Func<bool> hasEnded) : IKernelReports
    {
        public bool HasEnded => hasEnded();

        public void Dispose() => monitor.Dispose();
    }
}
