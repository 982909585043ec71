// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Fabric;

/// <summary>Tests the advertisements on a link between two namespaces, in virtual time: only what a test causes is sent.</summary>
public sealed class RouterAdvertiserTests
{
    private static readonly IPAddress Router = IPAddress.Parse("fe80::ec2:0:101");
    private static readonly MacAddress Mac = MacAddress.Parse("02:00:00:00:00:fe");
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Added_link_gets_an_advertisement_at_once_and_one_every_interval()
    {
        await using var link = Link.Create();
        link.Advertiser.Add(link.Index, Router, Mac);
        await link.ReceiveAdvertisementAsync();

        link.Time.Advance(TimeSpan.FromSeconds(2));
        await link.ReceiveAdvertisementAsync();
        link.Advertiser.Remove(link.Index);
        link.Time.Advance(TimeSpan.FromSeconds(2));
        link.Advertiser.Add(link.Index, Router, Mac);
        await link.ReceiveAdvertisementAsync();
        Assert.Equal(0, link.Host.Available);
    }

    [Fact]
    public async Task Solicitation_is_answered()
    {
        await using var link = Link.Create();
        link.Advertiser.Add(link.Index, Router, Mac);
        await link.ReceiveAdvertisementAsync();

        link.Solicit();
        await link.ReceiveAdvertisementAsync();
    }

    /// <summary>A router and a host, each in a namespace, and the host's socket.</summary>
    private sealed class Link : IAsyncDisposable
    {
        private readonly HostNamespace _router,
            _host;

        private Link(HostNamespace router, HostNamespace host)
        {
            (_router, _host) = (router, host);
            foreach (var one in new[] { router, host })
                Sysctl.Write(
                    one.Network,
                    ("ipv6/conf/all/disable_ipv6", "0"),
                    ("ipv6/conf/default/disable_ipv6", "0"),
                    ("ipv6/conf/all/forwarding", one == router ? "1" : "0"),
                    ("ipv6/conf/default/forwarding", one == router ? "1" : "0"),
                    ("ipv6/conf/default/accept_ra", "0"),
                    // No link-local address of its own, whose kernel would solicit too.
                    ("ipv6/conf/default/addr_gen_mode", "1")
                );
            router.Netlink.Execute(
                LinkRequests.CreateVeth(
                    new VethSpec
                    {
                        Name = "v0",
                        Up = true,
                        PeerName = "eth0",
                        PeerNamespace = host.Network,
                    }
                )
            );
            Index = router.Netlink.FindLink("v0")!.Index;
            HostIndex = host.Netlink.FindLink("eth0")!.Index;
            host.Netlink.Execute([
                LinkRequests.SetUp(HostIndex, true),
                RouterNamespace.LinkLocalAddress(HostIndex, IPAddress.Parse("fe80::9"), 64),
            ]);
            router.Netlink.Execute(RouterNamespace.LinkLocalAddress(Index, Router, 64));
            Advertiser = new RouterAdvertiser(router.Network, Time, NullLogger.Instance);
            Host = host.Network.OpenSocket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6);
            Host.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, 255);
            Host.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        }

        public FakeTimeProvider Time { get; } = new();

        public int Index { get; }

        public int HostIndex { get; }

        public Socket Host { get; }

        public RouterAdvertiser Advertiser { get; }

        public static Link Create()
        {
            Requirement.NeedRoot();
            var names = NewNames();
            var router = HostNamespace.Create(names.Router);
            HostNamespace? host = null;
            try
            {
                host = HostNamespace.Create(names.Node("host"));
                return new Link(router, host);
            }
            catch
            {
                host?.Dispose();
                router.Dispose();
                FabricNamespaces.RemoveAll(names);
                throw;
            }
        }

        public void Solicit() =>
            Host.SendTo(
                [133, 0, 0, 0, 0, 0, 0, 0],
                new IPEndPoint(new IPAddress(IPAddress.Parse("ff02::2").GetAddressBytes(), HostIndex), 0)
            );

        /// <summary>Receives one advertisement and checks its content; ignores other messages.</summary>
        public async Task ReceiveAdvertisementAsync()
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            limit.CancelAfter(Deadline);
            var buffer = new byte[1280];
            while (true)
            {
                var received = await Host.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.IPv6Any, 0), limit.Token);
                if (buffer[0] != 134)
                    continue;
                Assert.Equal(Router.GetAddressBytes(), ((IPEndPoint)received.RemoteEndPoint).Address.GetAddressBytes());
                // Code 0, hop limit 64, flag M, lifetime 1800 s, and one option: so no prefix that hosts would treat as on-link.
                Assert.Equal([134, 0], buffer[..2]);
                Assert.Equal([64, 0x80, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0xfe], buffer[4..received.ReceivedBytes]);
                return;
            }
        }

        public async ValueTask DisposeAsync()
        {
            await Advertiser.DisposeAsync();
            Host.Dispose();
            foreach (var one in new[] { _router, _host })
            {
                one.Dispose();
                NetworkNamespace.DeleteNamed(one.Name);
            }
        }
    }
}
