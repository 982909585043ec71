// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Datapath;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Families;

/// <summary>
/// A node in a subnet with ranges of both families, with the real binaries and the conflist that <c>ipamd install</c> wrote. The first test
/// of a class starts it, and the tests of the class share it: each deletes its pods and asserts that nothing is left of them.
/// </summary>
public abstract class FamilyNode : IAsyncLifetime
{
    private readonly Dictionary<string, string> _environment;
    private readonly LabFamily _family;
    private NodeLab? _node;
    private JsonObject? _conflist;
    private readonly List<FamilyPod> _pods = [];
    private int _containers;

    private protected FamilyNode(LabFamily family, Dictionary<string, string> environment)
    {
        _family = family;
        _environment = environment;
    }

    internal NodeLab Node => _node ?? throw new InvalidOperationException($"{nameof(StartAsync)} starts the node");

    internal LabNode TheNode => Node.TheNode;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_node is not null)
            await _node.DisposeAsync();
    }

    /// <summary>
    /// Starts the node, unless an earlier test of the class has, deletes the pods that a failed test left, and asserts that there are none.
    /// </summary>
    internal async Task StartAsync()
    {
        if (_node is null)
        {
            // Reused addresses show what deleted pods leave behind.
            var environment = new Dictionary<string, string>(_environment) { ["IP_COOLDOWN_PERIOD"] = "0" };
            _node = await NodeLab.StartAsync(environment, options => options with { Family = _family });
            _conflist = await InstallAsync(_node);
        }

        if (TheNode.Ipamd!.ProcessId is null)
            TheNode.Ipamd.Start();
        await Node.Lab.WaitUntilReadyAsync(Token);
        foreach (var pod in _pods.ToArray())
            await DeleteAsync(pod);
        foreach (var pod in TheNode.Pods)
            await Node.DeleteAsync(pod.Attachment.PodName);
        await AssertNoPodsAsync();
    }

    /// <summary>Runs <c>ipamd install</c> and returns the conflist that it wrote.</summary>
    internal static async Task<JsonObject> InstallAsync(NodeLab node)
    {
        var installed = await node.TheNode.Ipamd!.RunCommandAsync(["install", "--plugin", Binaries.Plugin], Token);
        Assert.True(installed.ExitCode == 0, installed.Output + installed.Errors);
        var file = Path.Combine(node.TheNode.Paths.CniConf, "10-aws.conflist");
        return JsonNode.Parse(await File.ReadAllTextAsync(file, Token))!.AsObject();
    }

    /// <summary>Adds a pod as a runtime does with the installed conflist.</summary>
    /// <param name="name">Name of the pod.</param>
    /// <param name="settings">Kernel settings of its namespace before the plugin runs, <c>name=value</c>.</param>
    internal async Task<FamilyPod> AddAsync(string name, params string[] settings)
    {
        var plugin = new RawPlugin(Node);
        var container = $"{name}-{_containers++}";
        var path = plugin.CreateNamespace(container);
        using (var network = NetworkNamespace.Open(path))
        {
            foreach (var setting in settings.Select(setting => setting.Split('=')))
                network.Run(() => File.WriteAllText($"/proc/sys/{setting[0].Replace('.', '/')}", setting[1]));
        }

        var answer = await RunAsync("ADD", path, container, name);
        var pod = new FamilyPod(name, container, path, NetworkNamespace.Open(path), answer.Result);
        _pods.Add(pod);
        return pod;
    }

    internal Task<PluginAnswer> RunAsync(string command, FamilyPod pod) =>
        RunAsync(command, pod.NamespacePath, pod.Container, pod.Name, pod.Result);

    /// <summary>
    /// Runs the plugin as libcni does: with the entry of the conflist, the list's name, its newest version and the previous result.
    /// </summary>
    internal Task<PluginAnswer> RunAsync(string command, string netns, string container, string pod, JsonObject? previous = null)
    {
        var conflist = _conflist!;
        var version = conflist["cniVersions"] is JsonArray versions ? (string?)versions[^1] : (string?)conflist["cniVersion"];
        return new RawPlugin(Node).RunAsync(
            command,
            netns,
            container,
            pod,
            configuration: configuration =>
            {
                configuration.Clear();
                foreach (var (key, value) in conflist["plugins"]![0]!.AsObject())
                    configuration[key] = value?.DeepClone();
                (configuration["cniVersion"], configuration["name"]) = (version, (string?)conflist["name"]);
                if (previous is not null)
                    configuration["prevResult"] = previous.DeepClone();
            }
        );
    }

    /// <summary>Deletes a pod as a runtime does, and removes its namespace.</summary>
    internal async Task DeleteAsync(FamilyPod pod)
    {
        var answer = await RunAsync("DEL", pod);
        Assert.True(answer.ExitCode == 0, answer.Output + answer.Errors);
        pod.Network.Dispose();
        RawPlugin.DeleteNamespace(pod.NamespacePath);
        _pods.Remove(pod);
    }

    /// <summary>
    /// Asserts that the daemon has no attachments, that the kernel has no link, rule, route or neighbour of a pod, and that the audit is
    /// clean. The daemon deletes links shortly after their DEL.
    /// </summary>
    internal async Task AssertNoPodsAsync()
    {
        var left = "";
        try
        {
            await Eventually.TrueAsync(async () => (left = await PodNetworkAsync(Node)) == "");
        }
        catch (TimeoutException)
        {
            Assert.Fail($"left on the node:\n{left}");
        }

        Assert.Equal(0, await Node.AssignedAsync());
        await AssertCleanAsync();
    }

    /// <summary>Returns what iproute2 shows of pods in both families.</summary>
    internal static async Task<string> PodNetworkAsync(NodeLab node)
    {
        var shown = await node.ExecAsync(
            "sh",
            "-c",
            "ip -o link show type veth; ip -4 rule; ip -6 rule; ip -4 route show table all; ip -6 route show table all; ip -6 neigh"
        );
        return string.Join(
            '\n',
            shown
                .Split('\n')
                .Where(line =>
                    line.Contains(": eni", StringComparison.Ordinal)
                    || line.Contains("dev eni", StringComparison.Ordinal)
                    || line.StartsWith("512:", StringComparison.Ordinal)
                    || line.StartsWith("1536:", StringComparison.Ordinal)
                    || line.Contains("169.254.172.", StringComparison.Ordinal)
                    || line.Contains("fd00::ac:", StringComparison.Ordinal)
                )
                // The kernel makes these some time after the link.
                .Where(line => !line.Contains("fe80:", StringComparison.Ordinal) && !line.Contains("ff00::/8", StringComparison.Ordinal))
        );
    }

    /// <summary>Waits for the NAT of node-local addresses, which the daemon writes in the background.</summary>
    internal static Task WaitForNodeLocalNatAsync(NodeLab node, AddressFamily family) =>
        Eventually.TrueAsync(
            async () =>
                (await node.ExecAsync("nft", "list", "ruleset"))
                    .Split('\n')
                    .Any(line =>
                        line.Contains($"saddr {NodeLocalAddresses.Range(family)}", StringComparison.Ordinal)
                        && line.Contains("snat ", StringComparison.Ordinal)
                    ),
            what: $"NAT of {NodeLocalAddresses.Range(family)}"
        );

    /// <summary>Asserts that <c>ipamd audit</c> finds no mismatch.</summary>
    internal async Task AssertCleanAsync()
    {
        var audit = await TheNode.Ipamd!.RunCommandAsync(["audit"], Token);
        Assert.True(audit.ExitCode == 0 && audit.Output.Contains("CLEAN", StringComparison.Ordinal), audit.Output + audit.Errors);
    }

    /// <summary>Runs a command of the daemon's program, which must succeed, and returns its output without line breaks.</summary>
    internal async Task<string> IpamdAsync(params string[] arguments)
    {
        var outcome = await TheNode.Ipamd!.RunCommandAsync(arguments, Token);
        Assert.True(outcome.ExitCode == 0, $"ipamd {string.Join(' ', arguments)}: {outcome.ExitCode}\n{outcome.Output}{outcome.Errors}");
        return string.Join(' ', outcome.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>Runs a command of the daemon's program with <c>--json</c>.</summary>
    internal async Task<JsonElement> IpamdJsonAsync(params string[] arguments) =>
        JsonDocument.Parse((await TheNode.Ipamd!.RunCommandAsync([.. arguments, "--json"], Token)).Output).RootElement;

    /// <summary>Returns the source of a TCP connection of a pod to the lab's internet as its host observes it.</summary>
    internal async Task<IPAddress> SourceAsync(NetworkNamespace pod, IPAddress internetHost) =>
        (await Probe.TcpAsync(pod, Node.Lab.Fabric.Internet, internetHost, Token)).ObservedSource;

    /// <summary>A prober for connections that must succeed.</summary>
    internal static Probe Probe { get; } = new(TimeProvider.System, TimeSpan.FromSeconds(5));
}

/// <summary>A pod that the test added, and its result.</summary>
internal sealed record FamilyPod(string Name, string Container, string NamespacePath, NetworkNamespace Network, JsonObject Result)
{
    /// <summary>The addresses of the result with their lengths, in its order.</summary>
    public IReadOnlyList<IPNetwork> Ips => [.. Result["ips"]!.AsArray().Select(ip => IPNetwork.Parse((string)ip!["address"]!))];

    public IPAddress AddressOf(AddressFamily family) => Ips.Select(ip => ip.BaseAddress).Single(address => address.AddressFamily == family);
}

/// <summary>A node in IPv6 mode.</summary>
public sealed class Ipv6Node() : FamilyNode(LabFamily.Ipv6, []);

/// <summary>A node in dual stack, with single addresses.</summary>
public sealed class DualStackNode() : FamilyNode(LabFamily.Dual, []);

/// <summary>A node in IPv4 mode whose pods reach IPv6 destinations with the node's address.</summary>
public sealed class Ipv4NodeWithIpv6Egress()
    : FamilyNode(LabFamily.Dual, new() { ["ENABLE_IPv6"] = "false", ["ENABLE_V6_EGRESS"] = "true" });
