// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.Hosting.Http;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Install;
using VpcCni.Ipamd.Introspection;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Metrics;
using VpcCni.Ipamd.MissedDels;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Rpc;
using VpcCni.Ipamd.Startup;

namespace VpcCni.Ipamd;

/// <summary>
/// The daemon's parts and the order of their start, top to bottom: options, ports, core, socket, pool. Read this first.
/// </summary>
internal sealed partial class Daemon : IAsyncDisposable
{
    /// <summary>
    /// Calls under way get this long to finish after a stop was asked for: less than a DaemonSet's usual grace period of 10 s.
    /// </summary>
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(5);

    /// <summary>After the daemon is ready: by then the first look around is over.</summary>
    private static readonly TimeSpan StartIsOver = TimeSpan.FromSeconds(2);

    private readonly BoundOptions _bound;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly DaemonLog _log;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly string _version;
    private ITimer? _startIsOver;

    public Daemon(BoundOptions bound, string version, TimeProvider time, Random random)
    {
        // One clock for everything: a cooldown that one part measures with another clock than the rest would end when somebody sets the
        // machine's.
        (_bound, _version, _time, _random) = (bound, version, new MonotonicTime(time), random);
        _log = new DaemonLog(new LogTarget(bound.Options.LogFile, bound.Options.LogFormat, time), bound.Options.LogFormat, time);
        _loggers = _log.CreateFactory(bound.Options.LogLevel);
        _logger = _loggers.CreateLogger<Daemon>();
    }

    /// <summary>
    /// The plugin's file: install it, and the network configuration when an ADD can be served. Null: whoever starts the daemon does that.
    /// </summary>
    public string? PluginToInstall { get; init; }

    /// <summary>Runs until cancelled, or until something broke that a restart may repair.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var options = _bound.Options;
        Log.Starting(_logger, _version, options.SocketPath, options.Targets.InWords());
        foreach (var warning in _bound.Warnings)
            Log.Warning(_logger, warning);
        foreach (var note in _bound.Notes)
            Log.Note(_logger, note);
        var state = new DaemonState(_version, _time) { Warnings = _bound.Warnings };

        // Alone: a second daemon on the same checkpoint would give one address to two pods.
        using var single = await SingleInstance.AcquireAsync(options.CheckpointPath + ".lock", _time, cancellationToken);

        // Ports.
        using var releasedLinks = new ReleasedLinks(_loggers.CreateLogger<ReleasedLinks>());
        using var host = new KernelHostNetwork(
            new RtnetlinkKernel(ns: null, options.KernelSettingsFolder),
            options.HostNetwork.VethPrefix,
            _time,
            _loggers.CreateLogger<KernelHostNetwork>()
        );
        var aws = ToAwsOptions(options);
        DaemonMetrics? metrics = null;
        void Attempted(Ec2Attempt attempt) => metrics?.Attempted(attempt.Operation, attempt.Code, attempt.Status, attempt.Duration);
        ICloud cloud = options.MetadataOnly
            ? new MetadataCloud(aws.Metadata, _time, _random, Attempted)
            : new AwsCloud(aws, _time, _random, Attempted);
        using var connections = (IDisposable)cloud;

        // Core.
        using var missedDels = new MissedDelFiles(options.SocketPath, _time, _loggers.CreateLogger<MissedDelFiles>());
        var ports = new PoolPorts(cloud, host, new CheckpointFile(options.CheckpointPath), missedDels, _time, _random, _loggers)
        {
            BootId = BootId(),
        };
        var engine = new PoolEngine(ports, options, state);

        ClusterParts? cluster = null;
        var health = new HealthMonitor(
            state,
            engine.Ledger,
            (report, at) => TellCluster(cluster, report, at),
            _time,
            _loggers.CreateLogger<HealthMonitor>()
        );
        engine.Events.Subscribe(health.Observe);
        var history = new PoolHistory();
        engine.Events.Subscribe(history.Observe);
        state.Settings = () => SettingsInForce.Of(_bound, state.Pool, engine.Conditions);

        // The host's network follows what the core knows, whoever else changes it.
        using var keeper = new HostNetworkReconciler(
            host,
            new RtnetlinkKernel(ns: null, options.KernelSettingsFolder),
            new NetfilterProgram(ns: null, _time),
            options.HostNetwork,
            () => HostNetworkDeclaration.Of(engine.Ledger, state.Identity, engine.Ranges, _time.GetUtcNow()),
            _time,
            _random,
            _loggers.CreateLogger<HostNetworkReconciler>()
        );
        keeper.Repaired = made => engine.Events.Publish(new PoolEvent.HostRepaired(_time.GetUtcNow(), made));
        engine.Ranges.Changed = keeper.RequestSync;
        engine.Events.Subscribe(happened =>
        {
            var released = happened is PoolEvent.LostDelete lost ? lost.Released : (happened as PoolEvent.MissedDelete)?.Released;
            if (released is not null)
                keeper.Abandoned(released.Addresses.Select(held => held.Address));
        });
        state.HostNetworkProblem = () =>
            ((string?[])[keeper.Problem, state.Pool?.Membership.Awaited.Problem]).OfType<string>().ToArray() is { Length: > 0 } problems
                ? string.Join("; ", problems)
                : null;
        var ranges = new NetworkRangeWatch(
            cloud,
            engine.Ranges,
            options.RangeInterval,
            _time,
            _random,
            _loggers.CreateLogger<NetworkRangeWatch>()
        );

        // The cluster, if there is one to talk to: nothing waits for it.
        using var connected = cluster = options.Cluster.IsEnabled
            ? new ClusterParts(options.Cluster, _version, ToSubjects(engine, options), _time, _random, _loggers)
            : null;
        state.ClusterProblem = () => cluster?.Link.Problem;

        // Metrics: what the pool and the cloud tell is counted whether somebody reads it or not.
        using var measured = metrics = new DaemonMetrics(
            new MetricSources(state, engine.Ledger, engine.Waiting, engine.Budget, _time)
            {
                HostNetwork = () => keeper.Report,
                UsesCluster = cluster is not null,
                Health = health.Report,
            }
        );
        engine.Events.Subscribe(metrics.OnEvent);
        engine.Budget.Answered = metrics.Called;

        var idle = new IdleCollection(new ResidentMemory(_logger).CollectGarbage, _time);
        engine.Events.Subscribe(idle.Observe);
        using var auditor = new NodeAuditor(
            engine.Ledger,
            engine.Cloud,
            new KernelNodeView(),
            () => host.Wirings,
            options.HostNetwork.VethPrefix,
            () => state.StartObstacle,
            _time
        )
        {
            RequestObservation = () => state.Pool?.Membership.RequestAt(_time.GetUtcNow()),
        };
        engine.Events.Subscribe(auditor.Observe);

        var introspection = new IntrospectionPages(
            new IntrospectionSources(engine.Ledger, options, () => state.Pool?.Targets ?? options.Targets, engine.EniConfig, _time)
        );

        // Socket: from here on, what the checkpoint held is answered; new pods wait.
        var settings = new CniReplySettings(options.HostNetwork.ExternalSnat, options.NetworkPolicyMode);
        await using var server = await RpcServer.StartAsync(
            options.SocketPath,
            new CniBackendService(engine.Addresses, engine.Ranges, settings, releasedLinks.Request, metrics.DelRequested),
            new ConfigServerService(state, settings, warning => Log.Warning(_logger, warning)),
            new NodeIpamService(
                new NodeIpamParts(
                    engine.Ledger,
                    engine.Addresses,
                    engine.Waiting,
                    engine.Budget,
                    engine.Signal,
                    engine.Events,
                    history,
                    state,
                    health,
                    _time
                )
                {
                    Auditor = auditor,
                }
            ),
            new HealthService(state),
            _loggers,
            cancellationToken
        );
        var installation = PluginToInstall is { } plugin
            ? new Installation(options.Install, plugin, () => state.Ready, _time, _loggers.CreateLogger<Installation>())
            : null;
        state.InstallationProblem = () => installation?.Problem;
        state.DefectProblem = () => engine.Background.Problem;
        state.LogProblem = () => _log.Problem;
        List<(string Name, Func<CancellationToken, Task> Run)> beside =
        [
            ("health", health.RunAsync),
            ("collection of garbage", idle.RunAsync),
            ("host network", keeper.RunAsync),
            ("watch of the VPC's ranges", ranges.RunAsync),
            .. Listeners(metrics, introspection),
        ];
        if (installation is not null)
            beside.Add(("installation", installation.RunAsync));
        if (cluster is not null)
            beside.Add(("cluster", cluster.Link.RunAsync));
        try
        {
            // Only the engine may end the daemon: no pod waits for the others.
            await RunAllAsync(
                [
                    token => engine.RunAsync(outcome => AfterStep(state, metrics, outcome), token),
                    .. beside.Select(part =>
                        (Func<CancellationToken, Task>)(token => engine.Background.RunAsync(part.Name, part.Run, token))
                    ),
                ],
                cancellationToken
            );
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // A requested stop during the start.
        }
        catch (Exception exception)
        {
            Log.CannotGoOn(_logger, exception);
            throw;
        }
        finally
        {
            state.Stopping();
            using var grace = new CancellationTokenSource(StopGrace, _time);
            await server.StopAsync(grace.Token);
            Log.Stopped(_logger);
        }
    }

    public ValueTask DisposeAsync()
    {
        _startIsOver?.Dispose();
        _loggers.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Null where /proc does not say: then no checkpoint is taken for one of an earlier boot.</summary>
    private static string? BootId()
    {
        try
        {
            return File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>All of them until one ends or all are cancelled; none is left running.</summary>
    private static async Task RunAllAsync(IReadOnlyList<Func<CancellationToken, Task>> parts, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] running = [.. parts.Select(part => part(ended.Token))];
        await Task.WhenAny(running);
        await ended.CancelAsync();
        await Task.WhenAll(running);
    }

    /// <summary>By which others look at the daemon.</summary>
    private IEnumerable<(string Name, Func<CancellationToken, Task> Run)> Listeners(DaemonMetrics metrics, IntrospectionPages introspection)
    {
        if (_bound.Options.IntrospectionEndPoint is { } inside)
            yield return ("introspection", new HttpEndpoint("introspection", inside, introspection.HandleAsync, _time, _loggers).RunAsync);
        if (_bound.Options.MetricsEndPoint is { } endPoint)
        {
            var pages = new HttpPages([new HttpPage("/metrics", TextExposition.ContentType, metrics.Write)], _time);
            yield return ("metrics", new HttpEndpoint("metrics", endPoint, pages.HandleAsync, _time, _loggers).RunAsync);
        }
    }

    private void AfterStep(DaemonState state, DaemonMetrics metrics, StepOutcome outcome)
    {
        var isReadyNow = state.Stepped(outcome);
        metrics.Stepped(_time.GetUtcNow(), _bound.Options.Cluster.IsEnabled);
        if (!isReadyNow)
            return;
        var view = outcome.Ledger;
        Log.Ready(_logger, view.Free, view.Total, (_time.GetUtcNow() - state.StartedAt).TotalMilliseconds);
        // Once: what the start needed and nothing after it does. What is used from then on stays.
        if (_startIsOver is not null)
            return;
        var memory = new ResidentMemory(_logger);
        memory.Scan();
        _startIsOver = _time.CreateTimer(
            _ =>
            {
                memory.CollectGarbage();
                memory.ReleasePages();
            },
            state: null,
            StartIsOver,
            Timeout.InfiniteTimeSpan
        );
    }

    private static void TellCluster(ClusterParts? cluster, HealthReport report, DateTimeOffset at) =>
        cluster?.Events.Record(
            report.Level switch
            {
                HealthLevel.Ready => EventReasons.PodNetworkReady,
                HealthLevel.Degraded => EventReasons.PodNetworkDegraded,
                _ => EventReasons.PodNetworkNotReady,
            },
            report.Headline,
            at
        );

    private static ClusterSubjects ToSubjects(PoolEngine engine, IpamdOptions options) =>
        new(engine.Conditions, engine.Signal, options.CustomNetworking ? engine.EniConfig : null, engine.Events, engine.Ledger);

    /// <summary>With what the adapter of EC2 says of its options.</summary>
    internal static BoundOptions WithChecksOfCloud(BoundOptions bound)
    {
        if (bound.Problems.Count > 0)
            return bound;
        var aws = ToAwsOptions(bound.Options);
        return bound with { Problems = [.. aws.Validate()], Warnings = [.. bound.Warnings, .. aws.Warnings()] };
    }

    internal static AwsCloudOptions ToAwsOptions(IpamdOptions options) =>
        new()
        {
            Endpoint = options.Ec2Endpoint,
            Metadata = options.ImdsEndpoint is { } imds ? new ImdsOptions { Endpoint = imds } : new ImdsOptions(),
            HttpTimeout = options.HttpTimeout,
            Region = options.Region,
            Profile = options.Profile,
            ClusterName = options.ClusterName,
            AdditionalTags = options.AdditionalTags,
        };

    private static partial class Log
    {
        [LoggerMessage(100, LogLevel.Information, "ipamd starts")]
        public static partial void Starting(ILogger logger, string version, string socket, string targets);

        [LoggerMessage(101, LogLevel.Warning, "{Warning}")]
        public static partial void Warning(ILogger logger, string warning);

        [LoggerMessage(109, LogLevel.Information, "{Note}")]
        public static partial void Note(ILogger logger, string note);

        [LoggerMessage(102, LogLevel.Information, "ready: ADDs can be served")]
        public static partial void Ready(ILogger logger, int free, int total, double sinceStartMs);

        [LoggerMessage(106, LogLevel.Critical, "the daemon cannot go on: a restart may help, if what failed is put right")]
        public static partial void CannotGoOn(ILogger logger, Exception exception);

        [LoggerMessage(103, LogLevel.Information, "stopped; pods keep their addresses")]
        public static partial void Stopped(ILogger logger);
    }
}
