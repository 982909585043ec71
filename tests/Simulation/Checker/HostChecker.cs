// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;
using static VpcCni.Simulation.Tests.Checker.ReferenceNumbers;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>
/// Checks each change of the node's network by the daemon, and compares the kernel's state with what pods need: computed from the true
/// state of the world, without the daemon's code. Priorities and tables are those of the AWS VPC CNI.
/// </summary>
internal sealed class HostChecker
{
    private const uint ConnectionMark = 0x80;
    private const string PrimaryLink = "eth0";

    /// <summary>The router as every interface of a VPC reaches it with IPv6.</summary>
    private static readonly IPAddress Ipv6Router = IPAddress.Parse("fe80:ec2::1");

    /// <summary>
    /// Longest time from the end of the faults until what is missing is repaired: the longest pause of a dispute, and the interval of the
    /// reconciler's syncs twice.
    /// </summary>
    private static readonly TimeSpan RepairBound = TimeSpan.FromMinutes(3);

    /// <summary>
    /// Longest time until rules of released addresses are removed: the detection of a lost DEL, and two observations.
    /// </summary>
    private static readonly TimeSpan StaleBound = TimeSpan.FromMinutes(25);

    private readonly SafetyChecker _pool;
    private readonly ModelKernel _kernel;
    private readonly VpcWorld _world;
    private readonly InstanceId _instance;
    private readonly HashSet<object> _foreign = [];
    private readonly Dictionary<object, int> _repairsOf = [];
    private readonly HashSet<int> _disturbed = [];

    public HostChecker(SafetyChecker pool, ModelKernel kernel, VpcWorld world, InstanceId instance)
    {
        (_pool, _kernel, _world, _instance) = (pool, kernel, world, instance);
        kernel.Changed = OnChange;
    }

    /// <summary>Rules and routes of other programs.</summary>
    public IReadOnlySet<object> Foreign => _foreign;

    /// <summary>Changes that the reconciler made.</summary>
    public long Repairs { get; private set; }

    /// <summary>Changes that others made.</summary>
    public long OtherChanges { get; private set; }

    /// <summary>How often the reconciler made a rule or a route.</summary>
    public int RepairsOf(object item) => _repairsOf.GetValueOrDefault(item);

    public void AddForeign(object item) => _foreign.Add(item);

    /// <summary>
    /// Records that another program sets a pod's link down or changes its MAC address: neighbour entries go with either, and neighbour
    /// discovery replaces them.
    /// </summary>
    public void Disturb(int link) => _disturbed.Add(link);

    /// <summary>Its owner removes it.</summary>
    public void Forget(object item) => _foreign.Remove(item);

    /// <summary>What is not as pods need it, and how long that may take to be repaired without faults; null when all is right.</summary>
    /// <param name="managed">The interfaces that the daemon manages.</param>
    /// <param name="mode">The families of new pods.</param>
    public (string What, TimeSpan Bound)? Problem(IReadOnlyList<NetworkInterface> managed, PodMode mode)
    {
        RuleInfo[] rules = [.. IpFamily.All.SelectMany(_kernel.Rules)];
        var problem =
            NodeProblem(rules)
            ?? Ipv6NodeProblem(rules, mode)
            ?? managed.Where(eni => !eni.Attachment!.IsPrimary).Select(eni => Ipv6TableProblem(eni, mode)).FirstOrDefault(What)
            ?? managed.Where(eni => !eni.Attachment!.IsPrimary).Select(eni => InterfaceProblem(eni, rules)).FirstOrDefault(What)
            ?? _pool.Live.Select(pod => PodProblem(pod, rules)).FirstOrDefault(What);
        if (problem is not null)
            return (problem, RepairBound);
        return Stale(rules) is { } stale ? (stale, StaleBound) : null;

        static bool What(string? found) => found is not null;
    }

    private string? NodeProblem(RuleInfo[] rules)
    {
        if (!HasMain(rules, IpFamily.V4))
            return "the rule of table main is missing";
        if (!HasMark(rules, IpFamily.V4))
            return "the rule for marked packets is missing";
        if (_kernel.Settings.Read("ipv4/conf/all/forwarding") != "1")
            return "the node does not forward";
        if (!_kernel.Tables.TryGetValue("ip vpccni", out var table) || !table.Contains("snat to", StringComparison.Ordinal))
            return "the NAT table is missing";
        foreach (var item in _foreign)
        {
            var isThere = item is RuleInfo rule
                ? rules.Contains(rule)
                : item is RouteInfo route && _kernel.Routes(route.Family, route.Table).Contains(route);
            if (!isThere)
                return $"{item} of another program is gone";
        }

        return null;
    }

    private static bool HasMain(RuleInfo[] rules, AddressFamily family) =>
        rules.Any(rule => rule.Family == family && rule.Priority == MainRule && rule.Table == RouteTable.Main && IsPlain(rule));

    private static bool HasMark(RuleInfo[] rules, AddressFamily family) =>
        rules.Any(rule => rule.Family == family && rule.Priority == Mark && rule.Mark == ConnectionMark && rule.Table == RouteTable.Main);

    /// <summary>What IPv6 pods need of the node; of an earlier mode, too.</summary>
    private string? Ipv6NodeProblem(RuleInfo[] rules, PodMode mode)
    {
        // The node has it of router advertisements, and uses it in any mode.
        var hasAddress = _world.InterfacesOf(_instance).Any(eni => eni.Attachment!.IsPrimary && eni.PrimaryIpv6Address is not null);
        var main = _kernel.Routes(IpFamily.V6, RouteTable.Main);
        if (hasAddress && !main.Any(route => route.Destination is null && Ipv6Router.Equals(route.Gateway)))
            return "the node has lost its IPv6 default route";
        IPAddress[] pods = [.. _pool.Live.Where(pod => !pod.HasLostAddress).SelectMany(pod => pod.Addresses).Where(AddressMath.IsIpv6)];
        if (mode == PodMode.Ipv4 && pods.Length == 0)
            return null;
        if (!HasMain(rules, IpFamily.V6))
            return "the IPv6 rule of table main is missing";
        if (_kernel.Settings.Read("ipv6/conf/all/forwarding") != "1")
            return "the node does not forward IPv6";
        if (_kernel.Settings.Read($"ipv6/conf/{PrimaryLink}/accept_ra") != "2")
            return "the node does not accept router advertisements although it forwards";
        if (mode != PodMode.Dual && !pods.Any(address => OwnerOf(address) is { Attachment.IsPrimary: false }))
            return null;
        if (!HasMark(rules, IpFamily.V6))
            return "the IPv6 rule for marked packets is missing";
        return _kernel.Tables.ContainsKey("ip6 vpccni") ? null : "the IPv6 table of marks is missing";
    }

    /// <summary>What IPv6 pods need of an interface's route table.</summary>
    private string? Ipv6TableProblem(NetworkInterface eni, PodMode mode)
    {
        var carries = _pool.Live.Any(pod =>
            !pod.HasLostAddress && pod.Addresses.Any(address => AddressMath.IsIpv6(address) && AddressMath.Carries(eni, address))
        );
        if ((mode == PodMode.Ipv4 && !carries) || LinkOf(eni) is not { } link)
            return null;
        var table = TableOf(eni);
        var routes = _kernel.Routes(IpFamily.V6, table).Where(route => route.LinkIndex == link.Index).ToArray();
        if (!routes.Any(route => route.Destination == AddressMath.Single(Ipv6Router)))
            return $"table {table} has no route to the IPv6 router";
        return routes.Any(route => route.Destination is null && Ipv6Router.Equals(route.Gateway))
            ? null
            : $"table {table} has no IPv6 default route by {link.Name}";
    }

    private string? InterfaceProblem(NetworkInterface eni, IReadOnlyList<RuleInfo> rules)
    {
        if (LinkOf(eni) is not { } link)
            return $"{eni.Id} has no link";
        if (!link.IsUp)
            return $"{link.Name} is down";
        var subnet = _world.FindSubnet(eni.Subnet)!.Ipv4Range;
        var addresses = _kernel.Addresses.Where(address => address.LinkIndex == link.Index).ToArray();
        if (addresses is not [var only] || !only.Address.Equals(eni.PrimaryAddress) || only.PrefixLength != subnet.PrefixLength)
            return $"{link.Name} has the addresses {string.Join(' ', addresses.Select(address => address.Address))}";
        if (_kernel.Settings.Read($"ipv4/conf/{link.Name}/rp_filter") != "2")
            return $"the reverse path filter of {link.Name} is not loose";
        var table = TableOf(eni);
        if (!rules.Any(rule => rule.Priority == FromInterface && IsFrom(rule, eni.PrimaryAddress) && rule.Table == table))
            return $"traffic from {eni.PrimaryAddress} does not use table {table}";
        var gateway = AddressMath.Offset(subnet.BaseAddress, 1);
        var routes = _kernel.Routes(IpFamily.V4, table).Where(route => route.LinkIndex == link.Index).ToArray();
        if (!routes.Any(route => route.Destination == new IPNetwork(gateway, 32)))
            return $"table {table} has no route to the gateway {gateway}";
        return routes.Any(route => route.Destination is null && gateway.Equals(route.Gateway))
            ? null
            : $"table {table} has no default route by {link.Name}";
    }

    private string? PodProblem(PodRecord pod, IReadOnlyList<RuleInfo> rules)
    {
        if (pod is not { WiredLink: { } index, HasLostAddress: false })
            return null;
        if (pod.Addresses.Any(address => OwnerOf(address) is null))
            return null;
        if (!_kernel.Links.TryGetValue(index, out var link))
            return $"the link of {pod} is gone";
        if (!link.IsUp)
            return $"the link of {pod} is down";
        if (_kernel.Namespaces.GetValueOrDefault(pod.Netns) is { } mac && link.Mac != mac)
            return $"the link of {pod} has another MAC address than the pod knows";
        return pod.Addresses.Select(address => AddressProblem(pod, address, index, rules)).FirstOrDefault(problem => problem is not null);
    }

    private string? AddressProblem(PodRecord pod, IPAddress address, int link, IReadOnlyList<RuleInfo> rules)
    {
        var eni = OwnerOf(address)!;
        if (!_kernel.Routes(address.AddressFamily, RouteTable.Main).Any(route => IsHostRoute(route, address, link)))
            return $"{address} of {pod} is not routed to its link";
        if (AddressMath.IsIpv6(address) && _kernel.Neighbour(link, address) is null && !_disturbed.Contains(link))
            return $"{address} of {pod} has no neighbour entry";
        if (!rules.Any(rule => IsToPod(rule, address)))
            return $"traffic to {address} of {pod} does not use main";
        var table = TableOf(eni);
        var tables = rules.Where(rule => rule.Priority == FromPod && IsFrom(rule, address)).Select(rule => rule.Table).ToArray();
        return (eni.Attachment!.IsPrimary ? tables.Length == 0 : tables is [var only] && only == table)
            ? null
            : $"traffic from {address} of {pod} uses tables [{string.Join(' ', tables)}] and must use {table}";
    }

    /// <summary>A rule of an address of the node that no pod has.</summary>
    private string? Stale(IReadOnlyList<RuleInfo> rules)
    {
        var live = _pool.Live.SelectMany(pod => pod.Addresses).ToHashSet();
        foreach (var rule in rules.Where(rule => rule.Priority is ToPod or FromPod && IsPlain(rule) && !_foreign.Contains(rule)))
        {
            if (
                (rule.Priority == ToPod ? rule.Destination : rule.Source) is { BaseAddress: var address } range
                && AddressMath.IsSingle(range)
                && !live.Contains(address)
                && OwnerOf(address) is not null
            )
                return $"rule {rule.Priority} of {address}, which no pod has, is still there";
        }

        return null;
    }

    private void OnChange(KernelChange change)
    {
        if (change.Actor is not (KernelActor.Pool or KernelActor.Reconciler))
        {
            OtherChanges++;
            // What goes with a link goes for others, too.
            if (change.Actor is KernelActor.Kernel or KernelActor.Other && change.Change is null)
                _foreign.RemoveWhere(item => item is RouteInfo route && !_kernel.Routes(route.Family, route.Table).Contains(route));
            return;
        }

        if (change.Actor == KernelActor.Reconciler)
            CountRepair(change.Change);
        if (change.Removed is not { } removed)
            return;
        if (_foreign.Contains(removed) || removed is RuleInfo { Protocol: RouteProtocol.Kernel })
            _pool.Fail($"the {change.Actor} removed {removed} of another program by {change.Change}");
        if (
            removed is RuleInfo rule
            && IsPlain(rule)
            && (rule.Destination ?? rule.Source) is { BaseAddress: var host } selected
            && AddressMath.IsSingle(selected)
        )
            CheckNeeded(
                host,
                (pod, eni) => IsToPod(rule, host) || (rule.Priority == FromPod && IsFrom(rule, host) && rule.Table == TableOf(eni)),
                change
            );
        if (
            removed is RouteInfo { Table: RouteTable.Main, Destination: { BaseAddress: var routed } destination } route
            && AddressMath.IsSingle(destination)
        )
            CheckNeeded(routed, (pod, _) => IsHostRoute(route, routed, pod.WiredLink!.Value), change);
    }

    private void CountRepair(HostChange? change)
    {
        Repairs++;
        object? made = change switch
        {
            HostChange.AddRule(var rule) => rule,
            HostChange.AddRoute(var route) => route,
            HostChange.ReplaceRoute(var route) => route,
            _ => null,
        };
        if (made is not null)
            _repairsOf[made] = _repairsOf.GetValueOrDefault(made) + 1;
    }

    private void CheckNeeded(IPAddress address, Func<PodRecord, NetworkInterface, bool> isNeeded, KernelChange change)
    {
        if (
            _pool.FindLive(address) is { WiredLink: not null, HasLostAddress: false } pod
            && OwnerOf(address) is { } eni
            && isNeeded(pod, eni)
        )
            _pool.Fail($"the {change.Actor} removed what {pod} needs: {change.Removed}");
    }

    private static bool IsPlain(RuleInfo rule) => rule is { InputInterface: null, OutputInterface: null, MarkMask: 0, Invert: false };

    private static bool IsToPod(RuleInfo rule, IPAddress address) =>
        rule is { Priority: ToPod, Table: RouteTable.Main, Source: null }
        && IsPlain(rule)
        && rule.Destination == AddressMath.Single(address);

    private static bool IsFrom(RuleInfo rule, IPAddress address) =>
        rule.Destination is null && IsPlain(rule) && rule.Source == AddressMath.Single(address);

    private static bool IsHostRoute(RouteInfo route, IPAddress address, int link) =>
        route.Destination == AddressMath.Single(address) && route.LinkIndex == link;

    private LinkInfo? LinkOf(NetworkInterface eni) => _kernel.Links.Values.FirstOrDefault(link => link.Mac == MacAddress.Parse(eni.Mac));

    private static int TableOf(NetworkInterface eni) => eni.Attachment!.IsPrimary ? RouteTable.Main : eni.Attachment.DeviceIndex + 1;

    private NetworkInterface? OwnerOf(IPAddress address) =>
        _world
            .InterfacesOf(_instance)
            .FirstOrDefault(eni => eni.Attachment is { Status: AttachmentStatus.Attached } && AddressMath.Carries(eni, address));
}
