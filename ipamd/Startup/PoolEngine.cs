// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.MissedDels;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// Everything outside the process that the pool uses, with clock and random source. Each port has one production and one fake
/// implementation.
/// </summary>
internal sealed record PoolPorts(
    ICloudFactory Cloud,
    IHostNetwork Host,
    ICheckpointFile Checkpoint,
    IMissedDels MissedDels,
    TimeProvider Time,
    Random Random,
    ILoggerFactory Loggers
)
{
    /// <summary>The node's budget of control-plane calls.</summary>
    public ApiBudgetOptions Budget { get; init; } = new();

    /// <summary>/proc/sys/kernel/random/boot_id, which identifies a checkpoint of an earlier boot; null when unknown.</summary>
    public string? BootId { get; init; }
}

/// <summary>
/// Composes the daemon between its ports and its socket: ledger, queue of pending ADDs, planner and loop. The daemon runs it on the kernel,
/// the disk and the cloud; the simulation and <c>whatif</c> run the same code on a model in virtual time.
/// </summary>
internal sealed class PoolEngine
{
    private readonly PoolPorts _ports;
    private readonly IpamdOptions _options;
    private readonly TargetChange _targetChange;
    private readonly MissedDelIntake _missedDels;

    /// <summary>The parts of this node; null before it is known and after the end of the pool.</summary>
    private volatile NodePool? _node;

    /// <summary>Restores the checkpoint and reserves the addresses that the kernel routes to pods.</summary>
    /// <exception cref="IOException">The checkpoint cannot be read; starting without it could assign one address to two pods.</exception>
    /// <exception cref="HostNetworkException">The kernel could not be read.</exception>
    public PoolEngine(PoolPorts ports, IpamdOptions options, DaemonState state)
    {
        (_ports, _options, State) = (ports, options, state);
        Ranges = new NetworkRanges(() => Events.Publish(new PoolEvent.RangesChanged(ports.Time.GetUtcNow())));
        EniConfig = new EniConfigSource(() => _node?.PlacementChanged());
        Budget = new ApiRateLimiter(
            ports.Budget,
            (operation, failure, took) => Events.Publish(new PoolEvent.CloudCalled(ports.Time.GetUtcNow(), operation, failure, took)),
            ports.Time,
            ports.Random
        )
        {
            Access = options.CloudAccess,
        };
        Cloud = ports.Cloud.Create(new CloudDependencies(Budget, ports.Time, ports.Random, ports.Loggers));
        Background = new Supervisor(ports.Time, ports.Loggers.CreateLogger<Supervisor>());
        Ledger = new IpLedger(options.Cooldown, options.Families, options.Targets.UsesPrefixes);
        var loaded = CheckpointLoader.Load(Ledger, ports.Checkpoint, ports.Time, ports.BootId, ports.Loggers.CreateLogger<PoolEngine>());
        state.CheckpointSetAside = loaded.SetAside;
        Usage = new KernelUsage(Ledger, ports.Host, Events, ports.Time, ports.Loggers.CreateLogger<KernelUsage>());
        Usage.ReserveInUse();
        if (loaded.RebootedAt is { } bootedAt)
            Usage.ReleaseAfterReboot(bootedAt);
        _targetChange = new TargetChange(loaded.Targets, options.Targets.DescribeAll());
        Checkpoint = new CheckpointWriter(
            Ledger,
            ports.Checkpoint,
            ports.Time,
            () => _targetChange.Recorded,
            (took, failure) => Events.Publish(new PoolEvent.CheckpointWritten(ports.Time.GetUtcNow(), took, failure?.Message)),
            ports.BootId
        );
        Waiting = new PendingAddQueue(Ledger, ports.Time);
        Addresses = new AddressService(
            Ledger,
            Checkpoint,
            Waiting,
            Usage,
            Signal,
            Events,
            new AddressObstacles(state.Observed, () => state.StartObstacle, new WaitReason(Ledger, Waiting, Budget, ports.Time).Current),
            options.AddWait,
            ports.Time,
            ports.Loggers.CreateLogger<AddressService>()
        );
        _missedDels = new MissedDelIntake(
            ports.MissedDels,
            Ledger,
            Checkpoint,
            Waiting,
            Signal,
            Events,
            ports.Time,
            ports.BootId,
            ports.Loggers.CreateLogger<MissedDelIntake>()
        );
    }

    public DaemonState State { get; }

    /// <summary>Runs background services, whose failures must not end the pool.</summary>
    public Supervisor Background { get; }
    public IpLedger Ledger { get; }
    public KernelUsage Usage { get; }
    public CheckpointWriter Checkpoint { get; }
    public PendingAddQueue Waiting { get; }

    /// <summary>Limits the node's control-plane calls by rate and level of access.</summary>
    public ApiRateLimiter Budget { get; }

    /// <summary>The cloud, with calls charged to <see cref="Budget"/>.</summary>
    public CloudPorts Cloud { get; }

    /// <summary>Facts about the node in the cluster; set by the cluster's watcher.</summary>
    public NodeConditions Conditions { get; } = new();
    public NetworkRanges Ranges { get; }

    /// <summary>
    /// Publishes events from the first ADD on. What the constructor finds in the kernel is in the ledger before anyone can subscribe.
    /// </summary>
    public PoolEvents Events { get; } = new();

    /// <summary>With custom networking, this node's ENIConfig; set by the cluster's watcher.</summary>
    public EniConfigSource EniConfig { get; }

    /// <summary>What prevents or disturbs the processing of missed DELs; null if nothing does.</summary>
    public string? MissedDelProblem => _missedDels.Problem;

    /// <summary>Wakes the pool's loop.</summary>
    public PoolSignal Signal { get; } = new();

    /// <summary>
    /// Serves ADD and DEL. Known attachments are served from the start; new pods wait until <see cref="RunAsync"/> has an address for them.
    /// </summary>
    public AddressService Addresses { get; }

    /// <summary>Starts the node, then keeps the pool until cancelled.</summary>
    /// <param name="afterStep">Called after every step of the pool.</param>
    /// <param name="cancellationToken">Ends the pool; pods keep their addresses.</param>
    /// <exception cref="CloudException">The cloud did not answer within <see cref="NodeStartup.Deadline"/>.</exception>
    public async Task RunAsync(Action<StepOutcome> afterStep, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // First: a pending ADD may wait for the address of a deleted pod.
        var missed = Background.RunAsync("missed DELs", _missedDels.RunAsync, ended.Token);
        var sync = Background.RunAsync("checkpoint", new CheckpointSync(Checkpoint, _ports.Time).RunAsync, ended.Token);
        try
        {
            await RunPoolAsync(afterStep, ended);
        }
        finally
        {
            ended.Cancel();
            await Task.WhenAll(missed, sync);
        }
    }

    private async Task RunPoolAsync(Action<StepOutcome> afterStep, CancellationTokenSource ended)
    {
        var cancellationToken = ended.Token;
        var (time, loggers) = (_ports.Time, _ports.Loggers);
        var startup = new NodeStartup(Cloud, State, Ranges, time, _ports.Random, loggers.CreateLogger<NodeStartup>());
        var node = await startup.RunAsync(PoolOf, cancellationToken);
        var pool = node.Pool;
        var reconciler = pool.Compose(node.Limits);
        if (node.NotObserved is { } failure)
            reconciler.Sync.RecordFailedStart(failure);
        else
        {
            State.MembershipObserved();
            reconciler.Sync.RecordObserved();
        }

        if (node.IsDescribed)
            reconciler.Sync.RecordSubnetsDescribed();
        reconciler.Sync.PlacementChanged();
        State.Serving(reconciler);
        Waiting.Serve();
        Task[] background = [];
        try
        {
            var loop = new PoolLoop(reconciler, Signal, afterStep, time, loggers.CreateLogger<PoolLoop>()).RunAsync(ended.Token);
            if (node.Limits is null)
                background = [Background.RunAsync("limits of the instance type", token => ReadLimitsAsync(node, token), ended.Token)];
            if (!_options.ProvisioningDisabled)
            {
                background =
                [
                    .. background,
                    Background.RunAsync("watch of security groups", pool.GroupWatch.RunAsync, ended.Token),
                    Background.RunAsync("cleanup of leaked interfaces", CleanUpAsync, ended.Token),
                ];
            }

            await loop;
        }
        finally
        {
            // Whichever ended: nothing that uses the ports outlives this call. The next daemon run resumes interrupted changes.
            _node = null;
            ended.Cancel();
            await Task.WhenAll(background);
            await reconciler.IdleAsync();
        }
    }

    /// <summary>Deletes nothing before the attached interfaces are known.</summary>
    private async Task CleanUpAsync(CancellationToken cancellationToken)
    {
        await State.Observed.WaitAsync(cancellationToken);
        await Cloud.Interfaces.CleanUpAsync(everywhere: !_options.LeakedCleanupDisabled, Ledger.IsKnown, cancellationToken);
    }

    /// <summary>Reads the limits with growing pauses until they are known.</summary>
    private async Task ReadLimitsAsync(StartedNode node, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            await Task.Delay(PoolLimits.LimitRetries.Ceiling(failures), _ports.Time, cancellationToken);
            try
            {
                node.Pool.SetLimits(await Cloud.Node.DescribeLimitsAsync(node.Identity.NodeType, cancellationToken));
                break;
            }
            catch (CloudException exception)
            {
                node.Pool.SetLimitsUnknown(exception.Message);
            }
        }

        // The supervisor treats the end of a service as a defect.
        await Task.Delay(Timeout.InfiniteTimeSpan, _ports.Time, cancellationToken);
    }

    /// <summary>Composes the pool of this node.</summary>
    internal NodePool PoolOf(NodeIdentity identity) =>
        _node = new NodePool(
            new PoolFoundation(
                _ports,
                _options,
                State,
                Cloud,
                Budget,
                Ledger,
                Checkpoint,
                Usage,
                Waiting,
                Events,
                Signal,
                Conditions,
                EniConfig,
                _targetChange
            ),
            identity
        );
}
