// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>
/// Takeover of a node from the AWS VPC CNI: its netfilter rules are removed once ours exist, and open connections survive.
/// </summary>
public sealed class TakeoverTests
{
    private static readonly string[] Rules =
    [
        "-t nat -N AWS-SNAT-CHAIN-0",
        "-t nat -A AWS-SNAT-CHAIN-0 -d 10.0.0.0/16 -m comment --comment|AWS SNAT CHAIN| -j RETURN",
        "-t nat -A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment|AWS, SNAT| -m addrtype ! --dst-type LOCAL -j SNAT --to-source "
            + "10.0.0.10 --random-fully",
        "-t nat -A POSTROUTING -m comment --comment|AWS SNAT CHAIN| -j AWS-SNAT-CHAIN-0",
        "-t nat -N AWS-CONNMARK-CHAIN-0",
        "-t nat -A AWS-CONNMARK-CHAIN-0 -d 10.0.0.0/16 -j RETURN",
        "-t nat -A AWS-CONNMARK-CHAIN-0 -j CONNMARK --set-xmark 0x80/0x80",
        "-t nat -A PREROUTING -i eni+ -m comment --comment|AWS, outbound connections| -j AWS-CONNMARK-CHAIN-0",
        "-t nat -A PREROUTING -m comment --comment|AWS, CONNMARK| -j CONNMARK --restore-mark --mask 0x80",
        "-t mangle -A PREROUTING -i eth0 -m comment --comment|AWS, primary ENI| -m addrtype --dst-type LOCAL --limit-iface-in -j "
            + "CONNMARK --set-mark 0x80/0x80",
        "-t mangle -A PREROUTING -i eni+ -m comment --comment|AWS, primary ENI| -j CONNMARK --restore-mark --mask 0x80",
    ];

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    public async Task Rules_of_the_reference_are_replaced_and_open_connections_survive(string kind)
    {
        Requirement.NeedProgram(kind);
        Pair? open = null;
        await using var lab = await HostLab.StartAsync(before: lab =>
        {
            KubeProxy.Install(lab.Host, kind);
            foreach (var rule in Rules)
                Iproute.Run(lab.Host, kind, Arguments(rule));
            lab.Nft("add table ip aws-cni");
            lab.Host.IpBatch(
                "",
                [
                    "rule add priority 1024 fwmark 0x80/0x80 table main",
                    "address add 10.0.0.20/24 dev ens6 noprefixroute",
                    "route add 10.0.0.1 dev ens6 table 2",
                    "route add default via 10.0.0.1 table 2",
                ]
            );
            var pod = lab.AddPod("web", "10.0.0.21");
            open = Pair.Connect(pod, lab.First);
        });
        using var running = open!;
        Assert.Equal(HostLab.PrimaryAddress, running.SeenSource);

        var left = Iproute.Run(lab.Host, $"{kind}-save", []);
        Assert.DoesNotContain("AWS", left, StringComparison.Ordinal);
        Assert.Contains("KUBE-SERVICES", left, StringComparison.Ordinal);
        Assert.DoesNotContain("aws-cni", lab.Nft("list tables"), StringComparison.Ordinal);
        // The connection survived the takeover.
        running.AssertAlive();
        Assert.Equal(
            HostLab.PrimaryAddress,
            await HostLab.ConnectAsync(lab.AddPod("new", "10.0.0.22"), lab.First, new IPEndPoint(HostLab.Internet, 8081))
        );
    }

    /// <summary>Splits a rule at blanks; text between bars is one argument.</summary>
    private static string[] Arguments(string rule) =>
        [.. rule.Split('|').SelectMany((part, index) => index % 2 == 1 ? [part] : part.Split(' ', StringSplitOptions.RemoveEmptyEntries))];

    /// <summary>Both ends of an open connection to the outside.</summary>
    internal sealed class Pair(Socket client, Socket server) : IDisposable
    {
        public IPAddress SeenSource => ((IPEndPoint)server.RemoteEndPoint!).Address;

        public static Pair Connect(NetworkNamespace from, NetworkNamespace to)
        {
            using var listener = to.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(HostLab.Internet, 8080));
            listener.Listen();
            var client = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            client.ReceiveTimeout = 5000;
            client.Connect(listener.LocalEndPoint!);
            var server = listener.Accept();
            server.ReceiveTimeout = 5000;
            return new Pair(client, server);
        }

        public void AssertAlive()
        {
            client.Send([1]);
            Assert.Equal(1, server.Receive(new byte[1]));
            server.Send([2]);
            Assert.Equal(1, client.Receive(new byte[1]));
        }

        public void Dispose()
        {
            client.Dispose();
            server.Dispose();
        }
    }
}
