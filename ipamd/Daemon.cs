// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.Clouds;
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
/// Composes the daemon and starts its parts in order, top to bottom: options, ports, core, socket, pool. Read this first.
/// </summary>
internal sealed partial class Daemon : IAsyncDisposable
{
    /// <summary>Time for calls in flight to finish after a stop: less than a DaemonSet's usual grace period of 10 s.</summary>
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(5);

    /// <summary>Time after readiness by which the work of the start is done.</summary>
    private static readonly TimeSpan StartupCleanupDelay = TimeSpan.FromSeconds(2);

    private readonly BoundOptions _bound;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly DaemonLog _log;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly string _version;
    private ITimer? _startupCleanup;

    /// <summary>Ends the wait for NAT.</summary>
    private ITimer? _natWait;

    public Daemon(BoundOptions bound, string version, TimeProvider time, Random random)
    {
        // One clock for everything: a part with another clock would end a cooldown when someone sets the machine's clock.
        (_bound, _version, _time, _random) = (bound, version, new MonotonicTime(time), random);
        _log = new DaemonLog(new LogTarget(bound.Options.LogFile, bound.Options.LogFormat, time), bound.Options.LogFormat, time);
        _loggers = _log.CreateFactory(bound.Options.LogLevel);
        _logger = _loggers.CreateLogger<Daemon>();
    }

    /// <summary>
    /// The plugin file to install, with the network configuration once ADDs can be served. Null: the starter of the daemon installs it.
    /// </summary>
    public string? PluginToInstall { get; init; }

    /// <summary>Runs until cancelled, or until a failure that a restart may repair.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var options = _bound.Options;
        Log.Starting(_logger, _version, options.SocketPath, options.Targets.Describe());
        foreach (var warning in _bound.Warnings)
            Log.Warning(_logger, warning);
        foreach (var note in _bound.Notes)
            Log.Note(_logger, note);
        var state = new DaemonState(_version, _time) { Warnings = _bound.Warnings };

        // One instance only: a second daemon on the same checkpoint would assign one address to two pods.
        using var single = await SingleInstance.AcquireAsync(options.CheckpointPath + ".lock", _time, cancellationToken);

        // Ports.
        using var releasedLinks = new ReleasedLinks(_loggers.CreateLogger<ReleasedLinks>());
        using var host = new KernelHostNetwork(
            new RtnetlinkKernel(ns: null, options.KernelSettingsFolder),
            options.HostNetwork.VethPrefix,
            _time,
            _loggers.CreateLogger<KernelHostNetwork>()
        );
        DaemonMetrics? metrics = null;
        void Attempted(CloudAttempt attempt) => metrics?.Attempted(attempt.Operation, attempt.Code, attempt.Status, attempt.Duration);
        using var cloud = CloudComposition.Compose(options, _time, _random, Attempted);

        // Core.
        using var missedDels = new MissedDelFiles(options.SocketPath, _time, _loggers.CreateLogger<MissedDelFiles>());
        var ports = new PoolPorts(cloud.Factory, host, new CheckpointFile(options.CheckpointPath), missedDels, _time, _random, _loggers)
        {
            BootId = BootId(),
        };
        var engine = new PoolEngine(ports, options, state);

        ClusterParts? cluster = null;
        var health = new HealthMonitor(
            state,
            engine.Ledger,
            (report, at) => ReportToCluster(cluster, report, at),
            _time,
            _loggers.CreateLogger<HealthMonitor>()
        );
        engine.Events.Subscribe(health.Observe);
        var history = new PoolHistory();
        engine.Events.Subscribe(history.Observe);

        // Keeps the host's network in its desired state, whoever else changes it.
        using var hostNetwork = HostNetworkComposition.Compose(
            engine,
            ports,
            host,
            new RtnetlinkKernel(ns: null, options.KernelSettingsFolder),
            new NetfilterProgram(ns: null, _time),
            options.HostNetwork
        );
        var ranges = new NetworkRangeWatch(
            engine.Cloud.Node,
            engine.Ranges,
            options.RangeInterval,
            _time,
            _random,
            _loggers.CreateLogger<NetworkRangeWatch>()
        );

        // The cluster, if there is one: nothing waits for it.
        using var connected = cluster = options.Cluster.IsEnabled
            ? new ClusterParts(options.Cluster, _version, ToSubjects(engine, options), _time, _random, _loggers)
            : null;

        // Metrics: events of the pool and the cloud are counted whether they are scraped or not.
        using var measured = metrics = new DaemonMetrics(
            new MetricSources(state, engine.Ledger, engine.Waiting, engine.Budget, _time)
            {
                HostNetwork = () => hostNetwork.Report,
                UsesCluster = cluster is not null,
                Health = health.Report,
            }
        );
        engine.Events.Subscribe(metrics.OnEvent);

        var idle = new IdleCollection(new ResidentMemory(_logger).CollectGarbage, _time);
        engine.Events.Subscribe(idle.Observe);
        using var auditor = new NodeAuditor(
            engine.Ledger,
            engine.Cloud.Node,
            new KernelNodeView(),
            () => host.Wirings,
            options.HostNetwork.VethPrefix,
            () => state.StartObstacle,
            requestObservation: () => state.Pool?.Sync.RequestAt(_time.GetUtcNow()),
            _time
        );
        engine.Events.Subscribe(auditor.Observe);

        var introspection = new IntrospectionPages(
            new IntrospectionSources(engine.Ledger, options, () => state.Pool?.Targets ?? options.Targets, engine.EniConfig, _time)
        );

        var installation = PluginToInstall is { } plugin
            ? new Installation(options.Install, plugin, () => state.Ready, _time, _loggers.CreateLogger<Installation>())
            : null;
        state.Attach(
            new DaemonFacts
            {
                HostNetworkProblem = () =>
                    ((string?[])[hostNetwork.Problem, state.Pool?.Sync.Awaited.Problem]).OfType<string>().ToArray()
                        is { Length: > 0 } problems
                        ? string.Join("; ", problems)
                        : null,
                WasNatTried = () => hostNetwork.WasNatTried,
                ClusterProblem = () => cluster?.Link.Problem,
                InstallationProblem = () => installation?.Problem,
                DefectProblem = () => engine.Background.Problem,
                LogProblem = () => _log.Problem,
                MissedDelProblem = () => engine.MissedDelProblem,
                Settings = () => SettingsInForce.Of(_bound, state.Pool, engine.Conditions),
            }
        );

        // Socket: from here on attachments of the checkpoint are served; new pods wait.
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
        List<(string Name, Func<CancellationToken, Task> Run)> background =
        [
            ("health", health.RunAsync),
            ("collection of garbage", idle.RunAsync),
            ("host network", hostNetwork.RunAsync),
            ("watch of the VPC's ranges", ranges.RunAsync),
            .. Listeners(metrics, introspection),
        ];
        if (installation is not null)
            background.Add(("installation", installation.RunAsync));
        if (cluster is not null)
            background.Add(("cluster", cluster.Link.RunAsync));
        try
        {
            // Only the engine may end the daemon: no pod waits for the other services.
            await RunAllAsync(
                [
                    token => engine.RunAsync(outcome => AfterStep(state, engine.Signal, metrics, outcome), token),
                    .. background.Select(service =>
                        (Func<CancellationToken, Task>)(token => engine.Background.RunAsync(service.Name, service.Run, token))
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
            Log.CannotContinue(_logger, exception);
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
        _startupCleanup?.Dispose();
        _natWait?.Dispose();
        _loggers.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>The boot id; null when /proc lacks it, which disables the detection of an earlier boot's checkpoint.</summary>
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

    /// <summary>Runs all until one ends or all are cancelled; returns when none is running.</summary>
    private static async Task RunAllAsync(IReadOnlyList<Func<CancellationToken, Task>> parts, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] running = [.. parts.Select(part => part(ended.Token))];
        await Task.WhenAny(running);
        await ended.CancelAsync();
        await Task.WhenAll(running);
    }

    /// <summary>The HTTP endpoints of the daemon.</summary>
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

    private void AfterStep(DaemonState state, PoolSignal signal, DaemonMetrics metrics, StepOutcome outcome)
    {
        var isReadyNow = state.Stepped(outcome);
        metrics.Stepped(_time.GetUtcNow(), _bound.Options.Cluster.IsEnabled);
        if (state.WaitsForNat)
            _natWait ??= _time.CreateTimer(_ => signal.Raise(), null, DaemonState.NatWait, Timeout.InfiniteTimeSpan);
        if (!isReadyNow)
            return;
        var view = outcome.Ledger;
        Log.Ready(_logger, view.Free, view.Total, (_time.GetUtcNow() - state.StartedAt).TotalMilliseconds);
        // Once: frees what only the start needed. Memory in use from then on stays.
        if (_startupCleanup is not null)
            return;
        var memory = new ResidentMemory(_logger);
        memory.Scan();
        _startupCleanup = _time.CreateTimer(
            _ =>
            {
                memory.CollectGarbage();
                memory.ReleasePages();
            },
            state: null,
            StartupCleanupDelay,
            Timeout.InfiniteTimeSpan
        );
    }

    private static void ReportToCluster(ClusterParts? cluster, HealthReport report, DateTimeOffset at) =>
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

        [LoggerMessage(106, LogLevel.Critical, "the daemon cannot continue: restart it after fixing the cause")]
        public static partial void CannotContinue(ILogger logger, Exception exception);

        [LoggerMessage(103, LogLevel.Information, "stopped; pods keep their addresses")]
        public static partial void Stopped(ILogger logger);
    }
}
