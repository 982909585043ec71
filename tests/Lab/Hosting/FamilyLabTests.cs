// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Cli;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Hosting;

/// <summary>Tests labs with IPv6, without daemons: addresses in the model, the kernel, the metadata and Kubernetes.</summary>
public sealed class FamilyLabTests : IDisposable
{
    private static readonly Probe Probe = new(TimeProvider.System, TimeSpan.FromSeconds(5));

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpclab-");

    public void Dispose()
    {
        // A lab removes its run folder if it leaves it empty.
        if (Directory.Exists(_folder.FullName))
            _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("Ipv6", 0)]
    [InlineData("Dual", 1)]
    public async Task Nodes_have_both_families_with_the_clusters_first(string family, int position)
    {
        await using var lab = await StartAsync(Enum.Parse<LabFamily>(family));
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        Assert.NotNull(one.Ipv6Address);
        Assert.Equal(one.Ipv6Address, one.InternalAddresses[position]);
        Assert.Equal(one.Ipv6Address, lab.World.With(world => world.FindInterface(one.Instance.PrimaryInterface)!.Ipv6Addresses.Single()));
        var addresses = lab
            .Cluster.Plane.Store.Find(BuiltInTypes.Nodes, "", "node-1")!
            .Objects("status", "addresses")
            .Where(address => address.Text("type") == "InternalIP")
            .Select(address => address.Text("address"));
        Assert.Equal(one.InternalAddresses.Select(address => address.ToString()), addresses);

        await RoutedAsync(one);
        await RoutedAsync(two);
        Assert.Equal(one.Ipv6Address, (await Probe.TcpAsync(one.Network, two.Network, two.Ipv6Address!, Cancellation)).ObservedSource);
        await Probe.TcpAsync(one.Network, two.Network, two.Address, Cancellation);
        await Probe.TcpAsync(one.Network, lab.Fabric.Internet, FabricAddresses.InternetHost6, Cancellation);
    }

    [Fact]
    public async Task Assigned_prefix_is_routed_to_its_eni()
    {
        await using var lab = await StartAsync(LabFamily.Ipv6);
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        var prefix = lab
            .World.With(world => world.AssignIpv6Addresses(two.Instance.PrimaryInterface, AddressRequest.AnyPrefixes(1)))
            .Prefixes[0];
        var pod = prefix.BaseAddress.GetAddressBytes();
        pod[15] = 9;
        AddAddress(two.Network, new IPAddress(pod).ToString());
        await lab.Fabric.WaitUntilAppliedAsync(Cancellation);
        await RoutedAsync(one);
        await RoutedAsync(two);
        await Probe.PingAsync(one.Network, new IPAddress(pod), Cancellation);
    }

    [Fact]
    public async Task Pod_with_two_addresses_shows_both()
    {
        await using var lab = await StartAsync(
            LabFamily.Dual,
            """{"interfaces":[{"name":"eni1"}],"ips":[{"address":"10.0.0.77/32"},{"address":"2001:db8:0:101:9::7/128"}]}"""
        );
        var pod = await lab.AddPodAsync("node-1", PodName.Parse("default/web"), Cancellation);
        IPAddress[] both = [IPAddress.Parse("10.0.0.77"), IPAddress.Parse("2001:db8:0:101:9::7")];
        Assert.Equal(both, pod.Addresses);
        Assert.Equal((both[0], both[1]), (pod.AddressOf(IpFamily.V4), pod.AddressOf(IpFamily.V6)));
        var status = lab.Cluster.FindPod(PodName.Parse("default/web"))!["status"]!.AsObject();
        Assert.Equal("10.0.0.77", status.Text("podIP"));
        Assert.Equal(both.Select(address => address.ToString()), status.Objects("podIPs").Select(ip => ip.Text("ip")));
        Assert.Equal(
            lab.Nodes[0].InternalAddresses.Select(address => address.ToString()),
            status.Objects("hostIPs").Select(ip => ip.Text("ip"))
        );
        Assert.Equal(both.Select(address => address.ToString()), (await lab.StatusAsync(Cancellation)).Nodes[0].Pods.Single().Addresses);
    }

    [Theory]
    [InlineData("""{"ips":[]}""")]
    [InlineData("""{"ips":[{"address":"10.0.0.77/32"},{"address":"nonsense"}]}""")]
    public async Task Pod_without_a_valid_address_is_an_error(string result)
    {
        await using var lab = await StartAsync(LabFamily.Dual, result);
        var error = await Assert.ThrowsAsync<LabException>(() => lab.AddPodAsync("node-1", PodName.Parse("default/web"), Cancellation));
        Assert.Contains("ips", error.Message, StringComparison.Ordinal);
        Assert.Null(lab.Cluster.FindPod(PodName.Parse("default/web")));
    }

    [Fact]
    public async Task Status_shows_both_families_and_that_of_an_ipv4_lab_none()
    {
        await using (var lab = await StartAsync(LabFamily.Ipv6))
        {
            var status = await lab.StatusAsync(Cancellation);
            Assert.Equal("2001:db8:0:100::/56", status.VpcIpv6Range);
            Assert.Equal("2001:db8:0:101::/64", status.AllSubnets.Single().Ipv6Range);
            Assert.Equal(lab.Nodes[0].Ipv6Address!.ToString(), status.Nodes[0].Ipv6Address);
            Assert.Equal([lab.Nodes[0].Ipv6Address!.ToString()], status.Nodes[0].Enis.Single().Ipv6Addresses);
            Assert.Contains(StatusTable.Lines(status), line => line == $"node-1   eth0   {lab.Nodes[0].Ipv6Address}");
            Assert.Contains(" and 2001:db8:0:100::/56 ", StatusTable.Lines(status).First(), StringComparison.Ordinal);
        }

        await using var ipv4 = await StartAsync(LabFamily.Ipv4);
        Assert.Null(ipv4.Nodes[0].Ipv6Address);
        Assert.Null((await ipv4.StatusAsync(Cancellation)).VpcIpv6Range);
        Assert.DoesNotContain(
            StatusTable.Lines(await ipv4.StatusAsync(Cancellation)),
            line => line.Contains("IPV6", StringComparison.Ordinal)
        );
    }

    [Fact]
    public async Task Limited_range_is_exhausted_for_all_or_one_subnet()
    {
        await using var lab = await StartAsync(LabFamily.Ipv6);
        var eni = lab.Nodes[0].Instance.PrimaryInterface;
        lab.World.LimitIpv6Ranges(new Ipv6RangeSpec(0));
        var fault = Assert.Throws<Ec2FaultException>(() =>
            lab.World.With(world => world.AssignIpv6Addresses(eni, AddressRequest.AnyPrefixes(1)))
        );
        Assert.Equal("InsufficientFreeAddressesInSubnet", fault.Code);
        lab.World.LimitIpv6Ranges(new Ipv6RangeSpec(VpcWorld.MaxIpv6Prefixes, lab.Nodes[0].Instance.Subnet.Value));
        lab.World.With(world => world.AssignIpv6Addresses(eni, AddressRequest.AnyPrefixes(1)));
        Assert.Contains("expected 0 to", Refused(new Ipv6RangeSpec(-1)), StringComparison.Ordinal);
        Assert.Contains("subnet-0", Refused(new Ipv6RangeSpec(1, "subnet-0")), StringComparison.Ordinal);
        await using var ipv4 = await StartAsync(LabFamily.Ipv4);
        Assert.Contains(
            "--family",
            Assert.Throws<LabException>(() => ipv4.World.LimitIpv6Ranges(new Ipv6RangeSpec(1))).Message,
            StringComparison.Ordinal
        );

        string Refused(Ipv6RangeSpec limit) => Assert.Throws<LabException>(() => lab.World.LimitIpv6Ranges(limit)).Message;
    }

    /// <summary>Waits until a node's default route has been advertised.</summary>
    private static async Task RoutedAsync(LabNode node)
    {
        using var netlink = node.Network.OpenRouteNetlink();
        await Eventually.TrueAsync(() =>
            netlink.GetRoutes(IpFamily.V6, RouteTable.Main).Any(route => route.Destination is null && route.Gateway is not null)
        );
    }

    /// <param name="family">The lab's family.</param>
    /// <param name="result">What the plugin of the lab prints for ADD; null for a lab without a plugin.</param>
    private async Task<VpcLab> StartAsync(LabFamily family, string? result = null)
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        var names = NewNames();
        string? plugin = null;
        if (result is not null)
        {
            plugin = Path.Combine(_folder.FullName, "plugin");
            await File.WriteAllTextAsync(
                plugin,
                $"#!/bin/sh\ncat > /dev/null\n[ $CNI_COMMAND = ADD ] && echo '{result}'\nexit 0\n",
                Cancellation
            );
            File.SetUnixFileMode(plugin, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var options = new LabOptions
        {
            Name = names.Lab,
            RunFolder = _folder.FullName,
            Nodes = [2],
            Family = family,
            PluginPath = plugin,
        };
        return await VpcLab.StartAsync(options, TimeProvider.System, NullLoggerProvider.Instance, Cancellation);
    }
}
