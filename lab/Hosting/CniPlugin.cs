// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>The container and pod of a CNI call, as a container runtime names them.</summary>
internal sealed record CniAttachment(string ContainerId, string NamespacePath, string PodNamespace, string PodName);

/// <summary>The plugin failed. The message has its error object (CNI specification, "Error"), or its output if it printed none.</summary>
internal sealed class CniException(string command, int? code, string message) : Exception($"CNI {command} failed: {message}")
{
    /// <summary>The error code of the specification; null when the plugin printed no error object.</summary>
    public int? Code { get; } = code;
}

/// <summary>
/// Runs a CNI plugin as a container runtime does: in the node's namespace, parameters in the environment, configuration on standard input,
/// result on standard output (https://github.com/containernetworking/cni/blob/main/SPEC.md, "Execution Protocol").
/// </summary>
/// <param name="binary">Path of the plugin.</param>
/// <param name="podInterface">Name of the pod's interface.</param>
/// <param name="node">Namespace of the node.</param>
/// <param name="paths">Files of the node.</param>
/// <param name="nodeLocalFamilies">See <see cref="LabOptions.NodeLocalFamilies"/>.</param>
/// <param name="time">Clock of the deadline.</param>
internal sealed class CniPlugin(
    string binary,
    string podInterface,
    NetworkNamespace node,
    NodePaths paths,
    IReadOnlyList<AddressFamily> nodeLocalFamilies,
    TimeProvider time
)
{
    /// <summary>Kills a plugin that takes longer. Kubelet allows a runtime two minutes.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    /// <summary>Runs ADD. Returns its result and how long the process took.</summary>
    public async Task<(JsonObject Result, TimeSpan Elapsed)> AddAsync(CniAttachment attachment, CancellationToken cancellationToken)
    {
        var outcome = await RunAsync("ADD", attachment, previous: null, cancellationToken);
        return JsonNode.Parse(outcome.Output) is JsonObject result
            ? (result, outcome.Elapsed)
            : throw new CniException("ADD", code: null, $"expected a JSON object as result, got '{outcome.Output}'");
    }

    /// <summary>Runs DEL with the result of the ADD, if there is one. Returns how long the process took.</summary>
    public async Task<TimeSpan> DeleteAsync(CniAttachment attachment, JsonObject? previous, CancellationToken cancellationToken) =>
        (await RunAsync("DEL", attachment, previous, cancellationToken)).Elapsed;

    private async Task<ProcessOutcome> RunAsync(
        string command,
        CniAttachment attachment,
        JsonObject? previous,
        CancellationToken cancellationToken
    )
    {
        var start = new ProcessStartInfo(binary);
        start.Environment.Clear(); // the plugin must not inherit the lab's environment
        foreach (var (name, value) in Parameters(command, attachment))
            start.Environment[name] = value;
        var outcome = await NamespaceProcess.RunAsync(
            node,
            start,
            Configuration(previous).ToJsonString(),
            Deadline,
            time,
            cancellationToken
        );
        return outcome.ExitCode == 0 ? outcome : throw Failure(command, outcome);
    }

    private IEnumerable<(string Name, string Value)> Parameters(string command, CniAttachment attachment) =>
        [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", attachment.ContainerId),
            ("CNI_NETNS", attachment.NamespacePath),
            ("CNI_IFNAME", podInterface),
            ("CNI_PATH", Path.GetDirectoryName(binary) ?? "/"),
            (
                "CNI_ARGS",
                $"IgnoreUnknown=1;K8S_POD_NAMESPACE={attachment.PodNamespace};K8S_POD_NAME={attachment.PodName};"
                    + $"K8S_POD_INFRA_CONTAINER_ID={attachment.ContainerId}"
            ),
        ];

    private JsonObject Configuration(JsonObject? previous)
    {
        var configuration = new JsonObject
        {
            ["cniVersion"] = "1.0.0",
            ["name"] = "aws-cni",
            ["type"] = "vpc-cni",
            ["vethPrefix"] = "eni",
            ["mtu"] = "9001",
            ["pluginLogFile"] = paths.PluginLog,
            ["pluginLogLevel"] = "DEBUG",
            ["ipamdSocket"] = paths.IpamdSocket,
        };
        foreach (var family in nodeLocalFamilies)
            configuration[family == IpFamily.V6 ? "enableV6Egress" : "enableV4Egress"] = "true";
        if (previous is not null)
            configuration["prevResult"] = previous.DeepClone();
        return configuration;
    }

    private static CniException Failure(string command, ProcessOutcome outcome)
    {
        try
        {
            if (JsonNode.Parse(outcome.Output) is JsonObject error)
                return new CniException(command, (int?)error["code"], $"code {error["code"]}: {error["msg"]} {error["details"]}".TrimEnd());
        }
        catch (JsonException)
        {
            // The output is not JSON; the exception below reports it as it is.
        }

        return new CniException(
            command,
            code: null,
            $"exit code {outcome.ExitCode} without an error object; output '{outcome.Output.Trim()}', errors '{outcome.Errors.Trim()}'"
        );
    }
}
