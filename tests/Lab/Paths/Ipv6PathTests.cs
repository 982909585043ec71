// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Paths;

/// <summary>
/// Runs the IPv6 paths on a lab without daemons, whose pods a script wires: each has an address of its node's /80 and a route to its veth.
/// </summary>
public sealed class Ipv6PathTests : IDisposable
{
    /// <summary>
    /// Wires a pod with the address in the file of its name. Neighbours are permanent, so that nothing waits for their resolution.
    /// </summary>
    private const string Plugin = """
        #!/bin/sh
        set -e
        cat > /dev/null
        name=${CNI_ARGS#*K8S_POD_NAME=}
        name=${name%%;*}
        pod=$(basename "$CNI_NETNS")
        if [ "$CNI_COMMAND" = DEL ]; then
          ip link del "eni$name" 2>/dev/null || true
          exit 0
        fi
        read -r address < "$(dirname "$0")/$name"
        mac() { sed -n 's/.*link.ether \([0-9a-f:]*\).*/\1/p'; }
        ip link add "eni$name" mtu 9001 type veth peer name eth0 mtu 9001 netns "$pod"
        ip link set "eni$name" up
        ip -n "$pod" link set eth0 up
        ip -n "$pod" address add "$address/128" dev eth0 nodad
        ip -n "$pod" -6 route add fe80::1 dev eth0
        ip -n "$pod" -6 neighbour add fe80::1 lladdr "$(ip -o link show "eni$name" | mac)" dev eth0 nud permanent
        ip -n "$pod" -6 route add default via fe80::1 dev eth0
        ip -6 neighbour add "$address" lladdr "$(ip -n "$pod" -o link show eth0 | mac)" dev "eni$name" nud permanent
        ip -6 route add "$address" dev "eni$name"
        echo "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eni$name\"}],\"ips\":[{\"address\":\"$address/128\"}]}"
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpclab-");

    public void Dispose()
    {
        // A lab removes its run folder if it leaves it empty.
        if (Directory.Exists(_folder.FullName))
            _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Every_path_passes_on_a_correct_node()
    {
        await using var lab = await StartAsync();
        Assert.Equal([IpFamily.V6], PathMatrix.FamiliesOf(lab));
        var paths = new PathMatrix(lab, TimeProvider.System, IpFamily.V6);
        await paths.InstallServicesAsync(Cancellation);
        List<string> failures = [];
        foreach (var check in paths.Checks)
        {
            try
            {
                var measured = await check.RunAsync(Cancellation);
                TestContext.Current.TestOutputHelper?.WriteLine($"{check.What}: {measured.Links}, {measured.Packets}: {measured.Detail}");
            }
            catch (Exception failure) when (failure is CheckFailedException or TimeoutException or SocketException)
            {
                failures.Add($"{check.What}: {failure.Message}");
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
        Assert.Equal(15, paths.Checks.Count);
        Assert.Equal(
            ["pod to the internet", "internet to pod (dropped)", "on-premises to a node port"],
            paths
                .Checks.Select(check => check.What)
                .Where(what => what is "pod to the internet" or "internet to pod (dropped)" or "on-premises to a node port")
        );
    }

    [Fact]
    public async Task Translated_source_fails_the_path_to_the_internet()
    {
        await using var lab = await StartAsync();
        var paths = new PathMatrix(lab, TimeProvider.System, IpFamily.V6);
        await new Nft(lab.Nodes[0].Network, TimeProvider.System).ApplyAsync(
            "table ip6 wrong { chain post { type nat hook postrouting priority srcnat; oifname \"eth0\" masquerade; }; }\n",
            Cancellation
        );
        var error = await Assert.ThrowsAsync<CheckFailedException>(() =>
            paths.Checks.First(check => check.What == "pod to the internet").RunAsync(Cancellation)
        );
        Assert.Contains(lab.Nodes[0].Ipv6Address!.ToString(), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Forged_sources_are_dropped()
    {
        await using var lab = await StartAsync();
        var traffic = new PodTraffic(lab, IpFamily.V6, TimeProvider.System);
        var (from, other, to) = (lab.Nodes[0].Pods[0], lab.Nodes[1].Pods[0], lab.Nodes[2].Pods[0]);
        await traffic.ForgedByPodAsync(from, other.Address, to, Cancellation);
        await traffic.ForgedByNodeAsync(lab.Nodes[0], other.Address, to, Cancellation);
        // An address of the node's own prefix is none that the VPC could call forged.
        await Assert.ThrowsAsync<CheckFailedException>(() =>
            traffic.ForgedByNodeAsync(lab.Nodes[0], lab.Nodes[0].Pods[1].Address, to, Cancellation)
        );
    }

    [Fact]
    public async Task Path_of_a_family_that_pods_lack_fails_with_the_pod()
    {
        await using var lab = await StartAsync();
        var error = Assert.Throws<CheckFailedException>(() => new PathMatrix(lab, TimeProvider.System));
        Assert.Contains("node-1", error.Message, StringComparison.Ordinal);
        var traffic = new PodTraffic(lab, IpFamily.V4, TimeProvider.System);
        Assert.Contains(
            "has no IPv4 address",
            Assert.Throws<CheckFailedException>(() => traffic.AddressOf(lab.Nodes[0].Pods[0])).Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>Starts an IPv6 lab of three nodes in two subnets, with two pods on the first and one on each of the others.</summary>
    private async Task<VpcLab> StartAsync()
    {
        Requirement.NeedRoot();
        foreach (var program in (string[])["nft", "ip", "ping"])
            Requirement.NeedProgram(program);
        var names = NewNames();
        var plugin = Path.Combine(_folder.FullName, "plugin");
        await File.WriteAllTextAsync(plugin, Plugin, Cancellation);
        File.SetUnixFileMode(plugin, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var lab = await VpcLab.StartAsync(
            new LabOptions
            {
                Name = names.Lab,
                RunFolder = _folder.FullName,
                Nodes = [2, 1],
                Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")],
                Family = LabFamily.Ipv6,
                HasKubernetes = false,
                PluginPath = plugin,
            },
            TimeProvider.System,
            NullLoggerProvider.Instance,
            Cancellation
        );
        try
        {
            foreach (var (node, count) in lab.Nodes.Zip([2, 1, 1]))
                await AddPodsAsync(lab, node, count);
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    private async Task AddPodsAsync(VpcLab lab, LabNode node, int count)
    {
        var prefix = lab
            .World.With(world => world.AssignIpv6Addresses(node.Instance.PrimaryInterface, AddressRequest.AnyPrefixes(1)))
            .Prefixes[0];
        await lab.Fabric.WaitUntilAppliedAsync(Cancellation);
        Sysctl.Write(node.Network, ("ipv6/conf/all/forwarding", "1"));
        using (var netlink = node.Network.OpenRouteNetlink())
        {
            await Eventually.TrueAsync(() =>
                netlink.GetRoutes(IpFamily.V6, RouteTable.Main).Any(route => route.Destination is null && route.Gateway is not null)
            );
        }

        for (var pod = 1; pod <= count; pod++)
        {
            var address = prefix.BaseAddress.GetAddressBytes();
            address[15] = (byte)pod;
            var name = $"{node.Name[^1]}{pod}";
            await File.WriteAllTextAsync(Path.Combine(_folder.FullName, name), new IPAddress(address) + "\n", Cancellation);
            await lab.AddPodAsync(node.Name, PodName.Parse($"default/{name}"), Cancellation);
        }
    }
}
