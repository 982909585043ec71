// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Fabric;

/// <summary>Tests model, services and fabric together, in this process and without daemons: the kernel follows EC2's state.</summary>
public sealed class VpcLabTests
{
    [Fact]
    public async Task Eni_link_appears_after_the_attach_latency_and_disappears_on_detach()
    {
        await using var lab = await StartAsync(attachLatency: TimeSpan.FromMilliseconds(200));
        var node = lab.Nodes[0];
        using var netlink = node.Network.OpenRouteNetlink();
        var eni = lab.World.With(world =>
            world.CreateNetworkInterface(new CreateInterfaceRequest { Subnet = node.Instance.Subnet, Ipv4 = AddressRequest.Any(2) })
        );
        var attachment = lab.World.With(world =>
            world.AttachNetworkInterface(new AttachInterfaceRequest(eni.Id, node.Instance.Id, DeviceIndex: 1))
        );
        await Eventually.TrueAsync(() =>
        {
            if (netlink.FindLink("ens6") is null)
                return false;
            // The link must not appear before the latency has passed.
            Assert.Equal(AttachmentStatus.Attached, lab.World.With(world => world.FindInterface(eni.Id)!.Attachment!.Status));
            return true;
        });
        Assert.Equal(eni.Mac, netlink.FindLink("ens6")!.Mac.ToString());
        Assert.Equal([.. eni.AllRanges.Select(range => range.BaseAddress).OrderBy(Text)], RoutedTo(lab, eni.Id).OrderBy(Text));

        lab.World.With(world =>
        {
            world.DetachNetworkInterface(attachment.Id);
            return true;
        });
        await Eventually.TrueAsync(() => netlink.FindLink("ens6") is null);
        await Eventually.TrueAsync(async () => (await lab.StatusAsync(Cancellation)).Nodes[0].Enis.Count == 1);
    }

    [Fact]
    public async Task Assigned_address_is_routed_and_unassigned_is_not()
    {
        await using var lab = await StartAsync();
        var node = lab.Nodes[0];
        var primary = node.Instance.PrimaryInterface;
        var assigned = lab.World.With(world => world.AssignPrivateIpAddresses(primary, AddressRequest.Any(1))).Addresses[0];
        await Eventually.TrueAsync(() => RoutedTo(lab, primary).Contains(assigned));

        lab.World.With(world => world.UnassignPrivateIpAddresses(primary, [assigned], []));
        await Eventually.TrueAsync(() => !RoutedTo(lab, primary).Contains(assigned));
        await lab.Fabric.WaitUntilAppliedAsync(Cancellation);
        AddAddress(node.Network, assigned.ToString());
        var shortProbe = new Probe(TimeProvider.System, TimeSpan.FromMilliseconds(300));
        await Assert.ThrowsAsync<TimeoutException>(() => shortProbe.PingAsync(lab.Nodes[1].Network, assigned, Cancellation));
    }

    [Fact]
    public async Task Metadata_identifies_the_node_that_asks()
    {
        await using var lab = await StartAsync();
        foreach (var node in lab.Nodes)
        {
            using var client = ClientIn(node.Network);
            using var ask = new HttpRequestMessage(HttpMethod.Put, "http://169.254.169.254/latest/api/token")
            {
                Headers = { { "X-aws-ec2-metadata-token-ttl-seconds", "60" } },
            };
            using var token = await client.SendAsync(ask, Cancellation);
            client.DefaultRequestHeaders.Add("X-aws-ec2-metadata-token", await token.Content.ReadAsStringAsync(Cancellation));
            Assert.Equal(
                node.Instance.Id.Value,
                await client.GetStringAsync("http://169.254.169.254/latest/meta-data/instance-id", Cancellation)
            );
            Assert.Equal(
                node.Address.ToString(),
                await client.GetStringAsync("http://169.254.169.254/latest/meta-data/local-ipv4", Cancellation)
            );
        }
    }

    [Fact]
    public async Task Injected_fault_applies_the_given_number_of_times_and_is_in_the_status()
    {
        await using var lab = await StartAsync();
        lab.World.Inject(
            new FaultSpec
            {
                Operation = "AssignPrivateIpAddresses",
                Code = "InsufficientFreeAddressesInSubnet",
                Times = 1,
            }
        );
        Assert.Single((await lab.StatusAsync(Cancellation)).Faults);

        var primary = lab.Nodes[0].Instance.PrimaryInterface;
        var fault = Assert.Throws<Ec2FaultException>(() =>
            lab.World.With(world => world.AssignPrivateIpAddresses(primary, AddressRequest.Any(1)))
        );
        Assert.Equal("InsufficientFreeAddressesInSubnet", fault.Code);
        lab.World.With(world => world.AssignPrivateIpAddresses(primary, AddressRequest.Any(1)));
        var status = await lab.StatusAsync(Cancellation);
        Assert.Empty(status.Faults);
        Assert.Contains(new CloudCallCount("AssignPrivateIpAddresses", "InsufficientFreeAddressesInSubnet", 1), status.CloudCalls);
        Assert.Contains(new CloudCallCount("AssignPrivateIpAddresses", "OK", 1), status.CloudCalls);
    }

    private static async Task<VpcLab> StartAsync(TimeSpan attachLatency = default)
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        var names = NewNames();
        var options = new LabOptions
        {
            Name = names.Lab,
            RunFolder = Path.Combine(Path.GetTempPath(), names.Prefix + "run"),
            Nodes = [2],
            AttachLatency = attachLatency,
        };
        return await VpcLab.StartAsync(options, TimeProvider.System, NullLoggerProvider.Instance, Cancellation);
    }

    private static string Text(IPAddress address) => address.ToString();

    private static IReadOnlyList<IPAddress> RoutedTo(VpcLab lab, EniId eni)
    {
        using var netlink = lab.Fabric.Router.OpenRouteNetlink();
        var link = netlink.FindLink(FabricNames.RouterLink(eni.Value));
        return link is null
            ? []
            :
            [
                .. netlink
                    .GetRoutes(IpFamily.V4, RouteTable.Main)
                    .Where(route => route.LinkIndex == link.Index)
                    .Select(route => route.Destination!.Value.BaseAddress),
            ];
    }

    private static HttpClient ClientIn(NetworkNamespace network) =>
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
        );
}
