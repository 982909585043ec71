// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.EndToEnd.Tests.Runtime.Cri;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Runtime;

/// <summary>
/// Runs containerd with its CRI plugin on a lab node: in the node's network namespace and in a mount namespace of its own, so that its
/// mounts and its files under /run and /var/lib end with it. All pods are in a control group of this test, by which leftover processes are
/// found and ended.
/// </summary>
internal sealed class Containerd : IAsyncDisposable
{
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(60);
    private static readonly string[] PluginFolders = ["/usr/lib/cni", "/opt/cni/bin"];

    private readonly NodeLab _node;
    private readonly Process _process;
    private readonly GrpcChannel _channel;
    private readonly List<string> _sandboxes = [];

    private Containerd(NodeLab node, Process process, string folder)
    {
        (_node, _process, Folder) = (node, process, folder);
        var socketPath = Path.Combine(folder, "containerd.sock");
        _channel = GrpcChannel.ForAddress(
            "http://localhost",
            new GrpcChannelOptions
            {
                DisposeHttpClient = true,
                HttpHandler = new SocketsHttpHandler
                {
                    UseProxy = false,
                    ConnectCallback = async (_, cancellationToken) =>
                    {
                        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                        await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
                        return new NetworkStream(socket, ownsSocket: true);
                    },
                },
            }
        );
        Cri = new RuntimeService.RuntimeServiceClient(_channel);
    }

    public RuntimeService.RuntimeServiceClient Cri { get; }

    public string Folder { get; }

    /// <summary>The root of containerd's mount namespace.</summary>
    public string Root => $"/proc/{_process.Id}/root";

    private static string Group => $"vpccni-e2e-{Environment.ProcessId}";

    public static DateTime Deadline => DateTime.UtcNow + CallDeadline;

    /// <summary>Starts containerd and waits until the CRI plugin reports that the network is ready, which requires the conflist.</summary>
    /// <param name="node">Node on which it runs.</param>
    /// <param name="conflist">
    /// The CNI configuration. Null if the test installs plugin and configuration later; until then only pods in the host's network run.
    /// </param>
    public static async Task<Containerd> StartAsync(NodeLab node, string? conflist)
    {
        var containerd = Requirement.NeedProgram("containerd");
        Requirement.NeedProgram("runc");
        Requirement.NeedProgram("ctr");
        Requirement.NeedProgram("iptables");
        var busybox = Requirement.NeedProgram("busybox");
        var plugins = PluginFolders.FirstOrDefault(folder =>
            File.Exists(Path.Combine(folder, "portmap")) && File.Exists(Path.Combine(folder, "loopback"))
        );
        Requirement.Need(plugins is not null, "the CNI plugins portmap and loopback (containernetworking-plugins)");
        Requirement.Need(
            Directory.Exists("/sys/fs/cgroup/pids") || File.Exists("/sys/fs/cgroup/cgroup.controllers"),
            "control groups at /sys/fs/cgroup"
        );

        // The path of a Unix socket has at most 107 characters.
        var folder = Path.Combine(node.TheNode.Paths.Folder, "cri");
        var paths = node.TheNode.Paths;
        Directory.CreateDirectory(folder);
        if (conflist is not null)
        {
            foreach (var name in (string[])["portmap", "loopback"])
                File.CreateSymbolicLink(Path.Combine(paths.CniBin, name), Path.Combine(plugins!, name));
            File.Copy(Binaries.Plugin, Path.Combine(paths.CniBin, "vpc-cni"), overwrite: true);
            await File.WriteAllTextAsync(Path.Combine(paths.CniConf, "10-aws.conflist"), conflist);
        }

        await File.WriteAllTextAsync(Path.Combine(folder, "config.toml"), Config(folder, paths));
        BusyboxImage.Write(Path.Combine(folder, "image.tar"), busybox);

        var script =
            "mkdir -p /run/containerd /var/lib/cni && mount -t tmpfs tmpfs /run/containerd && mount -t tmpfs tmpfs /var/lib/cni && "
            + $"exec {containerd} --config {folder}/config.toml >{folder}/containerd.log 2>&1 </dev/null";
        // Its mounts are not visible outside; namespaces created outside are visible in it, and in containers that mount their folder.
        var process = NamespaceProcess.Start(
            node.TheNode.Network,
            new ProcessStartInfo("unshare", ["--mount", "--propagation", "slave", "sh", "-c", script]) { UseShellExecute = false }
        );
        var started = new Containerd(node, process, folder);
        try
        {
            await Eventually.TrueAsync(
                () => started.IsReadyAsync(conflist is null ? "RuntimeReady" : "NetworkReady"),
                TimeSpan.FromSeconds(30),
                "containerd is ready"
            );
            await started.ImportAsync(Path.Combine(folder, "image.tar"));
            return started;
        }
        catch (Exception failure)
        {
            var log = started.Log;
            await started.DisposeAsync();
            throw new InvalidOperationException($"containerd does not serve: {log}", failure);
        }
    }

    public string Log =>
        File.Exists(Path.Combine(Folder, "containerd.log"))
            ? string.Join('\n', File.ReadLines(Path.Combine(Folder, "containerd.log")).TakeLast(15))
            : "";

    /// <param name="image">A tar file in the format of <c>docker save</c>.</param>
    public Task ImportAsync(string image) =>
        RunAsync(
            "ctr",
            "--address",
            Path.Combine(Folder, "containerd.sock"),
            "--namespace",
            "k8s.io",
            "images",
            "import",
            "--snapshotter",
            "native",
            image
        );

    /// <summary>Waits until the runtime has read a CNI configuration.</summary>
    public Task WaitForNetworkAsync() =>
        Eventually.TrueAsync(() => IsReadyAsync("NetworkReady"), TimeSpan.FromSeconds(30), "the runtime has a network");

    /// <summary>
    /// Runs a sandbox in the node's network, as for hostNetwork pods. Its containers log below the folder of the returned configuration.
    /// </summary>
    public async Task<(string Id, PodSandboxConfig Config)> RunHostSandboxAsync(string name)
    {
        var config = new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata
            {
                Name = name,
                Namespace = "kube-system",
                Uid = $"uid-{name}",
            },
            LogDirectory = Directory.CreateDirectory(Path.Combine(Folder, "logs", name)).FullName,
            Linux = new LinuxPodSandboxConfig
            {
                CgroupParent = $"/{Group}",
                SecurityContext = new LinuxSandboxSecurityContext
                {
                    NamespaceOptions = new NamespaceOption { Network = NamespaceMode.Node },
                    Seccomp = new SecurityProfile(),
                },
            },
        };
        var id = (await Cri.RunPodSandboxAsync(new RunPodSandboxRequest { Config = config }, deadline: Deadline)).PodSandboxId;
        _sandboxes.Add(id);
        return (id, config);
    }

    /// <summary>Runs a pod with one container, which sleeps or serves a page on port 8080.</summary>
    public async Task<RuntimePod> RunPodAsync(string name, int? hostPort = null)
    {
        var config = new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata
            {
                Name = name,
                Namespace = "default",
                Uid = $"uid-{name}",
            },
            Hostname = name,
            Linux = new LinuxPodSandboxConfig { CgroupParent = $"/{Group}" },
        };
        if (hostPort is { } port)
            config.PortMappings.Add(new PortMapping { ContainerPort = 8080, HostPort = port });
        var id = (await Cri.RunPodSandboxAsync(new RunPodSandboxRequest { Config = config }, deadline: Deadline)).PodSandboxId;
        _sandboxes.Add(id);
        var address = (await Cri.PodSandboxStatusAsync(new PodSandboxStatusRequest { PodSandboxId = id }, deadline: Deadline))
            .Status
            .Network
            .Ip;
        var container = new ContainerConfig
        {
            Metadata = new ContainerMetadata { Name = "c" },
            Image = new ImageSpec { Image = BusyboxImage.Name },
        };
        container.Command.AddRange(["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]);
        var containerId = (
            await Cri.CreateContainerAsync(
                new CreateContainerRequest
                {
                    PodSandboxId = id,
                    Config = container,
                    SandboxConfig = config,
                },
                deadline: Deadline
            )
        ).ContainerId;
        await Cri.StartContainerAsync(new StartContainerRequest { ContainerId = containerId }, deadline: Deadline);
        var pod = new RuntimePod(id, containerId, address);
        await Eventually.TrueAsync(
            async () => await ExecAsync(pod, "/bin/busybox", "wget", "-q", "-O-", "http://127.0.0.1:8080/") == BusyboxImage.Page,
            TimeSpan.FromSeconds(10),
            $"{name} serves its page"
        );
        return pod;
    }

    public async Task<string> ExecAsync(RuntimePod pod, params string[] command)
    {
        var reply = await Cri.ExecSyncAsync(
            new ExecSyncRequest
            {
                ContainerId = pod.ContainerId,
                Cmd = { command },
                Timeout = 10,
            },
            deadline: Deadline
        );
        return reply.ExitCode == 0
            ? reply.Stdout.ToStringUtf8()
            : $"exit code {reply.ExitCode}: {reply.Stdout.ToStringUtf8()}{reply.Stderr.ToStringUtf8()}";
    }

    public async Task RemovePodAsync(string sandbox)
    {
        await Cri.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = sandbox }, deadline: Deadline);
        await Cri.RemovePodSandboxAsync(new RemovePodSandboxRequest { PodSandboxId = sandbox }, deadline: Deadline);
        _sandboxes.Remove(sandbox);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var sandbox in _sandboxes.ToList())
        {
            try
            {
                await RemovePodAsync(sandbox);
            }
            catch (RpcException)
            {
                // Killed below.
            }
        }

        _channel.Dispose();
        if (!_process.HasExited)
            Posix.Kill(_process.Id, Posix.SigTerm);
        if (!_process.WaitForExit(TimeSpan.FromSeconds(10)))
            _process.Kill(entireProcessTree: true);
        _process.Dispose();
        foreach (var left in Left())
            Posix.Kill(left, Posix.SigKill);
        await Eventually.TrueAsync(() => Left().Count == 0);
        foreach (
            var group in Directory.EnumerateDirectories(
                "/sys/fs/cgroup",
                Group,
                new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2 }
            )
        )
            RemoveGroup(group);
    }

    /// <summary>
    /// Returns the shims and containers of this test: processes in its control group or with its folder in the command line.
    /// </summary>
    private List<int> Left()
    {
        var left = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var id) || id == Environment.ProcessId)
                continue;
            try
            {
                if (
                    File.ReadAllText($"{folder}/cgroup").Contains(Group, StringComparison.Ordinal)
                    || (
                        File.ReadAllText($"{folder}/cmdline") is var command
                        && command.Contains("containerd-shim", StringComparison.Ordinal)
                        && command.Contains(Folder, StringComparison.Ordinal)
                    )
                )
                    left.Add(id);
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                // The process ended after the listing.
            }
        }

        return left;
    }

    private static void RemoveGroup(string path)
    {
        foreach (var child in Directory.EnumerateDirectories(path))
            RemoveGroup(child);
        try
        {
            // The kernel removes the files of a control group with its folder; Directory.Delete calls rmdir(2).
            Directory.Delete(path);
        }
        catch (IOException)
        {
            // The group contains a process that is ending, which has no network resources.
        }
    }

    private async Task<bool> IsReadyAsync(string condition)
    {
        if (_process.HasExited)
            throw new InvalidOperationException($"containerd ended with {_process.ExitCode}: {Log}");
        try
        {
            var status = await Cri.StatusAsync(new StatusRequest(), deadline: DateTime.UtcNow + TimeSpan.FromSeconds(5));
            return status.Status.Conditions.Any(item => item.Type == condition && item.Status);
        }
        catch (RpcException)
        {
            return false;
        }
    }

    private async Task RunAsync(string program, params string[] arguments)
    {
        var outcome = await NamespaceProcess.RunAsync(
            _node.TheNode.Network,
            new ProcessStartInfo(program, arguments),
            "",
            TimeSpan.FromSeconds(60),
            TimeProvider.System,
            TestContext.Current.CancellationToken
        );
        Assert.True(outcome.ExitCode == 0, $"{program}: {outcome.Output}{outcome.Errors}");
    }

    private static string Config(string folder, NodePaths paths) =>
        $"""
            version = 2
            root = "{folder}/root"
            state = "{folder}/state"
            disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
            [grpc]
              address = "{folder}/containerd.sock"
            [plugins."io.containerd.grpc.v1.cri"]
              sandbox_image = "{BusyboxImage.Name}"
              disable_apparmor = true
              restrict_oom_score_adj = true
              netns_mounts_under_state_dir = true
              stream_server_port = "0"
              [plugins."io.containerd.grpc.v1.cri".containerd]
                snapshotter = "native"
                [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
                  runtime_type = "io.containerd.runc.v2"
              [plugins."io.containerd.grpc.v1.cri".cni]
                bin_dir = "{paths.CniBin}"
                conf_dir = "{paths.CniConf}"
            """;
}

/// <summary>A pod that containerd runs.</summary>
internal sealed record RuntimePod(string SandboxId, string ContainerId, string Address);
