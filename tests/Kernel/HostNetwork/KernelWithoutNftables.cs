// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>The host kernel without NETLINK_NETFILTER.</summary>
internal sealed class KernelWithoutNftables(IHostKernel inner) : IHostKernel
{
    public IReadOnlyList<LinkInfo> Links() => inner.Links();

    public LinkInfo? FindLink(MacAddress mac) => inner.FindLink(mac);

    public IReadOnlyList<AddressInfo> Addresses(AddressFamily family, int? linkIndex = null) => inner.Addresses(family, linkIndex);

    public IReadOnlyList<RouteInfo> Routes(AddressFamily family, int table) => inner.Routes(family, table);

    public IReadOnlyList<RuleInfo> Rules(AddressFamily family) => inner.Rules(family);

    public IReadOnlyDictionary<int, LinkConfiguration> Configurations() => inner.Configurations();

    public void Apply(IReadOnlyList<HostChange> changes, ICollection<int>? unneeded = null) => inner.Apply(changes, unneeded);

    public IKernelReports Watch(RouteMonitorGroups groups, Action<RouteNotification> onChange, Action<Exception> onError) =>
        inner.Watch(groups, onChange, onError);

    public IKernelReports WatchTables(Action<string?> onChange, Action<Exception> onError) =>
        throw new NetlinkException("socket", Errno.EPROTONOSUPPORT, extendedMessage: null);

    public MacAddress? GatewaySeenBy(string netnsPath, LinkInfo hostLink) => inner.GatewaySeenBy(netnsPath, hostLink);

    public NamespacePresence NamespaceAt(string path) => inner.NamespaceAt(path);

    public string? Read(string name) => inner.Read(name);

    public bool Write(string name, string value) => inner.Write(name, value);

    public void Dispose() => inner.Dispose();
}
