// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Tests.Audit;

/// <summary>A consistent node with two interfaces and a pod on each; a test breaks one thing.</summary>
internal sealed class AuditWorld : INodeView
{
    private const string Prefix = "eni";
    private const int FirstPodLink = 10;
    public static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public AuditWorld()
    {
        Ledger.Observe(
            [Observation("eni-0", 0, "10.0.0.4", "10.0.0.5", "10.0.0.6"), Observation("eni-1", 1, "10.0.0.8", "10.0.0.9", "10.0.0.10")],
            Now - TimeSpan.FromHours(1),
            Now - TimeSpan.FromHours(1)
        );
        Links =
        [
            new LinkInfo
            {
                Index = 1,
                Name = "lo",
                Flags = LinkFlags.Up,
            },
            Eth(2, "eth0", "02:00:00:00:00:01"),
            Eth(3, "eth1", "02:00:00:00:00:02"),
        ];
        Rules =
        [
            new RuleInfo
            {
                Family = IpFamily.V4,
                Priority = RulePriorities.FromInterface,
                Source = IPNetwork.Parse("10.0.0.8/32"),
                Table = 2,
            },
        ];
        Routes =
        [
            new RouteInfo
            {
                Family = IpFamily.V4,
                LinkIndex = 3,
                Table = 2,
                Gateway = IPAddress.Parse("10.0.0.1"),
            },
        ];
        // The ledger fills the first interface first.
        Run("a");
        Run("b");
        Run("c");
        Cloud = [Described("eni-0", 0, "10.0.0.4", "10.0.0.5", "10.0.0.6"), Described("eni-1", 1, "10.0.0.8", "10.0.0.9", "10.0.0.10")];
    }

    public IpLedger Ledger { get; } = new(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
    public List<LinkInfo> Links { get; }
    public List<RouteInfo> Routes { get; }
    public List<RuleInfo> Rules { get; }
    public List<LinkConfiguration> Settings { get; } = [new(LinkConfiguration.All, Forwards: true, ReversePathFilter: 0)];
    public List<SandboxFacts> Sandboxes { get; } = [];
    public List<CloudInterface> Cloud { get; }
    public HashSet<NetworkInterfaceId> RecentlyChanged { get; } = [];
    public string? KernelRefuses { get; set; }

    /// <summary>Called after each read of the kernel, with its number.</summary>
    public Action<int> Looked { get; set; } = _ => { };

    private int _looks;

    public static IReadOnlyList<InterfaceWiring> Wirings { get; } =
    [Wiring("02:00:00:00:00:01", 0, "10.0.0.4"), Wiring("02:00:00:00:00:02", 1, "10.0.0.8")];

    public AuditSnapshot Snapshot() =>
        new()
        {
            At = Now,
            Ledger = Ledger.View(Now),
            Attachments = Ledger.Attachments(),
            Cooling = Ledger.Record().Record.Cooling.Select(item => item.Address).ToHashSet(),
            Wirings = Wirings,
            VethPrefix = Prefix,
            Kernel = new KernelFacts([.. Links], [.. Routes], [.. Rules]) { Settings = [.. Settings] },
            Runtime = new RuntimeFacts([.. Sandboxes], new HashSet<string> { "/run/netns" }),
            Cloud = Cloud,
            RecentlyChanged = RecentlyChanged,
        };

    KernelFacts INodeView.Kernel()
    {
        if (KernelRefuses is { } reason)
            throw new HostNetworkException(reason);
        var facts = new KernelFacts([.. Links], [.. Routes], [.. Rules]) { Settings = [.. Settings] };
        Looked(++_looks);
        return facts;
    }

    RuntimeFacts INodeView.Runtime(IReadOnlyList<string> paths, CancellationToken cancellationToken) =>
        new([.. Sandboxes], new HashSet<string> { "/run/netns" });

    /// <summary>Adds a pod with all that it needs.</summary>
    public Attachment Run(string name, TimeSpan? ago = null)
    {
        var assigned = Ledger.Assign(
            new AttachmentKey("aws-cni", $"sandbox-{name}", "eth0"),
            new PodReference("default", name),
            $"/run/netns/{name}",
            Now - (ago ?? TimeSpan.FromMinutes(10))
        );
        var attachment = Assert(assigned);
        var (address, place) = (attachment.Addresses[0].Address, attachment.Addresses[0].Slot!.Value);
        var (index, host) = (FirstPodLink + Links.Count, IpRanges.Single(address));
        Links.Add(
            new LinkInfo
            {
                Index = index,
                Name = NameOf(name),
                Kind = "veth",
                Flags = LinkFlags.Up,
                Mac = MacOf(index),
                PeerNamespaceId = index,
            }
        );
        Routes.Add(
            new RouteInfo
            {
                Family = IpFamily.V4,
                Destination = host,
                LinkIndex = index,
                Scope = RouteScope.Link,
            }
        );
        Rules.Add(
            new RuleInfo
            {
                Family = IpFamily.V4,
                Priority = RulePriorities.ToPod,
                Destination = host,
            }
        );
        if (place.Slot.DeviceIndex > 0)
            Rules.Add(
                new RuleInfo
                {
                    Family = IpFamily.V4,
                    Priority = RulePriorities.FromPod,
                    Source = host,
                    Table = place.Slot.DeviceIndex + 1,
                }
            );
        Sandboxes.Add(new SandboxFacts($"/run/netns/{name}", [("eth0", address)], [MacOf(index)]));
        return attachment;
    }

    /// <summary>Adds a namespace with an address.</summary>
    public static SandboxFacts Sandbox(string name, string address, params MacAddress[] gateways) =>
        new($"/run/netns/{name}", [("eth0", IPAddress.Parse(address))], gateways);

    private static MacAddress MacOf(int index) => MacAddress.Parse($"0a:00:00:00:00:{index:x2}");

    public static string NameOf(string pod) => Prefix + KernelUsage.LinkSuffix(new PodReference("default", pod));

    private static Attachment Assert(AssignOutcome outcome) =>
        outcome is AssignOutcome.Assigned { Attachment: var attachment }
            ? attachment
            : throw new InvalidOperationException("the world is full");

    private static LinkInfo Eth(int index, string name, string mac) =>
        new()
        {
            Index = index,
            Name = name,
            Mac = MacAddress.Parse(mac),
            Flags = LinkFlags.Up,
        };

    private static InterfaceWiring Wiring(string mac, int device, string address) =>
        new()
        {
            Mac = mac,
            Slot = new Slot(0, device),
            PrimaryAddress = IPAddress.Parse(address),
            SubnetRange = IPNetwork.Parse("10.0.0.0/24"),
            Mtu = 9001,
        };

    private static InterfaceObservation Observation(string id, int device, string primary, params string[] addresses) =>
        new()
        {
            Id = new NetworkInterfaceId(id),
            Slot = new Slot(0, device),
            PrimaryAddress = IPAddress.Parse(primary),
            SubnetId = "subnet-1",
            Blocks = [.. addresses.Select(address => IpRanges.Single(IPAddress.Parse(address)))],
        };

    private static CloudInterface Described(string id, int device, string primary, params string[] addresses) =>
        new()
        {
            Id = new NetworkInterfaceId(id),
            Mac = $"02:00:00:00:00:0{device + 1}",
            SubnetId = "subnet-1",
            SubnetRange = IPNetwork.Parse("10.0.0.0/24"),
            PrimaryAddress = IPAddress.Parse(primary),
            Blocks = [.. addresses.Select(address => IpRanges.Single(IPAddress.Parse(address)))],
            SecurityGroupIds = [],
            Slot = new Slot(0, device),
        };
}
