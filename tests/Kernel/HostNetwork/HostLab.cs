// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>
/// A node with two ENIs and pods wired as by the plugin. The other end of each ENI is a host with the same internet address, so the host
/// that a packet reaches shows the ENI by which it left. Everything is in namespaces of its own.
/// </summary>
internal sealed class HostLab : IAsyncDisposable
{
    public static readonly IPAddress PrimaryAddress = IPAddress.Parse("10.0.0.10"),
        SecondaryAddress = IPAddress.Parse("10.0.0.20"),
        Internet = IPAddress.Parse("203.0.113.10");

    /// <summary>Route table of the secondary ENI.</summary>
    public const int Table = 2;

    public const string PrimaryMac = "02:00:00:00:00:01",
        SecondaryMac = "02:00:00:00:00:02";
    private readonly CancellationTokenSource _stop = new();
    private readonly List<NetworkNamespace> _pods = [];
    private readonly ConcurrentDictionary<string, PodEndpoint> _attachments = new();
    private readonly KernelHostNetwork _kernel;
    private Task _running = Task.CompletedTask;

    private HostLab(HostNetworkOptions options, IReadOnlyList<string>? programs, string settings)
    {
        Host = NetworkNamespace.CreateAnonymous();
        (First, Second) = (NetworkNamespace.CreateAnonymous(), NetworkNamespace.CreateAnonymous());
        Netlink = Host.OpenRouteNetlink();
        Host.Run(() => Set(("ip_forward", "1"), ("conf/all/rp_filter", "0"), ("conf/default/rp_filter", "0")));
        Netlink.Execute(LinkRequests.SetUp("lo", true));
        Connect("eth0", PrimaryMac, First);
        Connect("ens6", SecondaryMac, Second);
        Host.Ip($"address add {PrimaryAddress}/24 dev eth0");
        Host.Ip("route add default via 10.0.0.1");
        _kernel = new KernelHostNetwork(
            new RtnetlinkKernel(Host, settings),
            options.VethPrefix,
            TimeProvider.System,
            Logger<KernelHostNetwork>()
        );
        // The lab attaches every link before it wires it.
        _kernel.WatchLinks(seen: _ => { }, lost: _ => { });
        Reconciler = new HostNetworkReconciler(
            _kernel,
            new RtnetlinkKernel(Host, settings),
            Program(programs),
            options,
            Inputs,
            repaired: _ => { },
            natTried: () => { },
            TimeProvider.System,
            new Random(1),
            Logger<HostNetworkReconciler>()
        );
    }

    public NetworkNamespace Host { get; }
    public RouteNetlink Netlink { get; }
    public HostNetworkReconciler Reconciler { get; }

    public long Repaired(RepairKind kind) => Reconciler.Report.Kinds[kind].Repaired;

    public ConcurrentQueue<string> Lines { get; } = new();

    /// <summary>The node's own IPv6 address.</summary>
    public IPAddress? Ipv6Address { get; set; }
    public IReadOnlyList<IPNetwork> Ranges { get; set; } = [IPNetwork.Parse("10.0.0.0/16")];

    /// <summary>The namespace at the other end of the primary ENI.</summary>
    public NetworkNamespace First { get; }

    /// <summary>The namespace at the other end of the secondary ENI.</summary>
    public NetworkNamespace Second { get; }

    /// <summary>Returns a runner of the netfilter programs of these folders in the node's namespace.</summary>
    public NetfilterProgram Program(IReadOnlyList<string>? folders = null) =>
        folders is null
            ? new NetfilterProgram(Host, TimeProvider.System)
            : new NetfilterProgram(Host, TimeProvider.System) { Folders = folders };

    /// <summary>Creates the node, wires both ENIs and starts the reconciler.</summary>
    /// <param name="options">Options of the host network.</param>
    /// <param name="before">Prepares the node before the reconciler starts.</param>
    /// <param name="run">False: the reconciler syncs only on request.</param>
    /// <param name="programs">Folders of the netfilter programs; null for those of the machine.</param>
    /// <param name="mtu">MTU of the secondary ENI.</param>
    /// <param name="settings">Folder of the kernel parameters.</param>
    /// <param name="sync">False: the test makes the first sync.</param>
    public static async Task<HostLab> StartAsync(
        HostNetworkOptions? options = null,
        Action<HostLab>? before = null,
        bool run = true,
        IReadOnlyList<string>? programs = null,
        bool sync = true,
        string settings = KernelSettings.Folder,
        int mtu = 9001
    )
    {
        Iproute.Need();
        Requirement.NeedProgram("nft");
        var lab = new HostLab(options ?? new HostNetworkOptions(), programs, settings);
        before?.Invoke(lab);
        await lab.WireAsync(PrimaryMac, 0, PrimaryAddress);
        // Wiring may fail with the MTU that the test is about.
        if (mtu == 9001)
            await lab.WireAsync(SecondaryMac, 1, SecondaryAddress);
        else
            await Xunit.Assert.ThrowsAsync<HostNetworkException>(() => lab.WireAsync(SecondaryMac, 1, SecondaryAddress, mtu));

        if (sync)
            await lab.Reconciler.SyncAsync(CancellationToken.None);
        if (run)
            lab.Run();
        return lab;
    }

    public void Run() => _running = Reconciler.RunAsync(_stop.Token);

    /// <summary>Wires an interface, as the pool does after it is attached.</summary>
    public Task WireAsync(string mac, int device, IPAddress address, int mtu = 9001) =>
        _kernel.EnsureInterfaceAsync(
            new InterfaceWiring
            {
                Mac = mac,
                Slot = new Slot(0, device),
                PrimaryAddress = address,
                SubnetRange = IPNetwork.Parse("10.0.0.0/24"),
                Mtu = mtu,
            },
            TimeSpan.Zero,
            CancellationToken.None
        );

    /// <summary>Adds a pod as the plugin wires it, with an attachment in the ledger.</summary>
    public NetworkNamespace AddPod(string name, string address, int table = Table)
    {
        var ns = NetworkNamespace.CreateAnonymous();
        _pods.Add(ns);
        Attach(name, address, table);
        _attachments[name] = _attachments[name] with { NetnsPath = $"/proc/{Environment.ProcessId}/fd/{ns.Handle.DangerousGetHandle()}" };
        using var pod = ns.OpenRouteNetlink();
        pod.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "eth0",
                    Mtu = 9001,
                    PeerName = LinkOf(name),
                    PeerNamespace = Host,
                    PeerMtu = 9001,
                }
            )
        );
        var (hostMac, index) = (Netlink.FindLink(LinkOf(name))!.Mac, Netlink.FindLink(LinkOf(name))!.Index);
        var endpoint = _attachments[name];
        Netlink.Execute([
            LinkRequests.SetUp(index, true),
            RouteRequests.Add(RouteTo(endpoint.Address, index)),
            .. PodPath.Rules(endpoint.Address, endpoint.Egress).Select(rule => RuleRequests.Add(rule).Tolerating(Errno.EEXIST)),
        ]);
        ns.IpBatch(
            "",
            [
                "link set lo up",
                "link set eth0 up",
                $"address add {address}/32 dev eth0",
                "route add 169.254.1.1 dev eth0",
                "route add default via 169.254.1.1",
                $"neigh add 169.254.1.1 lladdr {hostMac} dev eth0 nud permanent",
            ]
        );
        return ns;
    }

    /// <summary>Adds the host ends of many pods, whose other ends share a namespace.</summary>
    public void AddPodLinks(int count)
    {
        var ns = NetworkNamespace.CreateAnonymous();
        _pods.Add(ns);
        using var pods = ns.OpenRouteNetlink();
        for (var number = 0; number < count; number++)
        {
            var name = $"many{number}";
            Attach(name, $"10.0.{1 + (number / 200)}.{1 + (number % 200)}");
            pods.Execute(
                LinkRequests.CreateVeth(
                    new VethSpec
                    {
                        Name = $"p{number}",
                        PeerName = LinkOf(name),
                        PeerNamespace = Host,
                    }
                )
            );
            var (index, endpoint) = (Netlink.FindLink(LinkOf(name))!.Index, _attachments[name]);
            Netlink.Execute([
                LinkRequests.SetUp(index, true),
                RouteRequests.Add(RouteTo(endpoint.Address, index)),
                .. PodPath.Rules(endpoint.Address, endpoint.Egress).Select(rule => RuleRequests.Add(rule)),
            ]);
        }
    }

    public void Attach(string name, string address, int table = Table) =>
        _attachments[name] = new PodEndpoint(Suffix(name), IPAddress.Parse(address), Egress.ByTable(table));

    public void Release(string name) => _attachments.TryRemove(name, out _);

    public static string LinkOf(string name) => "eni" + Suffix(name);

    /// <summary>Returns everything that the reconciler manages as text, without counters.</summary>
    public string Snapshot() =>
        string.Join(
            '\n',
            [
                .. Netlink
                    .GetRules(IpFamily.V4)
                    .Select(rule =>
                        $"rule {rule.Priority} {rule.Source} {rule.Destination} {rule.Mark:x}/{rule.MarkMask:x} {rule.Table} "
                        + $"{rule.InputInterface}"
                    )
                    .Order(StringComparer.Ordinal),
                .. Netlink
                    .GetRoutes(IpFamily.V4)
                    .Where(route => route.Protocol != RouteProtocol.Kernel)
                    .Select(route => $"route {route.Destination} {route.Gateway} {route.LinkIndex} {route.Table}")
                    .Order(StringComparer.Ordinal),
                .. Netlink
                    .GetLinks()
                    .Where(link => link.Name.StartsWith('e'))
                    .Select(link => $"link {link.Name} {link.Mtu} {link.IsUp} {link.Mac}"),
                .. Netlink
                    .GetAddresses(IpFamily.V4)
                    .Select(address => $"address {address.Address}/{address.PrefixLength} {address.LinkIndex}"),
                .. Host.Run(() =>
                    new[] { "eth0", "ens6" }
                        .Select(link =>
                            File.Exists($"/proc/sys/net/ipv4/conf/{link}/rp_filter")
                                ? $"rp_filter {link} {File.ReadAllText($"/proc/sys/net/ipv4/conf/{link}/rp_filter").Trim()}"
                                : ""
                        )
                        .ToArray()
                ),
                .. Netlink
                    .GetConfigurations(IpFamily.V4)
                    .Select(setting => $"forwarding {setting.LinkIndex} {setting.Forwards}")
                    .Order(StringComparer.Ordinal),
                Nft("-s list ruleset"),
            ]
        );

    public string Nft(string arguments) => Iproute.Run(Host, "nft", arguments.Split(' '));

    /// <summary>
    /// Connects and returns the source address that the server sees. The server listens only in the namespace where the packet is expected.
    /// </summary>
    public static async Task<IPAddress> ConnectAsync(
        NetworkNamespace from,
        NetworkNamespace to,
        IPEndPoint server,
        IPEndPoint? asked = null,
        IPAddress? source = null
    )
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        using var listener = to.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        // Reuses the port of the previous step, whose connection may be in TIME_WAIT.
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(server);
        listener.Listen();
        using var client = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (source is not null)
            client.Bind(new IPEndPoint(source, 0));
        var accepting = listener.AcceptAsync(deadline.Token).AsTask();
        await client.ConnectAsync(asked ?? server, deadline.Token);
        using var served = await accepting;
        var buffer = new byte[1];
        await client.SendAsync(new byte[] { 42 }, deadline.Token);
        await served.ReceiveAsync(buffer, deadline.Token);
        await served.SendAsync(buffer, deadline.Token);
        await client.ReceiveAsync(buffer, deadline.Token);
        return ((IPEndPoint)served.RemoteEndPoint!).Address;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        Reconciler.Dispose();
        _kernel.Dispose();
        Netlink.Dispose();
        foreach (var ns in _pods.Concat([Host, First, Second]))
            ns.Dispose();
        _stop.Dispose();
    }

    /// <summary>Called before the reconciler reads the desired state.</summary>
    public Action BeforeInputs { get; set; } = () => { };

    private HostNetworkInputs Inputs()
    {
        BeforeInputs();
        return Declared();
    }

    private HostNetworkInputs Declared() =>
        new()
        {
            Node = new NodeFacts
            {
                PrimaryAddress = PrimaryAddress,
                PrimaryMac = MacAddress.Parse(PrimaryMac),
                Ipv6Address = Ipv6Address,
                VpcRanges = Ranges,
            },
            Pods = [.. _attachments.Values],
            PodRanges =
            [
                IPNetwork.Parse("10.0.0.16/28"),
                IPNetwork.Parse("10.0.0.32/28"),
                IPNetwork.Parse("10.0.1.0/24"),
                IPNetwork.Parse("10.0.2.0/24"),
            ],
        };

    private void Connect(string link, string mac, NetworkNamespace other)
    {
        using var there = other.OpenRouteNetlink();
        there.Execute([
            LinkRequests.SetUp("lo", true),
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "up0",
                    Mtu = 9001,
                    Up = true,
                    PeerName = link,
                    PeerNamespace = Host,
                    PeerMac = MacAddress.Parse(mac),
                    PeerMtu = 9001,
                }
            ),
        ]);
        Netlink.Execute(LinkRequests.SetUp(link, true));
        other.IpBatch("", ["address add 10.0.0.1/24 dev up0", $"address add {Internet}/32 dev lo"]);
        // As in the VPC, every address of the node is at the MAC address of its ENI.
        other.IpBatch("", Enumerable.Range(10, 40).Select(last => $"neigh add 10.0.0.{last} lladdr {mac} dev up0 nud permanent"));
    }

    private static RouteInfo RouteTo(IPAddress address, int link) =>
        new()
        {
            Family = IpFamily.V4,
            Destination = IpRanges.Single(address),
            LinkIndex = link,
            Scope = RouteScope.Link,
        };

    private static string Suffix(string name) => PodLinkNames.Hash(new PodLinkKey("default", name, "", ""), index: 0);

    private static void Set(params (string Name, string Value)[] settings)
    {
        foreach (var (name, value) in settings)
            File.WriteAllText($"/proc/sys/net/ipv4/{name}", value);
    }

    private RecordingLogger<T> Logger<T>() => new(Lines);
}
