// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>The links, addresses, routes and rules of an ADD on the real kernel.</summary>
public sealed partial class AddTests
{
    private const string HostVeth = "enicc21c2d7785"; // default/sample-pod
    private static readonly IPAddress PodAddress = IPAddress.Parse("10.250.0.10");
    private static readonly IPAddress Gateway = IPAddress.Parse("169.254.1.1");

    [Theory]
    [InlineData(254)]
    [InlineData(2)]
    public async Task Add_wires_the_data_path_of_the_reference(int table)
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = "10.250.0.10",
                DeviceNumber = table == 254 ? 0 : 1,
                RouteTableId = table,
            }
        );
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod);

        using var inside = pod.OpenRouteNetlink();
        var eth0 = inside.FindLink("eth0")!;
        var veth = lab.HostNetlink.FindLink(HostVeth)!;
        Assert.Equal(("veth", 9001, true, veth.Index), (eth0.Kind, eth0.Mtu, eth0.IsUp, eth0.PeerIndex));
        Assert.Equal(("veth", 9001, true, eth0.Index), (veth.Kind, veth.Mtu, veth.IsUp, veth.PeerIndex));
        Assert.True(eth0.Mac!.Value.IsLocallyAdministered && veth.Mac!.Value.IsLocallyAdministered);

        var address = Assert.Single(inside.GetAddresses(IpFamily.V4, eth0.Index));
        Assert.Equal((PodAddress, 32, AddressScope.Global), (address.Address, address.PrefixLength, address.Scope));
        Assert.Equal(
            [$"169.254.1.1/32 via  scope Link if{eth0.Index}", $"default via 169.254.1.1 scope Global if{eth0.Index}"],
            inside
                .GetRoutes(IpFamily.V4, RouteTable.Main)
                .Select(route =>
                    $"{route.Destination?.ToString() ?? "default"} via {route.Gateway} scope {route.Scope} if{route.LinkIndex}"
                )
                .Order()
        );
        var neighbour = Assert.Single(inside.GetNeighbours(IpFamily.V4, eth0.Index));
        Assert.Equal((Gateway, veth.Mac, NeighbourState.Permanent), (neighbour.Address, neighbour.Mac, neighbour.State));

        var route = Assert.Single(lab.HostNetlink.GetRoutes(IpFamily.V4, RouteTable.Main));
        Assert.Equal(
            (new IPNetwork(PodAddress, 32), null, veth.Index, RouteScope.Link),
            (route.Destination!.Value, route.Gateway, route.LinkIndex, route.Scope)
        );
        var rules = lab
            .HostNetlink.GetRules(IpFamily.V4)
            .Where(rule => rule.Priority is > 0 and < 32766)
            .Select(rule => $"{rule.Priority} from {rule.Source} to {rule.Destination} table {rule.Table}");
        Assert.Equal(
            table == 254
                ? ["512 from  to 10.250.0.10/32 table 254"]
                : ["512 from  to 10.250.0.10/32 table 254", "1536 from 10.250.0.10/32 to  table 2"],
            rules
        );

        Assert.Equal(
            "0 1 0",
            lab.Host.Run(() =>
                string.Join(
                    ' ',
                    ((string[])["accept_ra", "accept_redirects", "forwarding"]).Select(key =>
                        File.ReadAllText($"/proc/sys/net/ipv6/conf/{HostVeth}/{key}").Trim()
                    )
                )
            )
        );
        await ShimLab.ConnectAsync(lab.Host, pod, PodAddress);
        await ShimLab.ConnectAsync(pod, lab.Host, ShimLab.HostAddress);
    }

    [Fact]
    public async Task Add_output_of_ip_equals_that_of_the_reference()
    {
        var ip = Requirement.NeedProgram("ip");
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = "10.250.0.10",
                DeviceNumber = 1,
                RouteTableId = 2,
            }
        );
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod);

        Assert.Equal($"default via 169.254.1.1 dev eth0 \n169.254.1.1 dev eth0 scope link \n", Run(pod, ip, "-4 route show"));
        Assert.Equal($"10.250.0.10 dev {HostVeth} scope link \n", Run(lab.Host, ip, "-4 route show"));
        Assert.Contains("512:\tfrom all to 10.250.0.10 lookup main", Run(lab.Host, ip, "rule show"), StringComparison.Ordinal);
        Assert.Contains("1536:\tfrom 10.250.0.10 lookup 2", Run(lab.Host, ip, "rule show"), StringComparison.Ordinal);
        var neighbours = JsonDocument.Parse(Run(pod, ip, "-j neigh show dev eth0")).RootElement;
        Assert.Contains(
            neighbours.EnumerateArray(),
            entry => entry.GetProperty("dst").GetString() == "169.254.1.1" && entry.GetProperty("state")[0].GetString() == "PERMANENT"
        );
    }

    [Theory]
    [InlineData(
        "0.3.1",
        """{"cniVersion":"0.3.1","interfaces":[{"name":"enicc21c2d7785","mac":"M"},{"name":"eth0","mac":"M","sandbox":"NETNS"},{"name":"dummycc21c2d7785","mac":"0","sandbox":"0"}],"ips":[{"version":"4","interface":1,"address":"10.250.0.10/32"}],"dns":{}}"""
    )]
    [InlineData(
        "0.4.0",
        """{"cniVersion":"0.4.0","interfaces":[{"name":"enicc21c2d7785","mac":"M"},{"name":"eth0","mac":"M","sandbox":"NETNS"},{"name":"dummycc21c2d7785","mac":"0","sandbox":"0"}],"ips":[{"version":"4","interface":1,"address":"10.250.0.10/32"}],"dns":{}}"""
    )]
    [InlineData(
        "1.0.0",
        """{"cniVersion":"1.0.0","interfaces":[{"name":"enicc21c2d7785","mac":"M"},{"name":"eth0","mac":"M","sandbox":"NETNS"},{"name":"dummycc21c2d7785","mac":"0","sandbox":"0"}],"ips":[{"interface":1,"address":"10.250.0.10/32"}],"dns":{}}"""
    )]
    [InlineData(
        "1.1.0",
        """{"cniVersion":"1.1.0","interfaces":[{"name":"enicc21c2d7785","mac":"M","mtu":9001},{"name":"eth0","mac":"M","mtu":9001,"sandbox":"NETNS"},{"name":"dummycc21c2d7785","mac":"0","sandbox":"0"}],"ips":[{"interface":1,"address":"10.250.0.10/32"}],"dns":{}}"""
    )]
    public async Task Add_prints_the_result_of_its_version(string version, string expected)
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");

        var text = lab.Add(pod, version: version).GetRawText();

        Assert.Equal(expected, AnyMac().Replace(text, "\"mac\":\"M\"").Replace(pod.Path!, "NETNS", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Add_reports_the_MAC_addresses_of_the_links()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");

        var interfaces = lab.Add(pod).GetProperty("interfaces");

        using var inside = pod.OpenRouteNetlink();
        Assert.Equal(lab.HostNetlink.FindLink(HostVeth)!.Mac.ToString(), interfaces[0].GetProperty("mac").GetString());
        Assert.Equal(inside.FindLink("eth0")!.Mac.ToString(), interfaces[1].GetProperty("mac").GetString());
    }

    [Fact]
    public async Task Add_request_identifies_pod_container_and_namespace()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");

        lab.Add(
            pod,
            more: "\"runtimeConfig\":{\"io.kubernetes.cri.pod-annotations\":{\"k8s.amazonaws.com/nicConfig\":\"multi-nic-attachment\"}}"
        );

        var request = Assert.Single(lab.Ipamd.State.Adds);
        Assert.Equal(
            ("sample-pod", "default", "c1", "c1", pod.Path, "eth0", "aws-cni", true),
            (
                request.K8SPODNAME,
                request.K8SPODNAMESPACE,
                request.K8SPODINFRACONTAINERID,
                request.ContainerID,
                request.Netns,
                request.IfName,
                request.NetworkName,
                request.RequiresMultiNICAttachment
            )
        );
    }

    [Theory]
    [InlineData(254)]
    [InlineData(3)]
    public async Task Add_with_IPv6_wires_an_address_that_is_usable_at_once(int table)
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv6Addr = "2001:db8::10",
                DeviceNumber = table == 254 ? 0 : 2,
                RouteTableId = table,
            }
        );
        var pod = lab.CreateNamespace("pod");
        pod.Run(() => File.WriteAllText("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")); // as some runtimes do
        var address = IPAddress.Parse("2001:db8::10");

        var result = lab.Add(pod);
        // Binding to a tentative address fails, so a listener in the pod proves that duplicate address detection is off.
        await ShimLab.ConnectAsync(lab.Host, pod, address);
        await ShimLab.ConnectAsync(pod, lab.Host, ShimLab.HostAddress6);

        Assert.Equal("2001:db8::10/128", result.GetProperty("ips")[0].GetProperty("address").GetString());
        using var inside = pod.OpenRouteNetlink();
        var eth0 = inside.FindLink("eth0")!;
        var present = Assert.Single(inside.GetAddresses(IpFamily.V6, eth0.Index), present => present.Scope == AddressScope.Global);
        Assert.Equal((address, 128), (present.Address, present.PrefixLength));
        Assert.DoesNotContain(AddressFlags.Tentative, (AddressFlags[])[present.Flags & AddressFlags.Tentative]);
        var rules = lab
            .HostNetlink.GetRules(IpFamily.V6)
            .Where(rule => rule.Priority is > 0 and < 32766)
            .Select(rule => $"{rule.Priority} from {rule.Source} to {rule.Destination} table {rule.Table}");
        Assert.Equal(
            table == 254
                ? ["512 from  to 2001:db8::10/128 table 254"]
                : ["512 from  to 2001:db8::10/128 table 254", "1536 from 2001:db8::10/128 to  table 3"],
            rules
        );

        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
    }

    [Fact]
    public async Task Add_wires_both_families_and_several_network_cards()
    {
        await using var lab = await ShimLab.StartAsync(state =>
        {
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = "10.250.0.10",
                IPv6Addr = "2001:db8::10",
                RouteTableId = 254,
            };
            state.ModifyReply = reply =>
                reply.IPAllocationMetadata.Add(
                    new IPAllocationMetadata
                    {
                        IPv4Addr = "10.251.0.10",
                        DeviceNumber = 1,
                        RouteTableId = 10101,
                    }
                );
        });
        var pod = lab.CreateNamespace("pod");

        var result = lab.Add(pod);

        Assert.Equal(5, result.GetProperty("interfaces").GetArrayLength());
        Assert.Equal([1, 1, 3], result.GetProperty("ips").EnumerateArray().Select(ip => ip.GetProperty("interface").GetInt32()));
        await ShimLab.ConnectAsync(lab.Host, pod, PodAddress);
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("2001:db8::10"));
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.251.0.10"));
        using var inside = pod.OpenRouteNetlink();
        Assert.NotNull(inside.FindLink("mNicIf1"));

        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
    }

    [Fact]
    public async Task Add_replaces_the_veth_of_an_earlier_sandbox_of_the_pod()
    {
        await using var lab = await ShimLab.StartAsync();
        var old = lab.CreateNamespace("old");
        lab.Add(old, container: "c0");
        var pod = lab.CreateNamespace("pod");

        lab.Add(pod, container: "c1");

        using var inside = old.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
        await ShimLab.ConnectAsync(lab.Host, pod, IPAddress.Parse("10.250.0.11"));
    }

    [Fact]
    public async Task Add_replaces_routes_and_rules_of_the_previous_pod_of_the_address()
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = "10.250.0.10",
                DeviceNumber = 1,
                RouteTableId = 2,
            }
        );
        var pod = lab.CreateNamespace("pod");
        lab.HostNetlink.Execute(LinkRequests.CreateBridge("stale", up: true));
        var stale = lab.HostNetlink.FindLink("stale")!;
        var destination = new IPNetwork(PodAddress, 32);
        lab.HostNetlink.Execute(
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Destination = destination,
                    LinkIndex = stale.Index,
                    Scope = RouteScope.Link,
                }
            )
        );
        lab.HostNetlink.Execute(
            RuleRequests.Add(
                new RuleInfo
                {
                    Family = IpFamily.V4,
                    Priority = 512,
                    Destination = destination,
                    Table = RouteTable.Main,
                }
            )
        );
        lab.HostNetlink.Execute(
            RuleRequests.Add(
                new RuleInfo
                {
                    Family = IpFamily.V4,
                    Priority = 1536,
                    Source = destination,
                    Table = 7,
                }
            )
        );

        lab.Add(pod);

        Assert.Equal(
            lab.HostNetlink.FindLink(HostVeth)!.Index,
            Assert.Single(lab.HostNetlink.GetRoutes(IpFamily.V4, RouteTable.Main)).LinkIndex
        );
        Assert.Equal(
            [(512, 254), (1536, 2)],
            lab.HostNetlink.GetRules(IpFamily.V4)
                .Where(rule => rule.Priority is > 0 and < 32766)
                .Select(rule => (rule.Priority, rule.Table))
        );
        await ShimLab.ConnectAsync(lab.Host, pod, PodAddress);
    }

    [Fact]
    public async Task Two_hundred_concurrent_Adds_are_wired_and_their_Dels_leave_nothing()
    {
        const int count = 200;
        await using var lab = await ShimLab.StartAsync();
        var pods = Enumerable.Range(0, count).Select(i => lab.CreateNamespace($"p{i}")).ToArray();
        var results = new JsonElement[count];

        // Each call has a thread of its own: a plugin blocks its thread, and the thread pool would grow too slowly.
        Threads.Run(count, i => results[i] = lab.Add(pods[i], container: $"c{i}", name: $"pod-{i}"));

        Assert.Equal(count, lab.HostNetlink.GetRoutes(IpFamily.V4, RouteTable.Main).Count);
        Assert.Equal(count, lab.HostNetlink.GetRules(IpFamily.V4).Count(rule => rule.Priority == 512));
        for (var i = 0; i < count; i++)
            await ShimLab.ConnectAsync(
                lab.Host,
                pods[i],
                IPAddress.Parse(results[i].GetProperty("ips")[0].GetProperty("address").GetString()!.Split('/')[0])
            );

        Threads.Run(
            count,
            i => Assert.Equal(0, lab.Del(pods[i].Path!, container: $"c{i}", name: $"pod-{i}", previous: results[i]).ExitCode)
        );
        Assert.Equal(lab.Empty, lab.Snapshot());
        Assert.Empty(lab.Ipamd.State.Attachments);
    }

    private static string Run(NetworkNamespace netns, string program, string arguments) =>
        netns.Run(() =>
        {
            using var process = Process.Start(
                new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, UseShellExecute = false }
            )!;
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return output;
        });

    [GeneratedRegex("\"mac\":\"[0-9a-f:]{17}\"", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex AnyMac();
}
