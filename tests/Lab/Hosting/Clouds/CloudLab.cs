// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Hosting.Clouds;

/// <summary>A lab of a cloud, in this process and without daemons, and probes in it.</summary>
internal static class CloudLab
{
    public static Probe Probe { get; } = new(TimeProvider.System, TimeSpan.FromSeconds(5));

    public static async Task<VpcLab> StartAsync(LabCloud cloud, Func<LabOptions, LabOptions>? change = null)
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        var names = NewNames();
        var options = new LabOptions
        {
            Cloud = cloud,
            Name = names.Lab,
            RunFolder = Path.Combine(Path.GetTempPath(), names.Prefix + "run"),
            Nodes = [2],
            InstanceType = LabOptions.DefaultTypeOf(cloud),
        };
        return await VpcLab.StartAsync(change?.Invoke(options) ?? options, TimeProvider.System, NullLoggerProvider.Instance, Cancellation);
    }

    /// <summary>A client whose connections start in a namespace.</summary>
    public static HttpClient ClientIn(NetworkNamespace network) =>
        new(
            new SocketsHttpHandler
            {
                ConnectCallback = async (context, cancellationToken) =>
                {
                    var socket = network.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                    await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            }
        )
        {
            BaseAddress = new Uri(VpcLab.CloudEndpoint),
        };

    /// <summary>Whether an address replies to one ping from a node.</summary>
    public static async Task<bool> RepliesAsync(LabNode from, string address)
    {
        try
        {
            await new Probe(TimeProvider.System, TimeSpan.FromMilliseconds(300)).PingAsync(
                from.Network,
                IPAddress.Parse(address),
                Cancellation
            );
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Whether a packet with a source arrives at another node's address.</summary>
    public static Task<bool> MaySendFromAsync(LabNode sender, string source, LabNode receiver) =>
        Probe.IsForgedSourceDeliveredAsync(sender.Network, IPAddress.Parse(source), receiver.Network, receiver.Address, Cancellation);

    /// <summary>Packets of a node that were dropped because of their source.</summary>
    public static async Task<long> SpoofedAsync(VpcLab lab, LabNode node) =>
        (await lab.StatusAsync(Cancellation)).Nodes.Single(status => status.Name == node.Name).Enis.Sum(nic => nic.Spoofed.Packets);
}
