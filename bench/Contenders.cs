// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.Hosting;

namespace VpcCni.Bench;

/// <summary>A pod without a network: its namespace exists and is empty.</summary>
/// <param name="Number">Number, unique in the run.</param>
internal sealed record Sandbox(int Number, string Netns)
{
    public string Name => $"bench-{Number}";

    /// <summary>As long as the ids of real runtimes.</summary>
    public string ContainerId => $"{Number:x}".PadLeft(64, 'c');
}

/// <summary>A compared program: runs its ADD and its DEL.</summary>
internal abstract class Contender(string name)
{
    public string Name { get; } = name;

    /// <summary>Runs an ADD and returns its output, which DEL needs. Throws if the plugin fails.</summary>
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

/// <summary>A CNI plugin, executed as by a container runtime.</summary>
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
    /// The smallest pair of reference plugins that gives a pod a routed veth: no masquerading, addresses in files on a memory file system.
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

/// <summary>The cost of the kernel alone: bench/Floor.</summary>
internal sealed class FloorContender(string program) : Contender("kernel floor")
{
    /// <summary>The table of the first secondary interface, so that there is a from-pod rule.</summary>
    private const string Table = "2";

    public override (TimeSpan Elapsed, string Result) Add(Sandbox sandbox) => (Run(program, Arguments("add", sandbox), [], "").Elapsed, "");

    public override TimeSpan Delete(Sandbox sandbox, string result) => Run(program, Arguments("del", sandbox), [], "").Elapsed;

    private static string[] Arguments(string verb, Sandbox sandbox) =>
        [verb, sandbox.Netns, $"flo{sandbox.Number}", "eth0", $"192.168.{80 + (sandbox.Number / 250)}.{1 + (sandbox.Number % 250)}", Table];
}
