// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.Hosting;

namespace VpcCni.Bench;

/// <summary>A pod to be: its namespace exists, nothing is in it.</summary>
/// <param name="Number">Unique in this run.</param>
internal sealed record Sandbox(int Number, string Netns)
{
    public string Name => $"bench-{Number}";

    /// <summary>As long as those of real runtimes.</summary>
    public string ContainerId => $"{Number:x}".PadLeft(64, 'c');
}

/// <summary>One of the things that are compared: how to run its ADD and its DEL.</summary>
internal abstract class Contender(string name)
{
    public string Name { get; } = name;

    /// <summary>What ADD printed, for DEL. Throws if the plugin fails: a benchmark of failures is none.</summary>
    public abstract (TimeSpan Elapsed, string Result) Add(Sandbox sandbox);

    public abstract TimeSpan Delete(Sandbox sandbox, string result);

    protected ChildOutcome Run(string program, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, string input)
    {
        var outcome = ChildProcess.Run(program, arguments, environment, input);
        return outcome.ExitCode == 0
            ? outcome
            : throw new InvalidOperationException($"{Name}: {program} ended with {outcome.ExitCode}: {outcome.Output}");
    }
}

/// <summary>A CNI plugin, run as a container runtime runs it.</summary>
internal sealed class PluginContender(string name, string program, string pluginFolder, JsonObject configuration) : Contender(name)
{
    public override (TimeSpan Elapsed, string Result) Add(Sandbox sandbox)
    {
        var outcome = Run(program, [], Environment("ADD", sandbox), configuration.ToJsonString());
        return (outcome.Elapsed, outcome.Output);
    }

    public override TimeSpan Delete(Sandbox sandbox, string result)
    {
        var withResult = (JsonObject)configuration.DeepClone();
        withResult["prevResult"] = JsonNode.Parse(result);
        return Run(program, [], Environment("DEL", sandbox), withResult.ToJsonString()).Elapsed;
    }

    private string[] Environment(string command, Sandbox sandbox) =>
        [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            $"CNI_COMMAND={command}",
            $"CNI_CONTAINERID={sandbox.ContainerId}",
            $"CNI_NETNS={sandbox.Netns}",
            "CNI_IFNAME=eth0",
            $"CNI_PATH={pluginFolder}",
            $"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME={sandbox.Name};K8S_POD_INFRA_CONTAINER_ID="
                + $"{sandbox.ContainerId}",
        ];

    public static PluginContender Ours(string program, NodePaths paths) =>
        new(
            "vpc-cni",
            program,
            Path.GetDirectoryName(program)!,
            new JsonObject
            {
                ["cniVersion"] = "1.0.0",
                ["name"] = "aws-cni",
                ["type"] = "vpc-cni",
                ["vethPrefix"] = "eni",
                ["mtu"] = "9001",
                ["pluginLogFile"] = paths.PluginLog,
                ["pluginLogLevel"] = "DEBUG",
                ["ipamdSocket"] = paths.IpamdSocket,
            }
        );

    /// <summary>
    /// The plainest pair of the reference plugins that gives a pod a routed veth: no masquerading, addresses kept as files on a memory file
    /// system.
    /// </summary>
    public static PluginContender Ptp(string folder, NodePaths paths) =>
        new(
            "ptp+host-local",
            Path.Combine(folder, "ptp"),
            folder,
            new JsonObject
            {
                ["cniVersion"] = "1.0.0",
                ["name"] = "ptpnet",
                ["type"] = "ptp",
                ["mtu"] = 9001,
                ["ipam"] = new JsonObject
                {
                    ["type"] = "host-local",
                    ["subnet"] = "192.168.76.0/22",
                    ["routes"] = new JsonArray(new JsonObject { ["dst"] = "0.0.0.0/0" }),
                    ["dataDir"] = Path.Combine(paths.Folder, "host-local"),
                },
            }
        );
}

/// <summary>The kernel's share: bench/Floor.</summary>
internal sealed class FloorContender(string program) : Contender("kernel floor")
{
    /// <summary>As for a pod on the first secondary interface, so that there is a from-pod rule.</summary>
    private const string Table = "2";

    public override (TimeSpan Elapsed, string Result) Add(Sandbox sandbox) => (Run(program, Arguments("add", sandbox), [], "").Elapsed, "");

    public override TimeSpan Delete(Sandbox sandbox, string result) => Run(program, Arguments("del", sandbox), [], "").Elapsed;

    private static string[] Arguments(string verb, Sandbox sandbox) =>
        [verb, sandbox.Netns, $"flo{sandbox.Number}", "eth0", $"192.168.{80 + (sandbox.Number / 250)}.{1 + (sandbox.Number % 250)}", Table];
}
