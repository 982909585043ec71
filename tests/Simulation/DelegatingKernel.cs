// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;

namespace VpcCni.Simulation.Tests;

/// <summary>Forwards every operation, as a base for wrappers that change one.</summary>
internal abstract class DelegatingKernel(IHostKernel inner) : IHostKernel
{
    protected IHostKernel Inner => inner;

    public IReadOnlyList<LinkInfo> Links() => inner.Links();

    public LinkInfo? FindLink(MacAddress mac) => inner.FindLink(mac);

    public IReadOnlyList<AddressInfo> Addresses(AddressFamily family, int? linkIndex = null) => inner.Addresses(family, linkIndex);

    public virtual IReadOnlyList<RouteInfo> Routes(AddressFamily family, int table) => inner.Routes(family, table);

    public IReadOnlyList<RuleInfo> Rules(AddressFamily family) => inner.Rules(family);

    public IReadOnlyDictionary<int, LinkConfiguration> Configurations() => inner.Configurations();

    /// <summary>Applies what <see cref="Changed"/> makes of each change.</summary>
    public void Apply(IReadOnlyList<HostChange> changes, ICollection<int>? unneeded = null) =>
        inner.Apply([.. changes.SelectMany(Changed)], unneeded);

    public IKernelReports Watch(RouteMonitorGroups groups, Action<RouteNotification> onChange, Action<Exception> onError) =>
        inner.Watch(groups, onChange, onError);

    public IKernelReports WatchTables(Action<string?> onChange, Action<Exception> onError) => inner.WatchTables(onChange, onError);

    public MacAddress? GatewaySeenBy(string netnsPath, LinkInfo hostLink) => inner.GatewaySeenBy(netnsPath, hostLink);

    public NamespacePresence NamespaceAt(string path) => inner.NamespaceAt(path);

    public string? Read(string name) => inner.Read(name);

    public virtual bool Write(string name, string value) => inner.Write(name, value);

    public void Dispose() => inner.Dispose();

    protected virtual IEnumerable<HostChange> Changed(HostChange change) => [change];
}
