// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// A whole lab in this process: model, API servers, fabric, nodes with their daemons, and pods. Disposing it removes everything that it
/// created. The command line, the demo and the end-to-end tests use it.
/// </summary>
internal sealed class VpcLab : IAsyncDisposable
{
    private readonly LabOptions _options;
    private readonly LabPaths _paths;
    private readonly FabricNames _names;
    private readonly TimeProvider _time;
    private readonly DateTimeOffset _startedAt;
    private readonly Stack<IAsyncDisposable> _servers = new();
    private ImmutableList<LabNode> _nodes = [];
    private VpcFabric? _fabric;
    private ILabCloud? _cloud;
    private LabCluster? _cluster;
    private LabKubelet? _kubelet;
    private LabStateFile? _claim;
    private volatile bool _ready;
    private volatile string? _keptReason;

    private VpcLab(LabOptions options, TimeProvider time)
    {
        _options = options;
        _paths = new LabPaths(options.RunFolder, options.Name);
        _names = new FabricNames(options.Name);
        _time = time;
        _startedAt = time.GetUtcNow();
    }

    /// <summary>URL at which nodes reach the cloud's API.</summary>
    public static string CloudEndpoint { get; } = $"http://{FabricAddresses.CloudApi}";

    /// <summary>URL at which nodes reach the EC2 API in a lab of AWS.</summary>
    public static string Ec2Endpoint => CloudEndpoint;

    public string Name => _options.Name;

    public LabPaths Paths => _paths;

    public IReadOnlyList<LabNode> Nodes => _nodes;

    /// <inheritdoc cref="LabOptions.NodeLocalFamilies"/>
    public IReadOnlyList<AddressFamily> NodeLocalFamilies => _options.NodeLocalFamilies;

    public VpcFabric Fabric => _fabric ?? throw new InvalidOperationException("the lab has not been built");

    public ILabCloud Cloud => _cloud ?? throw new InvalidOperationException("the lab has not been built");

    /// <summary>The model of EC2 and what connects it to the fabric.</summary>
    /// <exception cref="LabException">The lab's cloud is not AWS.</exception>
    public LabWorld World =>
        (Cloud as AwsCloud)?.World
        ?? throw new LabException($"lab '{Name}' is on {LabOptions.NameOf(_options.Cloud)}; this is for AWS only");

    /// <exception cref="LabException">The lab was started without Kubernetes.</exception>
    public LabCluster Cluster => _cluster ?? throw new LabException("this lab was started without Kubernetes (--no-kubernetes)");

    /// <summary>Builds a lab and waits until every daemon serves. On failure or cancellation, removes what it created.</summary>
    /// <exception cref="LabException">
    /// The options are invalid (the message lists every problem), a lab of this name exists, or a daemon does not serve.
    /// </exception>
    public static async Task<VpcLab> StartAsync(
        LabOptions options,
        TimeProvider time,
        ILoggerProvider logging,
        CancellationToken cancellationToken
    )
    {
        var lab = await BuildAsync(options, time, logging, cancellationToken);
        try
        {
            await lab.WaitUntilReadyAsync(cancellationToken);
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    /// <summary>Builds a lab and starts the daemons, but does not wait until they serve.</summary>
    public static async Task<VpcLab> BuildAsync(
        LabOptions options,
        TimeProvider time,
        ILoggerProvider logging,
        CancellationToken cancellationToken
    )
    {
        if (options.Validate() is { Count: > 0 } problems)
            throw new LabException(string.Join('\n', problems));
        if (!Environment.IsPrivilegedProcess)
            throw new LabException("a lab needs root to create network namespaces; it changes nothing outside them");
        var lab = new VpcLab(options, time);
        lab._claim = LabStateFile.Claim(lab._paths, lab._names, lab._startedAt);
        try
        {
            await lab.BuildFabricAsync(logging, cancellationToken);
            await lab.ServeAsync(logging, cancellationToken);
            await lab.AddNodesAsync(cancellationToken);
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until every daemon serves.</summary>
    /// <exception cref="LabException">A daemon exited or did not serve within the deadline.</exception>
    public async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(
            _nodes.Select(async node =>
            {
                try
                {
                    if (node.Ipamd is { } ipamd)
                        await ipamd.WaitUntilServingAsync(_options.ReadyDeadline, cancellationToken);
                }
                catch (LabException error)
                {
                    throw new LabException($"{node.Name}: {error.Message}", error);
                }
            })
        );
        _ready = true;
    }

    /// <summary>Marks a lab that did not become ready as kept for inspection; its status reports the reason.</summary>
    public void MarkKept(string because) => _keptReason = because;

    /// <exception cref="LabException">The lab has no such node.</exception>
    public LabNode Node(string name) =>
        _nodes.FirstOrDefault(node => node.Name == name)
        ?? throw new LabException(
            $"there is no node '{name}' in lab '{Name}'; there are: {string.Join(", ", _nodes.Select(node => node.Name))}"
        );

    /// <summary>
    /// Creates the pod's object, if the lab has a cluster, and then wires the pod through the plugin. If the plugin fails, removes both.
    /// </summary>
    public async Task<LabPod> AddPodAsync(string node, PodName pod, CancellationToken cancellationToken)
    {
        if (_nodes.FirstOrDefault(other => other.FindPod(pod.ToString()) is not null) is { } taken)
            throw new LabException($"pod {pod} already exists on {taken.Name}");
        var target = Node(node);
        if (_cluster is not { } cluster)
            return await target.AddPodAsync(pod, cancellationToken);
        var created = cluster.CreatePod(node, pod);
        try
        {
            var wired = await target.AddPodAsync(pod, cancellationToken);
            cluster.SetRunning(created, wired.Addresses, target.InternalAddresses);
            return wired;
        }
        catch
        {
            cluster.RemovePod(created);
            throw;
        }
    }

    /// <summary>Unwires a pod through the plugin and deletes its object. Returns the duration of DEL.</summary>
    public async Task<TimeSpan> DeletePodAsync(string node, PodName pod, CancellationToken cancellationToken)
    {
        var elapsed = await Node(node).DeletePodAsync(pod, cancellationToken);
        if (_cluster?.FindPod(pod) is { } left)
            _cluster.RemovePod(left);
        return elapsed;
    }

    /// <summary>Kills a node's daemon with SIGKILL, starts it again and waits until it serves.</summary>
    public async Task RestartIpamdAsync(string node, CancellationToken cancellationToken)
    {
        var ipamd = Node(node).Ipamd ?? throw new LabException("this lab was started without daemons (--no-ipamd)");
        await ipamd.KillAsync(cancellationToken);
        ipamd.Start();
        await ipamd.WaitUntilServingAsync(_options.ReadyDeadline, cancellationToken);
    }

    /// <summary>Runs a program in a namespace (see <see cref="NetworkOf"/>) and captures its output.</summary>
    public Task<ProcessOutcome> ExecAsync(
        string target,
        IReadOnlyList<string> command,
        TimeSpan deadline,
        CancellationToken cancellationToken
    ) =>
        NamespaceProcess.RunAsync(
            NetworkOf(target),
            new ProcessStartInfo(command[0], command.Skip(1)),
            input: "",
            deadline,
            _time,
            cancellationToken
        );

    /// <summary>
    /// The namespace of a node (by name), of a pod (<c>namespace/name</c>), of <c>internet</c>, <c>onprem</c> or <c>router</c>.
    /// </summary>
    /// <exception cref="LabException">The lab has no such node or pod.</exception>
    public NetworkNamespace NetworkOf(string target) =>
        target switch
        {
            "router" => Fabric.Router,
            "internet" => Fabric.Internet,
            "onprem" => Fabric.OnPremises,
            _ when target.Contains('/', StringComparison.Ordinal) => _nodes
                .Select(node => node.FindPod(target))
                .FirstOrDefault(pod => pod is not null)
                ?.Network
                ?? throw new LabException($"there is no pod '{target}' in lab '{Name}'"),
            _ => Node(target).Network,
        };

    public async Task<LabStatus> StatusAsync(CancellationToken cancellationToken)
    {
        var drops = await Fabric.ReadDropsAsync(cancellationToken);
        return LabReport.Make(Cloud.Report(), _nodes, drops) with
        {
            Name = Name,
            Cloud = _options.Cloud,
            ProcessId = Environment.ProcessId,
            StartedAt = _startedAt,
            Ready = _ready,
            KeptBecause = _keptReason,
            VpcRange = _options.VpcRange.ToString(),
            VpcIpv6Range = _options.EffectiveIpv6Range?.ToString(),
            Subnets = [.. _options.EffectiveSubnets.Select(subnet => subnet.ToString())],
            Listen = _options.Listen is { } listen ? $"http://{listen}" : null,
            FabricFailure = Fabric.Failure,
            Kubernetes = _cluster?.Status(),
        };
    }

    public async ValueTask DisposeAsync()
    {
        if (_kubelet is not null)
            await _kubelet.DisposeAsync();
        await Task.WhenAll(_nodes.Select(async node => await node.DisposeAsync()));
        if (_cluster is not null)
            await _cluster.DisposeAsync();
        while (_servers.TryPop(out var server))
            await server.DisposeAsync();
        _cloud?.Dispose();
        if (_fabric is not null)
        {
            // The daemons have stopped; this kills programs that users started with vpc-lab exec.
            LabCleanup.KillProcesses(_names);
            await _fabric.DisposeAsync();
        }

        LabCleanup.Remove(_paths, _names);
        _claim?.Dispose();
    }

    private async Task BuildFabricAsync(ILoggerProvider logging, CancellationToken cancellationToken)
    {
        var fabricOptions = new FabricOptions
        {
            LabName = Name,
            VpcRanges = _options.NetworkRanges,
            Subnets = _options.FabricSubnets,
        };
        _fabric = await VpcFabric.CreateAsync(fabricOptions, _time, logging.CreateLogger("fabric"), cancellationToken);
        var logger = logging.CreateLogger("world");
        _cloud = _options.Cloud switch
        {
            LabCloud.Aws => new AwsCloud(_options, _fabric, _time, logger),
            LabCloud.Gce => new GceCloud(_options, _fabric, _time, logger),
            LabCloud.Azure => new AzureCloud(_options, _fabric, _time, logger),
            _ => throw new InvalidOperationException($"no such cloud: {_options.Cloud}"),
        };
    }

    private async Task ServeAsync(ILoggerProvider logging, CancellationToken cancellationToken)
    {
        if (_options.HasKubernetes)
        {
            _cluster = new LabCluster(_paths, _time, logging);
            await _cluster.ServeAsync(Fabric, cancellationToken);
            _cluster.WriteKubeconfig(_options.Listen);
            _kubelet = new LabKubelet(this, _cluster, _time, logging.CreateLogger("kubelet"));
        }

        _servers.Push(
            await NamespaceServer.StartAsync(
                [new ListenPoint(Fabric.Router, new IPEndPoint(FabricAddresses.Imds, 80))],
                Cloud.Metadata,
                logging,
                cancellationToken
            )
        );
        _servers.Push(
            await NamespaceServer.StartAsync(
                [new ListenPoint(Fabric.Router, new IPEndPoint(FabricAddresses.CloudApi, 80))],
                Cloud.Api,
                logging,
                cancellationToken
            )
        );
        if (_options.Listen is { } listen)
            _servers.Push(
                await NamespaceServer.StartAsync(
                    [new ListenPoint(Network: null, listen)],
                    LabServices.All(Cloud, _cluster?.Plane.Insecure),
                    logging,
                    cancellationToken
                )
            );
    }

    private async Task AddNodesAsync(CancellationToken cancellationToken)
    {
        Cloud.Build();
        var placement = _options.Placement;
        for (var index = 0; index < placement.Count; index++)
        {
            var name = $"node-{index + 1}";
            var network = Fabric.AddNode(name);
            var machine = Cloud.Launch(name, placement[index]);
            var paths = _paths.Node(name);
            paths.Create();
            var ipamd = _options.IpamdPath is { } binary
                ? new IpamdProcess(binary, network, paths, NodeEnvironment.For(name, paths, _options), _time)
                : null;
            _nodes = _nodes.Add(
                new LabNode(
                    name,
                    machine,
                    _options.PodRangesOfNode(index),
                    prefersIpv6: _options.Family == LabFamily.Ipv6,
                    network,
                    paths,
                    ipamd,
                    _names,
                    _options.PluginPath,
                    _options.NodeLocalFamilies,
                    _time
                )
            );
        }

        await Fabric.WaitUntilAppliedAsync(cancellationToken);
        foreach (var node in _nodes)
            _cluster?.AddNode(node);
        foreach (var node in _nodes)
            node.Ipamd?.Start();
        _kubelet?.Start();
    }
}
