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

    public static readonly IPNetwork Vpc6 = IPNetwork.Parse("2001:db8:0:100::/56");
    public static readonly IPNetwork SubnetA6 = IPNetwork.Parse("2001:db8:0:101::/64");
    public static readonly IPNetwork SubnetB6 = IPNetwork.Parse("2001:db8:0:102::/64");

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

    /// <summary>Creates a fabric that carries both families.</summary>
    public static Task<FabricBench> CreateDualAsync() =>
        CreateAsync(names => Options(names) with { VpcRanges = [Vpc, Vpc6], Subnets = [SubnetA, SubnetB, SubnetA6, SubnetB6] });

    public static Task<FabricBench> CreateAsync() => CreateAsync(Options);

    private static async Task<FabricBench> CreateAsync(Func<FabricNames, FabricOptions> options)
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        var names = NewNames();
        return new FabricBench(names, await VpcFabric.CreateAsync(options(names), TimeProvider.System, NullLogger.Instance, Cancellation));
    }

    public static FabricOptions Options(FabricNames names) =>
        new()
        {
            LabName = names.Lab,
            VpcRanges = [Vpc],
            Subnets = [SubnetA, SubnetB],
        };

    public static FabricInterface Eni(string id, string node, int device, string primary, params string[] others) =>
        new()
        {
            InterfaceId = "eni-" + id,
            Node = node,
            DeviceIndex = device,
            Mac = MacAddress.Parse($"02:00:00:00:{device:x2}:{IPAddress.Parse(primary).GetAddressBytes()[3]:x2}"),
            Subnet = SubnetB.Contains(IPAddress.Parse(primary)) ? SubnetB : SubnetA,
            PrimaryAddress = IPAddress.Parse(primary),
            Addresses = Networks([primary, .. others]),
        };

    /// <summary>The ENI with an IPv6 subnet and these IPv6 addresses and prefixes.</summary>
    public static FabricInterface Dual(FabricInterface eni, params string[] ipv6) =>
        eni with
        {
            Ipv6Subnet = eni.Subnet == SubnetB ? SubnetB6 : SubnetA6,
            Addresses = [.. eni.Addresses, .. Networks(ipv6)],
        };

    public static IReadOnlyList<IPNetwork> Networks(params IReadOnlyList<string> addresses) =>
        [
            .. addresses.Select(address =>
                address.Contains('/', StringComparison.Ordinal) ? IPNetwork.Parse(address) : Host(IPAddress.Parse(address))
            ),
        ];

    /// <summary>Adds a node with its primary ENI and waits until the fabric has applied it.</summary>
    public async Task<NetworkNamespace> AddNodeAsync(string node, FabricInterface primary)
    {
        Nodes[node] = Fabric.AddNode(node);
        Fabric.Attach(primary);
        await Fabric.WaitUntilAppliedAsync(Cancellation);
        return Nodes[node];
    }

    /// <summary>
    /// Waits until an address replies to a ping. The kernel may drop the first packets on a link that was just created.
    /// </summary>
    public Task ReachAsync(NetworkNamespace from, string address) =>
        Eventually.TrueAsync(
            async () =>
            {
                try
                {
                    await ShortProbe.PingAsync(from, IPAddress.Parse(address), Cancellation);
                    return true;
                }
                catch (TimeoutException)
                {
                    return false;
                }
            },
            what: $"a ping of {address} is answered"
        );

    /// <summary>Adds an address to a node, in place of a pod's.</summary>
    public static void AddAddress(NetworkNamespace node, string address)
    {
        using var netlink = node.OpenRouteNetlink();
        var host = Host(IPAddress.Parse(address));
        netlink.Execute(
            AddressRequests.Add(netlink.FindLink("lo")!.Index, host.BaseAddress, host.PrefixLength, new AddressOptions { NoDad = true })
        );
    }

    private static IPNetwork Host(IPAddress address) => new(address, IpFamily.Bits(address.AddressFamily));

    public ValueTask DisposeAsync() => Fabric.DisposeAsync();
}
