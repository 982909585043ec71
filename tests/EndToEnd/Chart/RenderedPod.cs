// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using Grpc.Core;
using VpcCni.Chart.Tests;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.EndToEnd.Tests.Runtime;
using VpcCni.EndToEnd.Tests.Runtime.Cri;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;

namespace VpcCni.EndToEnd.Tests.Chart;

/// <summary>
/// The pod of the rendered DaemonSet on a lab node. Calls the container runtime as kubelet would, with the folders of the lab node in place
/// of those of a host, and with the endpoints of the lab in the environment.
/// </summary>
internal sealed class RenderedPod(NodeLab node, Containerd runtime, RenderedChart chart)
{
    /// <summary>The paths of procMount Default (kubernetes, pkg/securitycontext).</summary>
    private static readonly string[] MaskedPaths =
    [
        "/proc/asound",
        "/proc/acpi",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
    ];

    private static readonly string[] ReadonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    private string _sandbox = "";
    private PodSandboxConfig _config = new();
    private string _daemon = "";

    public async Task StartSandboxAsync(string name) => (_sandbox, _config) = await runtime.RunHostSandboxAsync(name);

    /// <summary>Runs the init container until it ends.</summary>
    public async Task<(int ExitCode, string Log)> RunInitAsync()
    {
        var id = await StartAsync(chart.Init);
        await Eventually.TrueAsync(
            async () => (await StatusAsync(id)).State == ContainerState.ContainerExited,
            TimeSpan.FromSeconds(30),
            "the init container has ended"
        );
        return ((await StatusAsync(id)).ExitCode, Log("aws-vpc-cni-init"));
    }

    public async Task StartDaemonAsync() => _daemon = await StartAsync(chart.Daemon);

    /// <summary>Runs a rendered probe and returns its exit code; null if the daemon has ended.</summary>
    public async Task<int?> ProbeAsync(string probe)
    {
        try
        {
            return (await ExecAsync([.. chart.Daemon[probe]!["exec"]!["command"]!.AsArray().Select(item => (string)item!)])).ExitCode;
        }
        catch (RpcException exception) when (exception.StatusCode is StatusCode.NotFound or StatusCode.Unknown)
        {
            return null;
        }
    }

    /// <summary>Waits until the rendered readiness probe succeeds. Fails at once, with the end of the log, when the daemon ends.</summary>
    public async Task WaitUntilReadyAsync()
    {
        try
        {
            await Eventually.TrueAsync(
                async () =>
                    (await DaemonStatusAsync()).State == ContainerState.ContainerRunning
                        ? await ProbeAsync("readinessProbe") == 0
                        : throw new InvalidOperationException("the daemon has ended"),
                TimeSpan.FromSeconds(30)
            );
        }
        catch (Exception failure) when (failure is TimeoutException or InvalidOperationException)
        {
            throw new InvalidOperationException(
                $"{failure.Message}; exit code {(await DaemonStatusAsync()).ExitCode}: {DaemonLog}",
                failure
            );
        }
    }

    public async Task<(int ExitCode, string Output)> ExecAsync(params string[] command)
    {
        var reply = await runtime.Cri.ExecSyncAsync(
            new ExecSyncRequest
            {
                ContainerId = _daemon,
                Cmd = { command },
                Timeout = 10,
            },
            deadline: Containerd.Deadline
        );
        return (reply.ExitCode, reply.Stdout.ToStringUtf8() + reply.Stderr.ToStringUtf8());
    }

    public Task<ContainerStatus> DaemonStatusAsync() => StatusAsync(_daemon);

    /// <summary>Stops the daemon as kubelet does: SIGTERM, then SIGKILL after the grace period.</summary>
    public async Task StopDaemonAsync() =>
        await runtime.Cri.StopContainerAsync(
            new StopContainerRequest { ContainerId = _daemon, Timeout = (int)chart.PodSpec["terminationGracePeriodSeconds"]! },
            deadline: Containerd.Deadline
        );

    public Task RemoveAsync() => runtime.RemovePodAsync(_sandbox);

    public string DaemonLog => Log("aws-node");

    /// <summary>Returns the fields of /proc/PID/status of the daemon.</summary>
    public Dictionary<string, string> ProcessStatus() =>
        File.ReadAllLines($"/proc/{ProcessId()}/status")
            .Select(line => line.Split(':', 2))
            .ToDictionary(part => part[0], part => part[1].Trim());

    /// <summary>Returns the options of a mount in the daemon's namespace; null if there is none (proc_pid_mountinfo(5)).</summary>
    public string? MountOptions(string path) =>
        File.ReadLines($"/proc/{ProcessId()}/mountinfo").Select(line => line.Split(' ')).LastOrDefault(part => part[4] == path)?[5];

    private int ProcessId()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var id))
                continue;
            try
            {
                // Only this container has a mount of the node's folder.
                if (
                    File.ReadAllText($"{folder}/cmdline").StartsWith("/app/ipamd\0run\0", StringComparison.Ordinal)
                    && File.ReadAllText($"{folder}/mountinfo").Contains(node.TheNode.Paths.Folder, StringComparison.Ordinal)
                )
                    return id;
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                // The process ended after the listing.
            }
        }

        throw new InvalidOperationException($"the daemon does not run: {DaemonLog}");
    }

    private async Task<string> StartAsync(JsonObject container)
    {
        var name = (string)container["name"]!;
        var config = new ContainerConfig
        {
            Metadata = new ContainerMetadata { Name = name },
            Image = new ImageSpec { Image = (string)container["image"]! },
            LogPath = $"{name}.log",
            Linux = new LinuxContainerConfig { SecurityContext = SecurityOf((JsonObject)container["securityContext"]!) },
        };
        config.Command.AddRange(container["command"]!.AsArray().Select(item => (string)item!));
        config.Envs.AddRange(EnvironmentOf(container).Select(item => new KeyValue { Key = item.Key, Value = item.Value }));
        config.Mounts.AddRange(container["volumeMounts"]!.AsArray().Select(mount => MountOf((JsonObject)mount!)));
        config.Mounts.Add(
            new Mount
            {
                ContainerPath = "/var/run/secrets/kubernetes.io/serviceaccount",
                HostPath = node.TheNode.Paths.ServiceAccount,
                Readonly = true,
            }
        );
        var id = (
            await runtime.Cri.CreateContainerAsync(
                new CreateContainerRequest
                {
                    PodSandboxId = _sandbox,
                    Config = config,
                    SandboxConfig = _config,
                },
                deadline: Containerd.Deadline
            )
        ).ContainerId;
        await runtime.Cri.StartContainerAsync(new StartContainerRequest { ContainerId = id }, deadline: Containerd.Deadline);
        return id;
    }

    private static LinuxContainerSecurityContext SecurityOf(JsonObject context)
    {
        var security = new LinuxContainerSecurityContext
        {
            Capabilities = new Capability(),
            NamespaceOptions = new NamespaceOption { Network = NamespaceMode.Node, Pid = NamespaceMode.Container },
            ReadonlyRootfs = (bool?)context["readOnlyRootFilesystem"] ?? false,
            NoNewPrivs = (bool?)context["allowPrivilegeEscalation"] == false,
            Seccomp = new SecurityProfile
            {
                ProfileType =
                    (string?)context["seccompProfile"]?["type"] == "RuntimeDefault"
                        ? SecurityProfile.Types.ProfileType.RuntimeDefault
                        : SecurityProfile.Types.ProfileType.Unconfined,
            },
        };
        security.Capabilities.AddCapabilities.AddRange(Names(context["capabilities"]?["add"]));
        security.Capabilities.DropCapabilities.AddRange(Names(context["capabilities"]?["drop"]));
        security.MaskedPaths.AddRange(MaskedPaths);
        security.ReadonlyPaths.AddRange(ReadonlyPaths);
        return security;
    }

    private static IEnumerable<string> Names(JsonNode? list) => (list as JsonArray ?? []).Select(item => (string)item!);

    private Dictionary<string, string> EnvironmentOf(JsonObject container)
    {
        var environment = RenderedChart.Environment(container);
        (environment["AWS_EC2_ENDPOINT"], environment["AWS_REGION"]) = (VpcLab.Ec2Endpoint, "us-west-2");
        // Variables that kubelet sets for every pod, and fields of the pod that the container refers to.
        (environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]) = (
            LabCluster.Address.ToString(),
            $"{LabCluster.SecurePort}"
        );
        foreach (var item in container["env"]!.AsArray().Where(item => item!["valueFrom"] is not null))
        {
            environment[(string)item!["name"]!] = (string)item["valueFrom"]!["fieldRef"]!["fieldPath"]! switch
            {
                "spec.nodeName" => NodeLab.Node,
                "metadata.name" => ClusterObjects.DaemonPodName(NodeLab.Node),
                "metadata.namespace" => ClusterObjects.SystemNamespace,
                var other => throw new InvalidOperationException($"unknown field {other}"),
            };
        }

        return environment;
    }

    private Mount MountOf(JsonObject mount)
    {
        var volume = chart.PodSpec["volumes"]!.AsArray().Single(item => (string?)item!["name"] == (string?)mount["name"])!;
        return new Mount
        {
            ContainerPath = (string)mount["mountPath"]!,
            Readonly = (bool?)mount["readOnly"] ?? false,
            Propagation =
                (string?)mount["mountPropagation"] == "HostToContainer"
                    ? MountPropagation.PropagationHostToContainer
                    : MountPropagation.PropagationPrivate,
            HostPath = PathInLab((string)volume["hostPath"]!["path"]!),
        };
    }

    private string PathInLab(string hostPath)
    {
        var path = DaemonSandbox.Mounts.Single(mount => mount.HostPath == hostPath).InLab(node.TheNode.Paths);
        return hostPath == "/var/log/aws-routed-eni" ? Directory.CreateDirectory(path).FullName : path;
    }

    private string Log(string container)
    {
        var path = Path.Combine(_config.LogDirectory, $"{container}.log");
        return File.Exists(path) ? string.Join('\n', File.ReadLines(path).TakeLast(20)) : "";
    }

    private async Task<ContainerStatus> StatusAsync(string id) =>
        (await runtime.Cri.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = id }, deadline: Containerd.Deadline)).Status;
}
