// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Hosting;
using VpcCni.MissedDels;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Install;

/// <summary>
/// Takes over a node of aws-node with running pods, and gives it back. iproute2 creates the node from the formats and rules of the
/// reference: conflist, checkpoint, host link names, rules at 512 and 1536, CNI results.
/// </summary>
public sealed class TakeoverTests
{
    private const string Conflist = """
        {"cniVersion":"0.4.0","name":"aws-cni","disableCheck":true,"plugins":[{"name":"aws-cni","type":"aws-cni","vethPrefix":"eni","mtu":"9001","podSGEnforcingMode":"strict","pluginLogFile":"/var/log/aws-routed-eni/plugin.log","pluginLogLevel":"DEBUG"},{"name":"egress-cni","type":"egress-cni","mtu":"9001","enabled":"false"},{"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}
        """;

    [Fact]
    public async Task Node_of_aws_node_is_taken_over_and_rolled_back_with_running_pods()
    {
        await using var node = await NodeLab.StartAsync(new() { ["MINIMUM_IP_TARGET"] = "14", ["WARM_IP_TARGET"] = "1" });
        var (onPrimary, onSecondary) = await AddressesOfTwoInterfacesAsync(node);
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        var (a, b) = (new ReferencePod(node, "ref-a", onPrimary, Table: 254), new ReferencePod(node, "ref-b", onSecondary, Table: 2));
        await a.WireAsync();
        await b.WireAsync();
        var paths = node.TheNode.Paths;
        await File.WriteAllTextAsync(
            paths.Checkpoint,
            $$"""{"version":"vpc-cni-ipam/1","allocations":[{{a.Allocation}},{{b.Allocation}}]}""",
            TestContext.Current.CancellationToken
        );
        var conflist = Path.Combine(paths.CniConf, "10-aws.conflist");
        await File.WriteAllTextAsync(conflist, Conflist, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(
            Path.Combine(paths.CniBin, "aws-cni"),
            "the reference's plugin",
            TestContext.Current.CancellationToken
        );

        // Takeover.
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        var installed = await node.TheNode.Ipamd.RunCommandAsync(
            ["install", "--plugin", Binaries.Plugin],
            TestContext.Current.CancellationToken
        );
        Assert.True(installed.ExitCode == 0, installed.Output + installed.Errors);
        Assert.Equal(["10-aws.conflist", "10-aws.conflist.before-vpc-cni"], Names(paths.CniConf));
        Assert.Equal(["aws-cni", "vpc-cni"], Names(paths.CniBin));
        Assert.Contains(
            "\"vpc-cni\"",
            await File.ReadAllTextAsync(conflist, TestContext.Current.CancellationToken),
            StringComparison.Ordinal
        );

        var added = await node.AddAsync("new");
        Assert.DoesNotContain(added.Address, new[] { a.Address, b.Address });
        Assert.True(await node.PingAsync("new", a.Address.ToString()));
        Assert.True(await node.PingAsync("new", b.Address.ToString()));
        Assert.Equal(3, await AssignedAsync(node));

        await a.DeleteByOursAsync();
        Assert.Equal(2, await AssignedAsync(node));
        await Eventually.TrueAsync(
            async () =>
                !(
                    await node.Lab.ExecAsync(
                        NodeLab.Node,
                        ["sh", "-c", "ip rule; ip route; ip -o link"],
                        TimeSpan.FromSeconds(10),
                        TestContext.Current.CancellationToken
                    )
                )
                    .Output.Split('\n')
                    .Any(line =>
                        line.Contains(a.HostName, StringComparison.Ordinal) || line.Contains($"{a.Address} ", StringComparison.Ordinal)
                    ),
            what: "nothing of the deleted pod is left"
        );
        Assert.True(await node.PingAsync("new", b.Address.ToString()));

        // Rollback to the state from which the reference starts. A background service writes the table, so a daemon may not have it after
        // two seconds.
        await Eventually.TrueAsync(
            async () => (await NftAsync(node, "list", "tables")).Contains("table ip vpccni", StringComparison.Ordinal),
            what: "our nftables table exists"
        );
        await node.TheNode.Ipamd.KillAsync(TestContext.Current.CancellationToken);
        var removed = await node.TheNode.Ipamd.RunCommandAsync(["uninstall"], TestContext.Current.CancellationToken);
        Assert.True(removed.ExitCode == 0, removed.Output + removed.Errors);
        Assert.Contains("tables ip vpccni and ip6 vpccni stay,", removed.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(MissedDelFolder.PathBeside(paths.IpamdSocket)));
        Assert.Equal(["10-aws.conflist"], Names(paths.CniConf));
        Assert.Equal(["aws-cni"], Names(paths.CniBin));
        Assert.Equal(Conflist, await File.ReadAllTextAsync(conflist, TestContext.Current.CancellationToken));
        await AssertReferenceCanStartAsync(node, [(b.Address, "ref-b"), (added.Address, "new")]);

        // The reference has started.
        await NftAsync(node, "add", "table", "ip", "aws-cni");
        removed = await node.TheNode.Ipamd.RunCommandAsync(["uninstall", "--wait", "10"], TestContext.Current.CancellationToken);
        Assert.Contains("tables ip vpccni and ip6 vpccni are removed", removed.Output, StringComparison.Ordinal);
        Assert.Equal("table ip aws-cni\n", await NftAsync(node, "list", "tables"));
        Assert.True(await node.PingAsync("new", b.Address.ToString()));
    }

    private static async Task<string> NftAsync(NodeLab node, params string[] arguments) =>
        (
            await node.Lab.ExecAsync(NodeLab.Node, ["nft", .. arguments], TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken)
        ).Output;

    /// <summary>Adds ten pods; the nine addresses of the primary interface do not suffice.</summary>
    private static async Task<(IPAddress OnPrimary, IPAddress OnSecondary)> AddressesOfTwoInterfacesAsync(NodeLab node)
    {
        List<LabPod> pods = [];
        for (var index = 0; index < 10; index++)
            pods.Add(await node.AddAsync($"probe{index}"));
        for (var index = 0; index < 10; index++)
            await node.DeleteAsync($"probe{index}");
        return (pods[0].Address, pods[9].Address);
    }

    /// <summary>
    /// Asserts what the reference's recovery requires: version and fields of the file, a host link for every entry with the hash of its
    /// pod, rules by address (one to the pod, and one from it unless it is on the primary interface).
    /// </summary>
    private static async Task AssertReferenceCanStartAsync(NodeLab node, (IPAddress Address, string Pod)[] expected)
    {
        var checkpoint = JsonDocument
            .Parse(await File.ReadAllTextAsync(node.TheNode.Paths.Checkpoint, TestContext.Current.CancellationToken))
            .RootElement;
        Assert.Equal("vpc-cni-ipam/1", checkpoint.GetProperty("version").GetString());
        var entries = checkpoint.GetProperty("allocations").EnumerateArray().ToList();
        Assert.Equal(
            expected.Select(pod => $"{pod.Address} aws-cni eth0 default/{pod.Pod}").Order(StringComparer.Ordinal),
            entries
                .Select(entry =>
                    $"{entry.GetProperty("ipv4").GetString()} {entry.GetProperty("networkName").GetString()} "
                    + $"{entry.GetProperty("ifName").GetString()} "
                    + $"{entry.GetProperty("metadata").GetProperty("k8sPodNamespace").GetString()}/"
                    + $"{entry.GetProperty("metadata").GetProperty("k8sPodName").GetString()}"
                )
                .Order(StringComparer.Ordinal)
        );
        Assert.All(
            entries,
            entry =>
                Assert.True(
                    entry.GetProperty("containerID").GetString()!.Length > 0 && entry.GetProperty("allocationTimestamp").GetInt64() > 0
                )
        );

        var links = (
            await node.Lab.ExecAsync(NodeLab.Node, ["ip", "-o", "link"], TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken)
        ).Output;
        var rules = (
            await node.Lab.ExecAsync(NodeLab.Node, ["ip", "rule"], TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken)
        ).Output;
        foreach (var (address, pod) in expected)
        {
            Assert.Contains(HostNameOf(pod), links, StringComparison.Ordinal);
            Assert.Matches($@"512:\s+from all to {address} lookup main", rules);
        }
    }

    private static async Task<int> AssignedAsync(NodeLab node) =>
        (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("assigned").GetInt32();

    private static IReadOnlyList<string> Names(string folder) =>
        [.. Directory.GetFileSystemEntries(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    /// <summary>
    /// Returns "eni" and the first 11 digits of the SHA-1 of "default." and the name, from <c>printf default.NAME | sha1sum</c>.
    /// </summary>
    private static string HostNameOf(string pod) =>
        pod switch
        {
            "ref-a" => "enifff9f69e9ad",
            "ref-b" => "eni54c8243176d",
            "new" => "eni64753973478",
            _ => throw new ArgumentOutOfRangeException(nameof(pod), pod, "no digest"),
        };

    /// <summary>A pod as the reference's plugin wires it.</summary>
    /// <param name="Table">Route table of the interface of its address; 254 for the primary one, which has no from-pod rule.</param>
    private sealed record ReferencePod(NodeLab Node, string Name, IPAddress Address, int Table)
    {
        public string HostName => HostNameOf(Name);

        public string Allocation =>
            $$$"""{"networkName":"aws-cni","containerID":"{{{ContainerId}}}","ifName":"eth0","ipv4":"{{{Address}}}","allocationTimestamp":1700000000000000000,"metadata":{"k8sPodNamespace":"default","k8sPodName":"{{{Name}}}"}}""";

        private string ContainerId => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(Name)));

        // With the prefix of the lab, so that the lab removes it.
        private string Netns => $"vpclab-{Node.Lab.Name}-{Name}";

        public async Task WireAsync()
        {
            var fromRule = Table == 254 ? "" : $"ip rule add from {Address} lookup {Table} pref 1536";
            var script = $"""
                set -e
                ip netns add {Netns}
                ip link add {HostName} type veth peer name eth0 netns {Netns}
                ip link set {HostName} mtu 9001 up
                ip -n {Netns} link set lo up
                ip -n {Netns} link set eth0 mtu 9001 up
                ip -n {Netns} addr add {Address}/32 dev eth0
                ip -n {Netns} route add 169.254.1.1 dev eth0 scope link
                ip -n {Netns} route add default via 169.254.1.1 dev eth0
                ip -n {Netns} neigh add 169.254.1.1 lladdr $(ip -o link show {HostName} | sed 's/.*ether \([0-9a-f:]*\).*/\1/') dev eth0 nud permanent
                ip route add {Address} dev {HostName} scope link
                ip rule add to {Address} lookup main pref 512
                {fromRule}
                """;
            var outcome = await Node.Lab.ExecAsync(
                NodeLab.Node,
                ["sh", "-c", script],
                TimeSpan.FromSeconds(20),
                TestContext.Current.CancellationToken
            );
            Assert.True(outcome.ExitCode == 0, outcome.Errors);
        }

        /// <summary>
        /// Deletes with the cached result of the reference's plugin: no MAC address of the host end, and the route table in place of the
        /// MAC address of the pod end.
        /// </summary>
        public Task<TimeSpan> DeleteByOursAsync()
        {
            var result = (JsonObject)
                JsonNode.Parse(
                    $$"""
                    {"cniVersion":"0.4.0","dns":{},"interfaces":[{"name":"{{HostName}}"},{"name":"eth0","mac":"{{Table}}","sandbox":"/run/netns/{{Netns}}"},{"name":"dummy{{HostName[
                        3..
                    ]}}","mac":"0","sandbox":"{{(Table == 254 ? 0 : 1)}}"}],
                     "ips":[{"version":"4","interface":1,"address":"{{Address}}/32"}]}
                    """
                )!;
            var plugin = new CniPlugin(
                Path.Combine(Node.TheNode.Paths.CniBin, "vpc-cni"),
                "eth0",
                Node.TheNode.Network,
                Node.TheNode.Paths,
                nodeLocalFamilies: [],
                TimeProvider.System
            );
            return plugin.DeleteAsync(
                new CniAttachment(ContainerId, $"/run/netns/{Netns}", "default", Name),
                result,
                TestContext.Current.CancellationToken
            );
        }
    }
}
