// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.EndToEnd.Tests.Families;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Install;

/// <summary>
/// A node of aws-node whose pods reach the other family by the chained plugin egress-cni. The plugin host-local gives the pod its address,
/// and iproute2 and iptables wire it by the reference's names: a second veth, and a chain of the nat table that translates to the node's
/// address. First the lab carries its packets without a daemon of ours, then <c>ipamd install</c> takes the node over and gives it back.
/// </summary>
public sealed class EgressCniTakeoverTests
{
    /// <summary><c>printf default.ref-a | sha1sum</c>, 11 digits.</summary>
    private const string Suffix = "fff9f69e9ad";
    private const string HostLink = "eni" + Suffix;
    private const string EgressHostLink = "veth0a1b2c3d";
    private const string ContainerId = "0123456789abcdef";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Pod_of_egress_cni_keeps_its_paths_and_install_drops_the_chained_entry(bool isIpv6Mode)
    {
        Requirement.NeedProgram("iptables");
        Requirement.NeedProgram("ip6tables");
        var other = isIpv6Mode ? IpFamily.V4 : IpFamily.V6;
        await using var node = await NodeLab.StartAsync(
            isIpv6Mode ? [] : new() { ["ENABLE_IPv6"] = "false", ["ENABLE_V6_EGRESS"] = "true" },
            options => options with { Family = isIpv6Mode ? LabFamily.Ipv6 : LabFamily.Dual }
        );
        var address = (await node.AddAsync("probe")).Address;
        await node.DeleteAsync("probe");
        await node.TheNode.Ipamd!.KillAsync(Token);
        // What the reference's init container sets.
        await RunAsync(
            node,
            """
            nft flush ruleset
            echo 2 > /proc/sys/net/ipv6/conf/eth0/accept_ra
            echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
            """
        );
        await Eventually.TrueAsync(async () =>
            (await node.ExecAsync("ip", "-6", "route", "show", "default")).Contains("via fe80::", StringComparison.Ordinal)
        );

        // The reference's node.
        var paths = node.TheNode.Paths;
        var local = await HostLocalAsync(node, other, "ADD");
        using var pod = await WireAsync(node, address, local, other);
        await File.WriteAllTextAsync(paths.Checkpoint, Checkpoint(address), Token);
        var conflist = Path.Combine(paths.CniConf, "10-aws.conflist");
        var reference = Conflist(node, other);
        await File.WriteAllTextAsync(conflist, reference, Token);
        await AssertPathsAsync(node, pod, address, other);

        // Takeover.
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(Token);
        await FamilyNode.WaitForNodeLocalNatAsync(node, other);
        var written = await FamilyNode.InstallAsync(node);
        var plugins = written["plugins"]!.AsArray();
        Assert.Equal(["vpc-cni", "portmap", "mesh-cni"], plugins.Select(plugin => (string?)plugin!["type"]));
        Assert.Equal("true", (string?)plugins[0]![isIpv6Mode ? "enableV4Egress" : "enableV6Egress"]);
        await AssertPathsAsync(node, pod, address, other);
        var added = await node.AddAsync("new");
        Assert.NotEqual(address, added.Address);
        await AssertPathsAsync(node, added.Network, added.Address, other);
        Assert.Equal(2, await node.AssignedAsync());
        // The new pod's node-local address is not that of the old pod, which no file of ours records.
        Assert.DoesNotContain(local, LocalAddresses(added.Network, other));

        var plugin = new RawPlugin(node);
        var result = Result(address, other);
        Assert.Equal(0, (await PluginAsync(plugin, "CHECK", plugins[0]!, pod, result)).Code);
        Assert.Equal(0, (await PluginAsync(plugin, "DEL", plugins[0]!, pod, result)).Code);
        await Eventually.TrueAsync(
            async () => !(await node.ExecAsync("ip", "-o", "link")).Contains(EgressHostLink, StringComparison.Ordinal),
            what: "the second link is deleted"
        );
        Assert.Equal(1, await node.AssignedAsync());
        await AssertPathsAsync(node, added.Network, added.Address, other);

        // Rollback: the conflist is the reference's again, byte for byte.
        var removed = await node.TheNode.Ipamd.RunCommandAsync(["uninstall"], Token);
        Assert.True(removed.ExitCode == 0, removed.Output + removed.Errors);
        Assert.Equal(reference, await File.ReadAllTextAsync(conflist, Token));
    }

    /// <summary>Asserts the sources of a pod's connections to the internet of both families.</summary>
    private static async Task AssertPathsAsync(NodeLab node, NetworkNamespace pod, IPAddress address, AddressFamily other)
    {
        var internet = node.Lab.Fabric.Internet;
        Assert.Equal(
            node.TheNode.AddressOf(other),
            (await FamilyNode.Probe.TcpAsync(pod, internet, FabricAddresses.InternetHostOf(other), Token)).ObservedSource
        );
        await FamilyNode.Probe.TcpAsync(node.TheNode.Network, pod, address, Token);
        if (address.AddressFamily == IpFamily.V6)
            Assert.Equal(address, (await FamilyNode.Probe.TcpAsync(pod, internet, FabricAddresses.InternetHost6, Token)).ObservedSource);
    }

    private static Task<PluginAnswer> PluginAsync(
        RawPlugin plugin,
        string command,
        JsonNode entry,
        NetworkNamespace pod,
        JsonObject previous
    ) =>
        plugin.RunAsync(
            command,
            pod.Path!,
            ContainerId,
            "ref-a",
            configuration: configuration =>
            {
                configuration.Clear();
                foreach (var (key, value) in entry.AsObject())
                    configuration[key] = value?.DeepClone();
                (configuration["cniVersion"], configuration["name"]) = ("1.0.0", "aws-cni");
                configuration["prevResult"] = previous.DeepClone();
            }
        );

    /// <summary>Runs host-local as egress-cni does, with its ranges, and returns the address.</summary>
    private static async Task<IPAddress> HostLocalAsync(NodeLab node, AddressFamily other, string command)
    {
        var binary = new[] { "/opt/cni/bin/host-local", "/usr/lib/cni/host-local" }.FirstOrDefault(File.Exists);
        Requirement.Need(binary is not null, "the core plugin host-local (containernetworking-plugins)");
        var start = new ProcessStartInfo(binary!);
        start.Environment.Clear();
        foreach (
            var (name, value) in new (string, string)[]
            {
                ("CNI_COMMAND", command),
                ("CNI_CONTAINERID", ContainerId),
                ("CNI_NETNS", "/run/netns/none"),
                ("CNI_IFNAME", "eth0"),
                ("CNI_PATH", Path.GetDirectoryName(binary)!),
            }
        )
            start.Environment[name] = value;
        var configuration = new JsonObject
        {
            ["cniVersion"] = "1.0.0",
            ["name"] = "aws-cni",
            ["ipam"] = Ipam(node, other),
        };
        var outcome = await NamespaceProcess.RunAsync(
            node.TheNode.Network,
            start,
            configuration.ToJsonString(),
            TimeSpan.FromSeconds(10),
            TimeProvider.System,
            Token
        );
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Errors);
        return IPNetwork.Parse(With32((string)JsonNode.Parse(outcome.Output)!["ips"]![0]!["address"]!)).BaseAddress;
    }

    /// <summary>The address as a network of its own; host-local prints it with the length of the range.</summary>
    private static string With32(string address) =>
        address.Split('/')[0] + (address.Contains(':', StringComparison.Ordinal) ? "/128" : "/32");

    private static JsonObject Ipam(NodeLab node, AddressFamily other) =>
        new()
        {
            ["type"] = "host-local",
            ["ranges"] = new JsonArray(
                new JsonArray(new JsonObject { ["subnet"] = other == IpFamily.V4 ? "169.254.172.0/22" : "fd00::ac:0/118" })
            ),
            ["routes"] = new JsonArray(new JsonObject { ["dst"] = other == IpFamily.V4 ? "0.0.0.0/0" : "::/0" }),
            // The reference's is below /run/cni of the node, which the nodes of a lab share.
            ["dataDir"] = Path.Combine(node.TheNode.Paths.Folder, "egress-ipam"),
        };

    private static async Task<NetworkNamespace> WireAsync(NodeLab node, IPAddress address, IPAddress local, AddressFamily other)
    {
        // With the prefix of the lab, so that the lab removes it.
        var netns = $"vpclab-{node.Lab.Name}-ref-a";
        var (ip, gateway, length) = address.AddressFamily == IpFamily.V4 ? ("-4", "169.254.1.1", 32) : ("-6", "fe80::1", 128);
        await RunAsync(
            node,
            $$"""
            mac() { sed -n 's/.*link.ether \([0-9a-f:]*\).*/\1/p'; }
            ip netns add {{netns}}
            ip link add {{HostLink}} type veth peer name eth0 netns {{netns}}
            ip link set {{HostLink}} mtu 9001 up
            ip -n {{netns}} link set lo up
            ip -n {{netns}} link set eth0 mtu 9001 up
            ip -n {{netns}} addr add {{address}}/{{length}} dev eth0 nodad
            ip -n {{netns}} {{ip}} route add {{gateway}} dev eth0 scope link
            ip -n {{netns}} {{ip}} route add default via {{gateway}} dev eth0
            ip -n {{netns}} {{ip}} neigh replace {{gateway}} lladdr $(ip -o link show {{HostLink}} | mac) dev eth0 nud permanent
            ip {{ip}} route add {{address}} dev {{HostLink}}
            ip {{ip}} neigh replace {{address}} lladdr $(ip -n {{netns}} -o link show eth0 | mac) dev {{HostLink}} nud permanent
            ip {{ip}} rule add to {{address}} lookup main pref 512
            """
        );
        if (other == IpFamily.V4)
        {
            await RunAsync(
                node,
                $"""
                ip link add {EgressHostLink} mtu 9001 type veth peer name v4if0 mtu 9001 netns {netns}
                ip link set {EgressHostLink} up
                ip -n {netns} link set v4if0 up
                ip -n {netns} addr add {local}/22 dev v4if0 noprefixroute
                ip -n {netns} route add 169.254.172.1 dev v4if0 scope link src {local}
                ip -n {netns} route add 169.254.172.0/22 via 169.254.172.1 dev v4if0 src {local}
                ip -n {netns} route add default via 169.254.172.1 dev v4if0
                ip addr add 169.254.172.1/32 dev {EgressHostLink} scope link
                ip route add {local} dev {EgressHostLink} scope link
                echo 1 > /proc/sys/net/ipv4/ip_forward
                {Chain("iptables", "CNI-E4-0123456789abcdef", local, "224.0.0.0/4", node.TheNode.Address)}
                """
            );
        }
        else
        {
            await RunAsync(
                node,
                $$"""
                ip netns exec {{netns}} sh -c 'echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6'
                ip link add {{EgressHostLink}} mtu 9001 type veth peer name v6if0 mtu 9001 netns {{netns}}
                echo 0 > /proc/sys/net/ipv6/conf/{{EgressHostLink}}/accept_dad
                ip link set {{EgressHostLink}} up
                ip -n {{netns}} link set v6if0 up
                """
            );
            await Eventually.TrueAsync(async () =>
                (await node.ExecAsync("ip", "-6", "-o", "addr", "show", "dev", EgressHostLink, "-tentative")).Contains(
                    "fe80::",
                    StringComparison.Ordinal
                )
            );
            await RunAsync(
                node,
                $$"""
                ip -n {{netns}} addr add {{local}}/118 dev v6if0 nodad
                gateway=$(ip -6 -o addr show dev {{EgressHostLink}} scope link | sed -n 's/.*inet6 \([0-9a-f:]*\).*/\1/p')
                ip -n {{netns}} -6 route replace default via $gateway dev v6if0
                ip -6 route add {{local}} dev {{EgressHostLink}}
                {{Chain("ip6tables", "CNI-E6-0123456789abcdef", local, "ff00::/8", node.TheNode.Ipv6Address!)}}
                """
            );
        }

        return NetworkNamespace.Open($"/run/netns/{netns}");
    }

    private static string Chain(string program, string chain, IPAddress local, string multicast, IPAddress to) =>
        $"""
            {program} -t nat -N {chain}
            {program} -t nat -A {chain} -d {multicast} -j ACCEPT
            {program} -t nat -A {chain} -j SNAT --to-source {to} --random-fully
            {program} -t nat -A POSTROUTING -s {local} -j {chain}
            """;

    private static string Checkpoint(IPAddress address) =>
        $$$"""
            {"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"{{{ContainerId}}}","ifName":"eth0",
            "{{{(
                address.AddressFamily == IpFamily.V4 ? "ipv4" : "ipv6"
            )}}}":"{{{address}}}","allocationTimestamp":1700000000000000000,
            "metadata":{"k8sPodNamespace":"default","k8sPodName":"ref-a","interfacesCount":1}}]}
            """;

    /// <summary>As the reference writes it, with the entry of a mesh after its own.</summary>
    private static string Conflist(NodeLab node, AddressFamily other) =>
        new JsonObject
        {
            ["cniVersion"] = "0.4.0",
            ["name"] = "aws-cni",
            ["disableCheck"] = true,
            ["plugins"] = new JsonArray(
                new JsonObject
                {
                    ["name"] = "aws-cni",
                    ["type"] = "aws-cni",
                    ["vethPrefix"] = "eni",
                    ["mtu"] = "9001",
                    ["podSGEnforcingMode"] = "strict",
                    ["pluginLogFile"] = "/var/log/aws-routed-eni/plugin.log",
                    ["pluginLogLevel"] = "DEBUG",
                },
                new JsonObject
                {
                    ["name"] = "egress-cni",
                    ["type"] = "egress-cni",
                    ["mtu"] = "9001",
                    ["enabled"] = "true",
                    ["randomizeSNAT"] = "prng",
                    ["nodeIP"] = node.TheNode.AddressOf(other)!.ToString(),
                    ["ipam"] = Ipam(node, other),
                    ["pluginLogFile"] = "/var/log/aws-routed-eni/egress-cni.log",
                    ["pluginLogLevel"] = "DEBUG",
                },
                new JsonObject
                {
                    ["type"] = "portmap",
                    ["capabilities"] = new JsonObject { ["portMappings"] = true },
                    ["snat"] = true,
                },
                new JsonObject { ["type"] = "mesh-cni", ["log_level"] = "info" }
            ),
        }.ToJsonString();

    /// <summary>The result of the reference's plugins: egress-cni appends its interfaces and no address.</summary>
    private static JsonObject Result(IPAddress address, AddressFamily other)
    {
        var (length, name) = other == IpFamily.V4 ? (128, "v4if0") : (32, "v6if0");
        return JsonNode
            .Parse(
                $$"""
                {"cniVersion":"1.0.0","interfaces":[{"name":"{{HostLink}}"},{"name":"eth0","mac":"254","sandbox":"/run/netns/x"},
                {"name":"dummy{{Suffix}}","mac":"0","sandbox":"0"},{"name":"{{EgressHostLink}}"},{"name":"{{name}}","sandbox":"/run/netns/x"}],
                "ips":[{"interface":1,"address":"{{address}}/{{length}}"}],"dns":{} }
                """
            )!
            .AsObject();
    }

    private static IEnumerable<IPAddress> LocalAddresses(NetworkNamespace pod, AddressFamily other)
    {
        using var netlink = pod.OpenRouteNetlink();
        return [.. netlink.GetAddresses(other).Select(address => address.Address)];
    }

    private static async Task RunAsync(NodeLab node, string script)
    {
        var outcome = await node.Lab.ExecAsync(NodeLab.Node, ["sh", "-ec", script], TimeSpan.FromSeconds(30), Token);
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Errors);
    }
}
