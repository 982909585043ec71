// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>Output and exit code of a run of the plugin.</summary>
internal sealed record PluginAnswer(int ExitCode, string Output, string Errors)
{
    /// <summary>Error code; 0 on success.</summary>
    public int Code => ExitCode == 0 ? 0 : (int)JsonNode.Parse(Output)!["code"]!;

    public string Message => (string)JsonNode.Parse(Output)!["msg"]!;

    /// <summary>The result of an ADD that must have succeeded.</summary>
    public JsonObject Result
    {
        get
        {
            Assert.True(ExitCode == 0, Output + Errors);
            return JsonNode.Parse(Output)!.AsObject();
        }
    }

    public string Address => ((string)Result["ips"]![0]!["address"]!).Split('/')[0];
}

/// <summary>Runs the real plugin on the node of a lab with arguments that the test chooses. The lab removes the namespaces.</summary>
internal sealed class RawPlugin(NodeLab node)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly FabricNames _names = new(node.Lab.Name);

    /// <summary>Creates a namespace and returns its path.</summary>
    public string CreateNamespace(string name)
    {
        NetworkNamespace.CreateNamed(_names.Pod("raw", name)).Dispose();
        return $"/run/netns/{_names.Pod("raw", name)}";
    }

    public static void DeleteNamespace(string path) => NetworkNamespace.DeleteNamed(Path.GetFileName(path));

    /// <summary>
    /// Returns whether the node reaches an address within three seconds, with a ping every fifth of a second. The first packet may be lost:
    /// the kernel enables the queue of a link with a delay after it is up (linkwatch).
    /// </summary>
    public async Task<bool> AnswersAsync(string address) =>
        (
            await node.Lab.ExecAsync(
                NodeLab.Node,
                ["ping", "-c", "1", "-w", "3", "-i", "0.2", address],
                Deadline,
                TestContext.Current.CancellationToken
            )
        ).ExitCode == 0;

    public async Task<PluginAnswer> RunAsync(
        string command,
        string netns,
        string container = "c1",
        string? pod = null,
        Action<IDictionary<string, string?>>? environment = null,
        Action<JsonObject>? configuration = null,
        JsonObject? previous = null
    )
    {
        var start = Prepare(command, netns, container, pod, environment);
        var outcome = await NamespaceProcess.RunAsync(
            node.TheNode.Network,
            start,
            Configuration(configuration, previous),
            Deadline,
            TimeProvider.System,
            TestContext.Current.CancellationToken
        );
        return new PluginAnswer(outcome.ExitCode, outcome.Output, outcome.Errors);
    }

    /// <summary>Runs an ADD and invokes an action at a given time after its start. Returns null if the action killed the plugin.</summary>
    public async Task<PluginAnswer?> AddAsync(string netns, string container, TimeSpan after, Action<Process> action)
    {
        var start = Prepare("ADD", netns, container, pod: null, environment: null);
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        var started = Stopwatch.GetTimestamp();
        using var process = NamespaceProcess.Start(node.TheNode.Network, start);
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.StandardInput.WriteAsync(Configuration(change: null, previous: null));
        process.StandardInput.Close();
        // An ADD takes five to ten milliseconds, so the wait must be more precise than a timer.
        SpinWait.SpinUntil(() => Stopwatch.GetElapsedTime(started) >= after);
        action(process);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Deadline, TestContext.Current.CancellationToken);
        var answer = new PluginAnswer(process.ExitCode, await output, await errors);
        return answer.ExitCode > 128 ? null : answer;
    }

    private static ProcessStartInfo Prepare(
        string command,
        string netns,
        string container,
        string? pod,
        Action<IDictionary<string, string?>>? environment
    )
    {
        var start = new ProcessStartInfo(Binaries.Plugin);
        start.Environment.Clear();
        foreach (
            var (name, value) in ((string, string)[])
                [
                    ("CNI_COMMAND", command),
                    ("CNI_CONTAINERID", container),
                    ("CNI_NETNS", netns),
                    ("CNI_IFNAME", "eth0"),
                    ("CNI_PATH", Path.GetDirectoryName(Binaries.Plugin)!),
                    (
                        "CNI_ARGS",
                        $"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod ?? $"pod-of-{container}"};"
                            + $"K8S_POD_INFRA_CONTAINER_ID={container}"
                    ),
                ]
        )
        {
            start.Environment[name] = value;
        }

        environment?.Invoke(start.Environment);
        return start;
    }

    private string Configuration(Action<JsonObject>? change, JsonObject? previous)
    {
        var configuration = new JsonObject
        {
            ["cniVersion"] = "1.1.0",
            ["name"] = "aws-cni",
            ["type"] = "vpc-cni",
            ["pluginLogFile"] = node.TheNode.Paths.PluginLog,
            ["ipamdSocket"] = node.TheNode.Paths.IpamdSocket,
        };
        if (previous is not null)
            configuration["prevResult"] = previous.DeepClone();
        change?.Invoke(configuration);
        return configuration.ToJsonString();
    }
}
