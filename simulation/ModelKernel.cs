// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.Simulation;

/// <summary>Who changed the kernel's state.</summary>
internal enum KernelActor
{
    /// <summary>The kernel itself: hardware that comes and goes, and what goes with a link.</summary>
    Kernel,

    /// <summary>The daemon's pool, which configures interfaces.</summary>
    Pool,

    /// <summary>The daemon's reconciler.</summary>
    Reconciler,

    /// <summary>The CNI plugin.</summary>
    Plugin,

    /// <summary>Any other program on the node.</summary>
    Other,
}

/// <summary>A change that took effect.</summary>
/// <param name="Actor">Who made it.</param>
/// <param name="Change">What was requested; null for a link that came, went or changed otherwise.</param>
/// <param name="Removed">The route, rule or address that is gone or was replaced; null when nothing was.</param>
internal sealed record KernelChange(KernelActor Actor, HostChange? Change, object? Removed);

/// <summary>
/// The network state of the model's node: links, addresses, routes, rules, parameters and nftables tables. Links of network interfaces come
/// and go with the attachments of the model of EC2. Outlives daemons. Answers a change with the kernel's error numbers.
/// </summary>
/// <remarks>
/// Not modelled: packets, neighbours other than permanent entries of pods, the routing table "local" and the routes of a link's own prefix
/// other than those of <see cref="AddAddress"/>. The kernel selects rules and routes for a removal as fib_rules.c and fib_trie.c do: what
/// the request leaves out matches anything.
/// </remarks>
internal sealed class ModelKernel
{
    /// <summary>RT_TABLE_LOCAL's rule, the first one (fib_default_rules_init, fib4_rules.c).</summary>
    private const int LocalPriority = 0;

    /// <summary>The rule of RT_TABLE_DEFAULT, the last one.</summary>
    private const int DefaultPriority = 32767;

    private const int LoopbackIndex = 1;
    private const int DefaultMtu = 1500;

    /// <summary>RTPROT_RA (rtnetlink.h): a route of a router advertisement.</summary>
    private const RouteProtocol Advertised = (RouteProtocol)9;

    /// <summary>IP6_RT_PRIO_USER (ipv6_route.h), the kernel's metric of such routes.</summary>
    private const int AdvertisedMetric = 1024;

    /// <summary>The routers of a VPC as they advertise themselves.</summary>
    private static readonly IPAddress AdvertisedRouter = IPAddress.Parse("fe80:ec2::1");

    private readonly VpcWorld _world;
    private readonly InstanceId _instance;
    private readonly SortedDictionary<int, LinkInfo> _links = [];
    private readonly Dictionary<(AddressFamily Family, int Table), List<RouteInfo>> _routes = [];
    private readonly Dictionary<AddressFamily, List<RuleInfo>> _rules = [];
    private readonly List<AddressInfo> _addresses = [];
    private readonly Dictionary<(int Link, IPAddress Address), MacAddress> _neighbours = [];
    private readonly SortedDictionary<string, string> _tables = new(StringComparer.Ordinal);
    private readonly List<ModelReports> _reports = [];
    private int _nextIndex = LoopbackIndex;
    private int _interfaces;

    public ModelKernel(VpcWorld world, InstanceId instance)
    {
        (_world, _instance) = (world, instance);
        Settings = new ModelSettings(this);
        foreach (var family in IpFamily.All)
            _rules[family] = [Default(family, LocalPriority, RouteTable.Local), Default(family, RulePriorities.Main, RouteTable.Main)];
        // IPv6 has none (fib6_rules_net_init).
        _rules[IpFamily.V4].Add(Default(IpFamily.V4, DefaultPriority, RouteTable.Default));
        AddLink(
            new LinkInfo
            {
                Index = 0,
                Name = "lo",
                Flags = LinkFlags.Loopback | LinkFlags.Up,
            }
        );
        foreach (var eni in world.InterfacesOf(instance).Where(eni => eni.Attachment!.Status != AttachmentStatus.Attaching))
            AddInterface(eni.Mac);
        world.Subscribe(OnEvent);
    }

    /// <summary>Called with each change that took effect.</summary>
    public Action<KernelChange> Changed { get; set; } = _ => { };

    /// <summary>Called when an attached interface's device appears; adds its link by calling the argument, at once or later.</summary>
    public Action<Action> Probe { get; set; } = add => add();

    public ModelSettings Settings { get; }

    /// <summary>By index.</summary>
    public IReadOnlyDictionary<int, LinkInfo> Links => _links;

    public IReadOnlyList<AddressInfo> Addresses => _addresses;

    /// <summary>nftables: tables by family and name, such as <c>ip6 filter</c>, with their text.</summary>
    public IReadOnlyDictionary<string, string> Tables => _tables;

    /// <summary>Paths of network namespaces that exist, with the MAC address that the pod there has for its gateway.</summary>
    public Dictionary<string, MacAddress?> Namespaces { get; } = new(StringComparer.Ordinal);

    public IReadOnlyList<RouteInfo> Routes(AddressFamily family, int table) => _routes.TryGetValue((family, table), out var all) ? all : [];

    /// <summary>In the order in which the kernel applies them.</summary>
    public IReadOnlyList<RuleInfo> Rules(AddressFamily family) => _rules[family];

    public LinkInfo? FindLink(string name) => _links.Values.FirstOrDefault(link => link.Name == name);

    /// <summary>The permanent neighbour entry of an address; null when there is none.</summary>
    public MacAddress? Neighbour(int link, IPAddress address) => _neighbours.TryGetValue((link, address), out var mac) ? mac : null;

    /// <summary>Whether main has a route to exactly this address.</summary>
    public bool IsRouted(IPAddress address) =>
        Routes(address.AddressFamily, RouteTable.Main).Any(route => route.Destination == IpRanges.Single(address));

    /// <summary>Adds a link; its index is chosen here.</summary>
    public LinkInfo AddLink(LinkInfo template)
    {
        var link = template with { Index = _nextIndex++ };
        _links[link.Index] = link;
        Settings.AddLink(link);
        Report(RouteMonitorGroups.Links, new RouteNotification.LinkChanged(RouteChange.Set, link));
        return link;
    }

    /// <summary>
    /// Changes flags, group or MAC address of a link. Setting it down takes its routes, of which the kernel reports none of IPv4, and its
    /// neighbour entries (neigh_ifdown).
    /// </summary>
    public void SetLink(KernelActor actor, LinkInfo link)
    {
        var before = _links[link.Index];
        _links[link.Index] = link;
        if (before.IsUp && !link.IsUp)
        {
            RemoveRoutesOf(link.Index);
            RemoveNeighboursOf(link.Index);
        }

        Report(RouteMonitorGroups.Links, new RouteNotification.LinkChanged(RouteChange.Set, link));
        Changed(new KernelChange(actor, null, null));
    }

    /// <summary>Removes a link with its addresses and routes. Rules stay. No-op when there is no such link.</summary>
    public void RemoveLink(KernelActor actor, int index)
    {
        if (!_links.Remove(index, out var link))
            return;
        Settings.RemoveLink(link);
        _addresses.RemoveAll(address => address.LinkIndex == index);
        RemoveRoutesOf(index);
        RemoveNeighboursOf(index);
        Report(RouteMonitorGroups.Links, new RouteNotification.LinkChanged(RouteChange.Removed, link));
        Changed(new KernelChange(actor, null, null));
    }

    /// <summary>Adds a pod's veth, down, as the plugin creates it.</summary>
    public LinkInfo AddVeth(string name, MacAddress mac)
    {
        var link = AddLink(
            new LinkInfo
            {
                Index = 0,
                Name = name,
                Kind = "veth",
                Mac = mac,
                Mtu = DefaultMtu,
                PeerIndex = 2,
                PeerNamespaceId = 0,
            }
        );
        Changed(new KernelChange(KernelActor.Plugin, null, null));
        return link;
    }

    /// <summary>Adds an address and, as the kernel does, the route of its prefix in main.</summary>
    public void AddAddress(KernelActor actor, int link, IPAddress address, int prefixLength)
    {
        Apply(actor, new HostChange.AddAddress(link, address, prefixLength));
        var bytes = address.GetAddressBytes();
        for (var bit = prefixLength; bit < bytes.Length * 8; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        Apply(
            actor,
            new HostChange.AddRoute(
                new RouteInfo
                {
                    Family = address.AddressFamily,
                    Destination = new IPNetwork(new IPAddress(bytes), prefixLength),
                    LinkIndex = link,
                    Scope = RouteScope.Link,
                    Protocol = RouteProtocol.Kernel,
                }
            )
        );
    }

    /// <summary>Carries out one request.</summary>
    public Errno Apply(KernelActor actor, HostChange change)
    {
        var (error, removed) = change switch
        {
            HostChange.SetMtu(var link, var mtu) => Set(link, item => item with { Mtu = mtu }),
            HostChange.SetUp(var link) => Set(link, item => item with { Flags = item.Flags | LinkFlags.Up }),
            HostChange.SetMac(var link, var mac) => Set(link, item => item with { Mac = mac }),
            HostChange.AddAddress add => Add(add),
            HostChange.RemoveAddress remove => Remove(remove),
            HostChange.AddRoute(var route) => Add(route, replaces: false),
            HostChange.ReplaceRoute(var route) => Add(route, replaces: true),
            HostChange.RemoveRoute(var route) => Remove(route),
            HostChange.AddRule(var rule) => Add(rule),
            HostChange.RemoveRule(var rule) => Remove(rule),
            _ => throw new InvalidOperationException($"the model's kernel does not know {change.GetType().Name}"),
        };
        if (error == Errno.None)
            Changed(new KernelChange(actor, change, removed));
        return error;
    }

    /// <summary>Replaces or adds a permanent neighbour entry of a link; no-op when there is no such link, or it is down.</summary>
    public void SetNeighbour(NeighbourInfo entry)
    {
        if (_links.TryGetValue(entry.LinkIndex, out var link) && link.IsUp)
            _neighbours[(entry.LinkIndex, entry.Address)] = entry.Mac!.Value;
    }

    /// <summary>Replaces, adds or (null) removes an nftables table.</summary>
    /// <param name="name">Family and name.</param>
    /// <param name="text">As nft prints it.</param>
    public void SetTable(string name, string? text)
    {
        if (text is null)
            _tables.Remove(name);
        else
            _tables[name] = text;
        foreach (var reports in _reports.ToArray())
            reports.TableChanged(name[(name.IndexOf(' ', StringComparison.Ordinal) + 1)..]);
    }

    /// <summary>
    /// Removes default routes of router advertisements, as a namespace that begins to forward does, unless their link accepts
    /// advertisements although it forwards (rt6_purge_dflt_routers).
    /// </summary>
    internal void PurgeAdvertisedRoutes(Predicate<LinkInfo> acceptsAlthoughForwarding)
    {
        var main = _routes.GetValueOrDefault((IpFamily.V6, RouteTable.Main)) ?? [];
        foreach (
            var route in main.Where(route =>
                    route is { Destination: null, Protocol: Advertised } && !acceptsAlthoughForwarding(_links[route.LinkIndex])
                )
                .ToArray()
        )
        {
            main.Remove(route);
            Report(RouteMonitorGroups.Ipv6Routes, new RouteNotification.RouteChanged(RouteChange.Removed, route));
        }
    }

    /// <summary>Reports changes to a daemon until the result is disposed.</summary>
    public ModelReports Watch(
        DaemonRun run,
        RouteMonitorGroups groups,
        Action<RouteNotification>? onChange,
        Action<string?>? onTable,
        Action<Exception> onError
    )
    {
        var reports = new ModelReports(run, groups, onChange, onTable, onError, ended => _reports.Remove(ended));
        _reports.Add(reports);
        return reports;
    }

    /// <summary>Overflows the queues of all reports (ENOBUFS): loses the next ones.</summary>
    /// <param name="lost">Number of reports that each loses.</param>
    public void OverrunReports(int lost)
    {
        foreach (var reports in _reports.ToArray())
            reports.Overrun(lost);
    }

    /// <summary>Ends all reports, as a socket that fails.</summary>
    public void EndReports()
    {
        foreach (var reports in _reports.ToArray())
            reports.End();
    }

    internal void Report(RouteMonitorGroups group, RouteNotification change)
    {
        foreach (var reports in _reports.ToArray())
            reports.Deliver(group, change);
    }

    /// <summary>Adds the link of an attached interface: the primary one configured by the distribution, others bare and down.</summary>
    public void AddInterface(string mac)
    {
        var eni = _world.InterfacesOf(_instance).FirstOrDefault(eni => string.Equals(eni.Mac, mac, StringComparison.Ordinal));
        if (eni is null || _links.Values.Any(link => link.Mac == MacAddress.Parse(mac)))
            return;
        var isPrimary = eni.Attachment!.IsPrimary;
        var link = AddLink(
            new LinkInfo
            {
                Index = 0,
                Name = isPrimary ? "eth0" : $"ens{5 + _interfaces}",
                Mac = MacAddress.Parse(mac),
                Mtu = DefaultMtu,
                Flags = isPrimary ? LinkFlags.Up : LinkFlags.None,
            }
        );
        _interfaces++;
        if (!isPrimary)
            return;
        var subnet = _world.FindSubnet(eni.Subnet)!.Ipv4Range;
        AddAddress(KernelActor.Kernel, link.Index, eni.PrimaryAddress, subnet.PrefixLength);
        var router = subnet.BaseAddress.GetAddressBytes();
        router[3]++;
        Apply(
            KernelActor.Kernel,
            new HostChange.AddRoute(
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Gateway = new IPAddress(router),
                    LinkIndex = link.Index,
                    Protocol = RouteProtocol.Dhcp,
                    Metric = 512,
                }
            )
        );
        if (eni.PrimaryIpv6Address is not { } ipv6)
            return;
        Apply(KernelActor.Kernel, new HostChange.AddAddress(link.Index, ipv6, 128));
        Apply(
            KernelActor.Kernel,
            new HostChange.AddRoute(
                new RouteInfo
                {
                    Family = IpFamily.V6,
                    Gateway = AdvertisedRouter,
                    LinkIndex = link.Index,
                    Protocol = Advertised,
                    Metric = AdvertisedMetric,
                }
            )
        );
    }

    private void OnEvent(VpcEvent happened)
    {
        switch (happened)
        {
            case VpcEvent.InterfaceAttached attached when attached.Instance == _instance:
                Probe(() => AddInterface(attached.Mac));
                break;
            case VpcEvent.InterfaceDetached detached when detached.Instance == _instance:
                if (_world.FindInterface(detached.Interface) is { } eni)
                    RemoveInterface(eni.Mac);
                break;
        }
    }

    /// <summary>Removes the link of an interface; no-op when there is none.</summary>
    public void RemoveInterface(string mac)
    {
        var address = MacAddress.Parse(mac);
        if (_links.Values.FirstOrDefault(link => link.Mac == address && link.Kind is null) is { } link)
            RemoveLink(KernelActor.Kernel, link.Index);
    }

    private static RuleInfo Default(AddressFamily family, int priority, int table) =>
        new()
        {
            Family = family,
            Priority = priority,
            Table = table,
            Protocol = RouteProtocol.Kernel,
        };

    private (Errno Error, object? Removed) Set(int index, Func<LinkInfo, LinkInfo> change)
    {
        if (!_links.TryGetValue(index, out var before))
            return (Errno.ENODEV, null);
        var link = change(before);
        _links[index] = link;
        // neigh_changeaddr.
        if (link.Mac != before.Mac)
            RemoveNeighboursOf(index);
        Report(RouteMonitorGroups.Links, new RouteNotification.LinkChanged(RouteChange.Set, link));
        return (Errno.None, null);
    }

    private (Errno Error, object? Removed) Add(HostChange.AddAddress add)
    {
        if (!_links.ContainsKey(add.Link))
            return (Errno.ENODEV, null);
        if (add.PrefixLength < 0 || add.PrefixLength > add.Address.GetAddressBytes().Length * 8)
            return (Errno.EINVAL, null);
        if (_addresses.Any(item => item.LinkIndex == add.Link && item.Address.Equals(add.Address) && item.PrefixLength == add.PrefixLength))
            return (Errno.EEXIST, null);
        var address = new AddressInfo
        {
            LinkIndex = add.Link,
            Address = add.Address,
            PrefixLength = add.PrefixLength,
        };
        _addresses.Add(address);
        Report(GroupOf(add.Address.AddressFamily, Kind.Address), new RouteNotification.AddressChanged(RouteChange.Set, address));
        return (Errno.None, null);
    }

    private (Errno Error, object? Removed) Remove(HostChange.RemoveAddress remove)
    {
        var address = _addresses.FirstOrDefault(item =>
            item.LinkIndex == remove.Link && item.Address.Equals(remove.Address) && item.PrefixLength == remove.PrefixLength
        );
        if (address is null)
            return (_links.ContainsKey(remove.Link) ? Errno.EADDRNOTAVAIL : Errno.ENODEV, null);
        _addresses.Remove(address);
        // Without an IPv4 address the link has no IPv4, and its routes go unreported (fib_inetaddr_event, fib_disable_ip).
        if (remove.Address.AddressFamily == IpFamily.V4 && !_addresses.Any(item => IsIpv4Of(item, remove.Link)))
            RemoveRoutesOf(remove.Link, IpFamily.V4);
        Report(GroupOf(remove.Address.AddressFamily, Kind.Address), new RouteNotification.AddressChanged(RouteChange.Removed, address));
        return (Errno.None, address);
    }

    private static bool IsIpv4Of(AddressInfo address, int link) =>
        address.LinkIndex == link && address.Address.AddressFamily == IpFamily.V4;

    private (Errno Error, object? Removed) Add(RouteInfo route, bool replaces)
    {
        if (route.Table <= RouteTable.Unspecified || (route.LinkIndex == 0 && route.Gateway is null && route.Type == RouteType.Unicast))
            return (Errno.EINVAL, null);
        if (route.LinkIndex != 0)
        {
            if (!_links.TryGetValue(route.LinkIndex, out var link))
                return (Errno.ENODEV, null);
            if (!link.IsUp)
                return (Errno.ENETDOWN, null);
        }

        if (route.Gateway is { } gateway && !route.OnLink && !IsOnLink(gateway, route))
            return (Errno.ENETUNREACH, null);
        if (!_routes.TryGetValue((route.Family, route.Table), out var table))
            _routes[(route.Family, route.Table)] = table = [];
        // The key of a route in its table: destination and metric (fib_table_insert).
        var at = table.FindIndex(item => item.Destination == route.Destination && item.Metric == route.Metric);
        RouteInfo? before = null;
        if (at >= 0 && !replaces)
            return (Errno.EEXIST, null);
        if (at >= 0)
            (before, table[at]) = (table[at], route);
        else
            table.Add(route);
        Report(GroupOf(route.Family, Kind.Route), new RouteNotification.RouteChanged(RouteChange.Set, route));
        return (Errno.None, before);
    }

    /// <summary>A link-local gateway is on its link; another one needs a route to it by that link, in the same table or in main.</summary>
    private bool IsOnLink(IPAddress gateway, RouteInfo route) =>
        gateway.IsIPv6LinkLocal
        || Routes(route.Family, route.Table)
            .Concat(Routes(route.Family, RouteTable.Main))
            .Any(item =>
                item.Gateway is null
                && item.LinkIndex == route.LinkIndex
                && item.Destination is { } destination
                && destination.Contains(gateway)
            );

    private (Errno Error, object? Removed) Remove(RouteInfo route)
    {
        if (!_routes.TryGetValue((route.Family, route.Table), out var table))
            return (Errno.ESRCH, null);
        var at = table.FindIndex(item =>
            item.Destination == route.Destination
            && (route.Metric == 0 || item.Metric == route.Metric)
            && (route.LinkIndex == 0 || item.LinkIndex == route.LinkIndex)
            && (route.Gateway is null || route.Gateway.Equals(item.Gateway))
            && (route.Scope == RouteScope.Nowhere || route.Family == IpFamily.V6 || item.Scope == route.Scope)
            && (route.Type == RouteType.Unspecified || item.Type == route.Type)
            && (route.Protocol == RouteProtocol.Unspecified || item.Protocol == route.Protocol)
        );
        if (at < 0)
            return (Errno.ESRCH, null);
        var removed = table[at];
        table.RemoveAt(at);
        Report(GroupOf(route.Family, Kind.Route), new RouteNotification.RouteChanged(RouteChange.Removed, removed));
        return (Errno.None, removed);
    }

    private (Errno Error, object? Removed) Add(RuleInfo rule)
    {
        var rules = _rules[rule.Family];
        if (rules.Any(item => item with { Protocol = rule.Protocol } == rule))
            return (Errno.EEXIST, null);
        var at = rules.FindIndex(item => item.Priority > rule.Priority);
        rules.Insert(at < 0 ? rules.Count : at, rule);
        Report(GroupOf(rule.Family, Kind.Rule), new RouteNotification.RuleChanged(RouteChange.Set, rule));
        return (Errno.None, null);
    }

    /// <summary>The first rule that has everything that the request gives (fib_nl_delrule).</summary>
    private (Errno Error, object? Removed) Remove(RuleInfo rule)
    {
        var rules = _rules[rule.Family];
        var at = rules.FindIndex(item =>
            item.Priority == rule.Priority
            && (rule.Action == RuleAction.Unspecified || item.Action == rule.Action)
            && (rule.Table == RouteTable.Unspecified || item.Table == rule.Table)
            && (rule.Source is null || item.Source == rule.Source)
            && (rule.Destination is null || item.Destination == rule.Destination)
            && (rule.Mark == 0 || item.Mark == rule.Mark)
            && (rule.MarkMask == 0 || item.MarkMask == rule.MarkMask)
            && (rule.InputInterface is null || item.InputInterface == rule.InputInterface)
            && (rule.OutputInterface is null || item.OutputInterface == rule.OutputInterface)
            && (rule.Protocol == RouteProtocol.Unspecified || item.Protocol == rule.Protocol)
            && item.Invert == rule.Invert
        );
        if (at < 0)
            return (Errno.ENOENT, null);
        var removed = rules[at];
        rules.RemoveAt(at);
        Report(GroupOf(rule.Family, Kind.Rule), new RouteNotification.RuleChanged(RouteChange.Removed, removed));
        return (Errno.None, removed);
    }

    /// <summary>
    /// Of IPv4 routes that go with a link or with its state the kernel reports none (fib_sync_down_dev); of IPv6 ones it does.
    /// </summary>
    private void RemoveRoutesOf(int index, AddressFamily only = AddressFamily.Unspecified)
    {
        foreach (var ((family, _), table) in _routes)
        {
            if (only != AddressFamily.Unspecified && family != only)
                continue;
            foreach (var route in table.Where(route => route.LinkIndex == index).ToArray())
            {
                table.Remove(route);
                if (family == IpFamily.V6)
                    Report(RouteMonitorGroups.Ipv6Routes, new RouteNotification.RouteChanged(RouteChange.Removed, route));
            }
        }
    }

    private void RemoveNeighboursOf(int index)
    {
        foreach (var key in _neighbours.Keys.Where(key => key.Link == index).ToArray())
            _neighbours.Remove(key);
    }

    private enum Kind
    {
        Address,
        Route,
        Rule,
    }

    private static RouteMonitorGroups GroupOf(AddressFamily family, Kind kind) =>
        (family, kind) switch
        {
            (IpFamily.V4, Kind.Address) => RouteMonitorGroups.Ipv4Addresses,
            (IpFamily.V4, Kind.Route) => RouteMonitorGroups.Ipv4Routes,
            (IpFamily.V4, Kind.Rule) => RouteMonitorGroups.Ipv4Rules,
            (_, Kind.Address) => RouteMonitorGroups.Ipv6Addresses,
            (_, Kind.Route) => RouteMonitorGroups.Ipv6Routes,
            _ => RouteMonitorGroups.Ipv6Rules,
        };
}
