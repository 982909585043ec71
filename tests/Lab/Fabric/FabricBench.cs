// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;

namespace VpcCni.Lab.Tests.Fabric;

/// <summary>A fabric for one test, with two subnets and unique namespace names.</summary>
internal sealed class FabricBench : IAsyncDisposable
{
    public static readonly IPNetwork Vpc = IPNetwork.Parse("10.0.0.0/16");
    public static readonly IPNetwork SubnetA = IPNetwork.Parse("10.0.1.0/24");
    public static readonly IPNetwork SubnetB = IPNetwork.Parse("10.0.2.0/24");

    private static int _count;

    private FabricBench(FabricNames names, VpcFabric fabric)
    {
        Names = names;
        Fabric = fabric;
    }

    public FabricNames Names { get; }

    public VpcFabric Fabric { get; }

    public Probe Probe { get; } = new(TimeProvider.System, TimeSpan.FromSeconds(5));

    /// <summary>Probe for targets that must not reply. Its deadline is many local round trips.</summary>
    public Probe ShortProbe { get; } = new(TimeProvider.System, TimeSpan.FromMilliseconds(300));

    public Dictionary<string, NetworkNamespace> Nodes { get; } = [];

    public static CancellationToken Cancellation => Xunit.TestContext.Current.CancellationToken;

    public static FabricNames NewNames() => new($"t{Environment.ProcessId}x{Interlocked.Increment(ref _count)}");

    public static async Task<FabricBench> CreateAsync()
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        var names = NewNames();
        return new FabricBench(names, await VpcFabric.CreateAsync(Options(names), TimeProvider.System, NullLogger.Instance, Cancellation));
    }

    public static FabricOptions Options(FabricNames names) =>
        new()
        {
            LabName = names.Lab,
            VpcRanges = [Vpc],
            Subnets = [SubnetA, SubnetB],
        };

    public static EniAttachment Eni(string id, string node, int device, string primary, params string[] others) =>
        new()
        {
            EniId = "eni-" + id,
            Node = node,
            DeviceIndex = device,
            Mac = MacAddress.Parse($"02:00:00:00:{device:x2}:{IPAddress.Parse(primary).GetAddressBytes()[3]:x2}"),
            Subnet = SubnetB.Contains(IPAddress.Parse(primary)) ? SubnetB : SubnetA,
            PrimaryAddress = IPAddress.Parse(primary),
            Addresses = Networks([primary, .. others]),
        };

    public static IReadOnlyList<IPNetwork> Networks(params IReadOnlyList<string> addresses) =>
        [
            .. addresses.Select(address =>
                address.Contains('/', StringComparison.Ordinal) ? IPNetwork.Parse(address) : new IPNetwork(IPAddress.Parse(address), 32)
            ),
        ];

    /// <summary>Adds a node with its primary ENI and waits until the fabric has applied it.</summary>
    public async Task<NetworkNamespace> AddNodeAsync(string node, EniAttachment primary)
    {
        Nodes[node] = Fabric.AddNode(node);
        Fabric.Attach(primary);
        await Fabric.WaitUntilAppliedAsync(Cancellation);
        return Nodes[node];
    }

    /// <summary>Adds an address to a node, in place of a pod's.</summary>
    public static void AddAddress(NetworkNamespace node, string address)
    {
        using var netlink = node.OpenRouteNetlink();
        netlink.Execute(AddressRequests.Add(netlink.FindLink("lo")!.Index, IPAddress.Parse(address), 32));
    }

    public ValueTask DisposeAsync() => Fabric.DisposeAsync();
}
