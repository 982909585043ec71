// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using VpcCni.Simulation.Tests.Checker;
using static VpcCni.Simulation.Tests.Checker.ReferenceNumbers;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// Injects faults of the host's network: programs that flush or change what the daemon keeps, programs with rules and routes of their own,
/// links that vanish, come late, or are set down, and lost reports of the kernel.
/// </summary>
internal sealed class HostFaults(HostPlan plan, Scenario scenario, SimulatedNode node, HostChecker checker)
{
    /// <summary>A table that no interface has.</summary>
    private const int ForeignTable = 77;

    /// <summary>
    /// Repairs of one object, without a pause between them, that count as no dispute yet, and those until the longest pause.
    /// </summary>
    private const int RepairsBeforeLongestPause = 20;
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly Random _random = Scenario.Stream(scenario.Seed, "host trouble");

    /// <summary>Decides which family a fault concerns.</summary>
    private readonly Random _families = Scenario.Stream(scenario.Seed, "families of host trouble");
    private readonly List<Task> _tasks = [];
    private readonly HashSet<string> _vanished = new(StringComparer.Ordinal);
    private int _vanishings;
    private bool _isCalm;
    private int _foreign;

    public Exception? Error => _tasks.FirstOrDefault(task => task.IsFaulted)?.Exception;

    private ModelKernel Kernel => node.Kernel;

    public void Begin()
    {
        if (plan.LateLinks > TimeSpan.Zero)
            Kernel.Probe = add => node.Time.After(_isCalm ? TimeSpan.Zero : plan.LateLinks * _random.NextDouble(), add);
        Repeat(plan.MeanDamage, Damage);
        Repeat(plan.MeanForeign, ChangeForeign);
        Repeat(plan.MeanFlap, Vanish);
        Repeat(plan.MeanDispute, Dispute);
    }

    /// <summary>Ends all faults; links come back, other damage stays.</summary>
    public void End()
    {
        _isCalm = true;
        foreach (var mac in _vanished)
            Kernel.AddInterface(mac);
        _vanished.Clear();
    }

    /// <summary>Called when a daemon run begins to listen.</summary>
    public void DaemonStarted()
    {
        foreach (var eni in node.World.InterfacesOf(node.Instance).Where(eni => _vanished.Contains(eni.Mac)))
            node.Checker.HasNoLink(eni.AllRanges);
    }

    /// <summary>Before an operation of the reconciler.</summary>
    public void ReconcilerOperation(string operation)
    {
        if (_isCalm)
            return;
        if (plan.CrashAtOperation > 0 && _random.NextDouble() < plan.CrashAtOperation)
            node.Crash($"the reconciler's {operation}");
        else if (plan.OperationFails > 0 && _random.NextDouble() < plan.OperationFails)
            throw new NetlinkException(operation, Pick(Errno.EINTR, Errno.ENOBUFS, Errno.ETIMEDOUT), "made to fail");
    }

    private void Repeat(TimeSpan? mean, Action fault)
    {
        if (mean is { } interval)
            _tasks.Add(RepeatAsync(interval, fault));
    }

    private async Task RepeatAsync(TimeSpan mean, Action fault)
    {
        while (true)
        {
            await Task.Delay(Scenario.Exponential(_random, mean), node.Time);
            if (_isCalm)
                return;
            fault();
        }
    }

    private void Damage()
    {
        if (_random.NextDouble() < plan.ReportsFail)
        {
            if (_random.Next(2) == 0)
                Kernel.OverrunReports(_random.Next(1, 30));
            else
                Kernel.EndReports();
        }

        var family = PickFamily();
        switch (_random.Next(11))
        {
            case 0:
                FlushRules(family);
                break;
            case 1 or 2:
                FlushInterfaceTable(family);
                break;
            case 3:
                RemovePodRoutes(family);
                break;
            case 4 or 5:
                RemoveOneRule(family);
                break;
            case 6:
                ReplaceDefaultRoute(family);
                break;
            case 7:
                SetDown();
                break;
            case 8:
                ChangeMac();
                break;
            case 9:
                ConfigureSecondary();
                break;
            case var _ when family == IpFamily.V6:
                ChangeIpv6Settings();
                break;
            default:
                ChangeSettings();
                break;
        }
    }

    private AddressFamily PickFamily() => scenario.Families is { DamagesHost: true } && _families.Next(2) == 0 ? IpFamily.V6 : IpFamily.V4;

    /// <summary><c>ip rule flush</c>: all but the first one, the kernel's own and those of others included.</summary>
    private void FlushRules(AddressFamily family)
    {
        node.Trace.Add($"fault: someone flushes all rules{Of(family)}");
        foreach (var rule in Kernel.Rules(family).Where(rule => rule.Priority > 0).ToArray())
            Do(new HostChange.RemoveRule(rule));
    }

    private static string Of(AddressFamily family) => family == IpFamily.V6 ? " of IPv6" : "";

    private void FlushInterfaceTable(AddressFamily family)
    {
        if (PickOrNull(SecondaryTables(family)) is not { } table)
            return;
        node.Trace.Add($"fault: someone flushes table {table}{Of(family)}");
        foreach (var route in Kernel.Routes(family, table).ToArray())
            Do(new HostChange.RemoveRoute(route));
    }

    private void RemovePodRoutes(AddressFamily family)
    {
        node.Trace.Add($"fault: someone removes all routes to pods{Of(family)}");
        foreach (var route in PodRoutes(family))
            Do(new HostChange.RemoveRoute(route));
    }

    private void RemoveOneRule(AddressFamily family)
    {
        if (PickOrNull(OurRules(family)) is not { } rule)
            return;
        node.Trace.Add($"fault: someone removes rule {rule.Priority} {rule.Source} {rule.Destination}");
        Do(new HostChange.RemoveRule(rule));
    }

    private void ReplaceDefaultRoute(AddressFamily family)
    {
        var defaults = SecondaryTables(family)
            .SelectMany(table => Kernel.Routes(family, table))
            .Where(route => route is { Destination: null, Gateway: not null })
            .ToArray();
        if (PickOrNull(defaults) is not { } route)
            return;
        node.Trace.Add($"fault: someone replaces the default route of table {route.Table}{Of(family)}");
        var gateway = IPAddress.Parse(family == IpFamily.V6 ? "fe80::bad" : "10.0.255.254");
        Do(new HostChange.ReplaceRoute(route with { Gateway = gateway, OnLink = true }));
    }

    private void SetDown()
    {
        var candidates = Kernel.Links.Values.Where(link => link.IsUp && (link.Kind == "veth" || IsSecondary(link))).ToArray();
        if (PickOrNull(candidates) is not { } link)
            return;
        node.Trace.Add($"fault: someone sets {link.Name} down");
        checker.Disturb(link.Index);
        Kernel.SetLink(KernelActor.Other, link with { Flags = link.Flags & ~LinkFlags.Up });
    }

    private void ChangeMac()
    {
        if (PickOrNull(Kernel.Links.Values.Where(link => link is { Kind: "veth", IsUp: true }).ToArray()) is not { } link)
            return;
        node.Trace.Add($"fault: someone changes the MAC address of {link.Name}");
        checker.Disturb(link.Index);
        Do(new HostChange.SetMac(link.Index, MacAddress.Random(_random)));
    }

    /// <summary>A network tool gives a secondary interface an address, with its prefix route in main.</summary>
    private void ConfigureSecondary()
    {
        if (PickOrNull(Kernel.Links.Values.Where(link => link.IsUp && IsSecondary(link)).ToArray()) is not { } link)
            return;
        var own = Kernel.Addresses.FirstOrDefault(address => address.LinkIndex == link.Index);
        if (own is null)
            return;
        node.Trace.Add($"fault: a network tool configures {link.Name}");
        var bytes = own.Address.GetAddressBytes();
        bytes[3] ^= 1;
        Kernel.AddAddress(KernelActor.Other, link.Index, new IPAddress(bytes), own.PrefixLength);
    }

    private void ChangeSettings()
    {
        switch (_random.Next(3))
        {
            case 0:
                node.Trace.Add("fault: someone disables forwarding");
                Kernel.Settings.Write("ipv4/conf/all/forwarding", "0");
                break;
            case 1 when PickOrNull(Kernel.Links.Values.Where(link => link.Kind is null && link.Index > 1).ToArray()) is { } link:
                node.Trace.Add($"fault: someone sets rp_filter of {link.Name}");
                Kernel.Settings.Write($"ipv4/conf/{link.Name}/rp_filter", "1");
                break;
            default:
                node.Trace.Add("fault: someone flushes the nftables ruleset");
                foreach (var table in Kernel.Tables.Keys.ToArray())
                    Kernel.SetTable(table, null);
                break;
        }
    }

    private void ChangeIpv6Settings()
    {
        var setting = _families.Next(2) == 0 ? "ipv6/conf/all/forwarding" : "ipv6/conf/eth0/accept_ra";
        var value = setting.EndsWith("forwarding", StringComparison.Ordinal) ? "0" : "1";
        node.Trace.Add($"fault: someone sets {setting} to {value}");
        Kernel.Settings.Write(setting, value);
    }

    /// <summary>The driver of a secondary interface is reloaded: its link goes, and comes back with another index, unconfigured.</summary>
    private void Vanish()
    {
        var candidates = node
            .World.InterfacesOf(node.Instance)
            .Where(eni => !eni.Attachment!.IsPrimary && Kernel.Links.Values.Any(link => link.Mac == MacAddress.Parse(eni.Mac)))
            .ToArray();
        if (PickOrNull(candidates) is not { } eni)
            return;
        node.Trace.Add($"fault: the link of {eni.Id} vanishes");
        // Until it is back the daemon cannot use the interface.
        node.Checker.Damage(eni.AllRanges);
        _vanished.Add(eni.Mac);
        _vanishings++;
        Kernel.RemoveInterface(eni.Mac);
        node.Time.After(
            TimeSpan.FromSeconds(_random.NextDouble() * 20),
            () =>
            {
                if (!_vanished.Remove(eni.Mac))
                    return;
                node.Trace.Add($"fault: the link of {eni.Id} comes back");
                Kernel.AddInterface(eni.Mac);
            }
        );
    }

    /// <summary>
    /// A program removes one rule or route whenever it is put back. Repairs become slower, and are bounded.
    /// </summary>
    private void Dispute()
    {
        var family = PickFamily();
        object[] targets =
        [
            .. OurRules(family),
            .. SecondaryTables(family).SelectMany(table => Kernel.Routes(family, table)).Where(route => !checker.Foreign.Contains(route)),
        ];
        if (PickOrNull(targets) is not { } target)
            return;
        HostChange undo = target is RuleInfo rule ? new HostChange.RemoveRule(rule) : new HostChange.RemoveRoute((RouteInfo)target);
        var pod = PodOf(target);
        var (began, ends) = (node.Time.GetUtcNow(), node.Time.GetUtcNow() + TimeSpan.FromSeconds(_random.Next(30, 240)));
        var (repairs, interruptions) = (checker.RepairsOf(target), node.Starts + _vanishings);
        node.Trace.Add($"fault: a program undoes {target} until {ends:HH:mm:ss}");
        Again();

        void Again()
        {
            // Of the next pod with the address it is another dispute.
            if (_isCalm || node.Time.GetUtcNow() > ends || PodOf(target) != pod)
                return;
            Do(undo);
            if (checker.RepairsOf(target) - repairs is var made && made > Bound())
            {
                node.Checker.Fail($"{made} repairs of {target} in {(node.Time.GetUtcNow() - began).TotalSeconds:0} s");
                return;
            }

            node.Time.After(TimeSpan.FromMilliseconds(50), Again);
        }

        // After a restart, or a while without the interface, it is another dispute for the daemon.
        double Bound() =>
            (RepairsBeforeLongestPause * (1 + node.Starts + _vanishings - interruptions))
            + ((node.Time.GetUtcNow() - began) / LongestPause * 2);
    }

    private PodRecord? PodOf(object item) =>
        item is RuleInfo { Priority: ToPod or FromPod } rule && (rule.Destination ?? rule.Source) is { } range
            ? node.Checker.FindLive(range.BaseAddress)
            : null;

    /// <summary>
    /// Another program adds, changes or removes rules and routes of its own, at priorities and in tables of its own or ours.
    /// </summary>
    private void ChangeForeign()
    {
        var mine = checker.Foreign.ToArray();
        if (mine.OfType<RouteInfo>().ToArray() is { Length: > 0 } routes && _random.Next(4) == 0)
        {
            var route = routes[_random.Next(routes.Length)];
            checker.Forget(route);
            Replace(route with { Mtu = _random.Next(1280, 1500) });
            return;
        }

        if (mine.Length > 0 && _random.Next(3) == 0)
        {
            var going = mine[_random.Next(mine.Length)];
            checker.Forget(going);
            Do(going is RuleInfo rule ? new HostChange.RemoveRule(rule) : new HostChange.RemoveRoute((RouteInfo)going));
            return;
        }

        var number = ++_foreign % 250;
        if (_random.Next(2) == 0)
            AddForeign(ForeignRule(number));
        else
            AddForeign(ForeignRoute(number));
    }

    private RuleInfo ForeignRule(int number)
    {
        var range = IPNetwork.Parse($"198.18.{number}.0/24");
        var rule = new RuleInfo
        {
            Family = IpFamily.V4,
            Protocol = RouteProtocol.Static,
            Table = ForeignTable,
        };
        var pod = PickOrNull(node.Checker.Live.ToArray())?.Addresses[0];
        return _random.Next(8) switch
        {
            0 => rule with { Priority = 100 + number, Destination = range },
            1 => rule with { Priority = 20_000 + number, Source = range },
            2 => rule with { Priority = ToPod, Destination = range },
            3 when pod is not null => rule with
            {
                Family = pod.AddressFamily,
                Priority = ToPod,
                Destination = AddressMath.Single(pod),
                InputInterface = "docker0",
            },
            4 => rule with { Priority = FromPod, Source = new IPNetwork(range.BaseAddress, 32), InputInterface = "docker0" },
            5 => rule with { Priority = Mark, Mark = 0x4000, MarkMask = 0x4000, Source = range, Table = RouteTable.Main },
            6 => rule with { Priority = ExternalService, Destination = range, Source = range },
            _ => rule with { Priority = FromInterface, Source = range },
        };
    }

    private RouteInfo ForeignRoute(int number)
    {
        var route = new RouteInfo
        {
            Family = IpFamily.V4,
            Destination = IPNetwork.Parse($"198.19.{number}.0/24"),
            LinkIndex = Kernel.FindLink("eth0")!.Index,
            Scope = RouteScope.Link,
            Protocol = RouteProtocol.Static,
        };
        var secondary = PickOrNull(Kernel.Links.Values.Where(link => link.IsUp && IsSecondary(link)).ToArray());
        var table = PickOrNull(SecondaryTables(IpFamily.V4));
        return _random.Next(4) switch
        {
            0 => route with { Table = ForeignTable },
            1 when secondary is not null && table is not null => route with { Table = table.Value, LinkIndex = secondary.Index },
            2 => route with { Destination = IPNetwork.Parse($"198.19.{number}.7/32") },
            _ => route,
        };
    }

    private void Replace(RouteInfo route)
    {
        if (Do(new HostChange.ReplaceRoute(route)))
            checker.AddForeign(route);
    }

    private void AddForeign(object item)
    {
        HostChange change = item is RuleInfo rule ? new HostChange.AddRule(rule) : new HostChange.AddRoute((RouteInfo)item);
        if (Do(change))
            checker.AddForeign(item);
    }

    private bool Do(HostChange change)
    {
        if (change is HostChange.RemoveRule(var rule) && checker.Foreign.Contains(rule))
            checker.Forget(rule);
        if (change is HostChange.RemoveRoute(var route) && checker.Foreign.Contains(route))
            checker.Forget(route);
        return Kernel.Apply(KernelActor.Other, change) == Errno.None;
    }

    private static bool IsSecondary(LinkInfo link) => link is { Kind: null, Index: > 2 };

    private int[] SecondaryTables(AddressFamily family) =>
        [
            .. node
                .World.InterfacesOf(node.Instance)
                .Where(eni => !eni.Attachment!.IsPrimary)
                .Select(eni => eni.Attachment!.DeviceIndex + 1)
                .Where(table => table >= FirstInterfaceTable && Kernel.Routes(family, table).Count > 0),
        ];

    private RouteInfo[] PodRoutes(AddressFamily family) =>
        [
            .. Kernel
                .Routes(family, RouteTable.Main)
                .Where(route => Kernel.Links.TryGetValue(route.LinkIndex, out var link) && link.Kind == "veth"),
        ];

    private RuleInfo[] OurRules(AddressFamily family) =>
        [
            .. Kernel
                .Rules(family)
                .Where(rule => rule.Priority is ToPod or FromPod or FromInterface or Mark && !checker.Foreign.Contains(rule)),
        ];

    private T Pick<T>(params ReadOnlySpan<T> choices) => choices[_random.Next(choices.Length)];

    private T? PickOrNull<T>(IReadOnlyList<T> choices)
        where T : class => choices.Count == 0 ? null : choices[_random.Next(choices.Count)];

    private int? PickOrNull(int[] choices) => choices.Length == 0 ? null : choices[_random.Next(choices.Length)];
}
