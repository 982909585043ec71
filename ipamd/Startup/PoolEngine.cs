// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
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
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// Everything outside the process that the pool uses, with clock and random source. Each port has one production and one fake
/// implementation.
/// </summary>
internal sealed record PoolPorts(
    ICloud Cloud,
    IHostNetwork Host,
    ICheckpointFile Checkpoint,
    IMissedDels MissedDels,
    TimeProvider Time,
    Random Random,
    ILoggerFactory Loggers
)
{
    /// <summary>/proc/sys/kernel/random/boot_id, which identifies a checkpoint of an earlier boot; null when unknown.</summary>
    public string? BootId { get; init; }
}

/// <summary>
/// Composes the daemon between its ports and its socket: ledger, queue of pending ADDs, planner and loop. The daemon runs it on the kernel,
/// the disk and EC2; the simulation and <c>whatif</c> run the same code on a model in virtual time.
/// </summary>
internal sealed partial class PoolEngine
{
    private readonly PoolPorts _ports;
    private readonly IpamdOptions _options;
    private readonly KernelUsage _usage;
    private readonly CheckpointWriter _checkpoint;
    private readonly TargetChange _targetChange;
    private readonly BudgetedCloud _cloud;
    private readonly MissedDelIntake _missedDels;

    /// <summary>Restores the checkpoint and reserves the addresses that the kernel routes to pods.</summary>
    /// <exception cref="IOException">The checkpoint cannot be read; starting without it could assign one address to two pods.</exception>
    /// <exception cref="HostNetworkException">The kernel could not be read.</exception>
    public PoolEngine(PoolPorts ports, IpamdOptions options, DaemonState state)
    {
        (_ports, _options, State) = (ports, options, state);
        Budget = new ApiRateLimiter(new ApiBudgetOptions(), ports.Time, ports.Random) { Access = options.CloudAccess };
        _cloud = new BudgetedCloud(ports.Cloud, Budget);
        Background = new Supervisor(ports.Time, ports.Loggers.CreateLogger<Supervisor>());
        Ledger = new IpLedger(options.Cooldown, options.Families, options.Targets.UsesPrefixes);
        var loaded = CheckpointLoader.Load(Ledger, ports.Checkpoint, ports.Time, ports.BootId, ports.Loggers.CreateLogger<PoolEngine>());
        state.CheckpointSetAside = loaded.SetAside;
        _usage = new KernelUsage(Ledger, ports.Host, ports.Time, ports.Loggers.CreateLogger<KernelUsage>()) { Events = Events };
        _usage.ReserveInUse();
        if (loaded.RebootedAt is { } bootedAt)
            _usage.ReleaseAfterReboot(bootedAt);
        _targetChange = new TargetChange(loaded.Targets, options.Targets.DescribeAll());
        _checkpoint = new CheckpointWriter(Ledger, ports.Checkpoint, ports.Time, () => _targetChange.Recorded, ports.BootId)
        {
            Written = (took, failure) => Events.Publish(new PoolEvent.CheckpointWritten(ports.Time.GetUtcNow(), took, failure?.Message)),
        };
        Waiting = new PendingAddQueue(Ledger, ports.Time);
        Addresses = new AddressService(Ledger, _checkpoint, Waiting, _usage, Signal, ports.Time, options.AddWait)
        {
            Observed = state.Observed,
            StartObstacle = () => state.StartObstacle,
            CurrentObstacle = new WaitReason(Ledger, Waiting, Budget, ports.Time).Current,
            Events = Events,
            Logger = ports.Loggers.CreateLogger<AddressService>(),
        };
        _missedDels = new MissedDelIntake(
            ports.MissedDels,
            Ledger,
            _checkpoint,
            Waiting,
            Signal,
            Events,
            ports.Time,
            ports.BootId,
            ports.Loggers.CreateLogger<MissedDelIntake>()
        );
        state.MissedDelProblem = () => _missedDels.Problem;
    }

    public DaemonState State { get; }

    /// <summary>Runs background services, whose failures must not end the pool.</summary>
    public Supervisor Background { get; }
    public IpLedger Ledger { get; }
    public PendingAddQueue Waiting { get; }

    /// <summary>Limits the node's control-plane calls by rate and level of access.</summary>
    public ApiRateLimiter Budget { get; }

    /// <summary>The cloud, with calls charged to <see cref="Budget"/>.</summary>
    public ICloud Cloud => _cloud;

    /// <summary>Facts about the node in the cluster; set by the cluster's watcher.</summary>
    public NodeConditions Conditions { get; } = new();
    public NetworkRanges Ranges { get; } = new();

    /// <summary>
    /// Publishes events from the first ADD on. What the constructor finds in the kernel is in the ledger before anyone can subscribe.
    /// </summary>
    public PoolEvents Events { get; } = new();

    /// <summary>With custom networking, this node's ENIConfig; set by the cluster's watcher.</summary>
    public EniConfigSource EniConfig { get; } = new();

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
        var sync = Background.RunAsync("checkpoint", new CheckpointSync(_checkpoint, _ports.Time).RunAsync, ended.Token);
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
        var (_, host, _, _, time, random, loggers) = _ports;
        var cancellationToken = ended.Token;
        var mayChange = !_options.ProvisioningDisabled;
        var startup = new NodeStartup(_cloud, State, Ranges, time, random, loggers.CreateLogger<NodeStartup>());
        var node = await startup.RunAsync(
            identity =>
                _options.CustomNetworking
                    ? new CustomNetworking(EniConfig, identity, mayChange)
                    : new Subnets(_options.SubnetDiscovery && mayChange, _options.ClusterName, identity.PrimarySubnetId),
            (identity, placement) =>
            {
                var interfaces = new InterfaceInventory(
                    _cloud,
                    host,
                    Ledger,
                    new InterfacePolicy(
                        (EniTags.InstanceId, identity.NodeId),
                        EniTags.DescriptionPrefix,
                        _options.ManageUntaggedInterfaces,
                        _options.InterfaceMtu
                    ),
                    placement,
                    mayChange,
                    time,
                    loggers.CreateLogger<InterfaceInventory>()
                );
                host.LinkSeen = interfaces.Awaited.Seen;
                return interfaces;
            },
            cancellationToken
        );
        var reconciler = Compose(node);
        if (node.NotObserved is { } failure)
            reconciler.Sync.RecordFailedStart(failure);
        else
        {
            State.MembershipObserved();
            reconciler.Sync.RecordObserved();
        }

        host.LinkLost = reconciler.Sync.LinkLost;
        node.Interfaces.Awaited.Watch(at =>
        {
            reconciler.Sync.RequestAt(at);
            Signal.Raise();
        });
        if (node.IsDescribed)
            reconciler.Sync.RecordSubnetsDescribed();
        EniConfig.Changed = reconciler.Sync.PlacementChanged;
        reconciler.Sync.PlacementChanged();
        State.Serving(reconciler);
        Waiting.Serve();
        var leaked = new LeakedInterfaces(
            _cloud,
            _cloud.For(CallPriority.CleanUp),
            Ledger,
            EniTags.DescriptionPrefix,
            time,
            random,
            loggers.CreateLogger<LeakedInterfaces>()
        );
        var groups = new SecurityGroupWatch(
            _cloud,
            node.Interfaces,
            reconciler.Sync,
            Signal,
            time,
            random,
            loggers.CreateLogger<SecurityGroupWatch>()
        );
        Task[] background = [];
        try
        {
            var loop = new PoolLoop(reconciler, Signal, afterStep, time, loggers.CreateLogger<PoolLoop>()).RunAsync(ended.Token);
            if (node.Limits is null)
                background =
                [
                    Background.RunAsync("limits of the instance type", token => ReadLimitsAsync(node, reconciler, token), ended.Token),
                ];
            if (mayChange)
            {
                background =
                [
                    .. background,
                    Background.RunAsync("watch of security groups", groups.RunAsync, ended.Token),
                    Background.RunAsync("cleanup of leaked interfaces", token => CleanUpAsync(leaked, token), ended.Token),
                ];
            }

            await loop;
        }
        finally
        {
            // Whichever ended: nothing that uses the ports outlives this call. The next daemon run resumes interrupted changes.
            EniConfig.Changed = () => { };
            ended.Cancel();
            await Task.WhenAll(background);
            await reconciler.IdleAsync();
        }
    }

    /// <summary>Deletes nothing before the attached interfaces are known.</summary>
    private async Task CleanUpAsync(LeakedInterfaces leaked, CancellationToken cancellationToken)
    {
        await State.Observed.WaitAsync(cancellationToken);
        await leaked.RunAsync(everywhere: !_options.LeakedCleanupDisabled, cancellationToken);
    }

    /// <summary>Reads the limits with growing pauses until they are known.</summary>
    private async Task ReadLimitsAsync(StartedNode node, PoolReconciler reconciler, CancellationToken cancellationToken)
    {
        var pause = PoolLimits.FirstObserveRetry;
        while (true)
        {
            await Task.Delay(pause, _ports.Time, cancellationToken);
            try
            {
                var limits = await _cloud.DescribeLimitsAsync(node.Identity.NodeType, cancellationToken);
                var targets = TargetsFor(limits);
                reconciler.SetLimits(targets, CapacityFor(limits, targets, node.Placement.UsesPrimary));
                break;
            }
            catch (CloudException exception)
            {
                reconciler.LimitsUnknown = NoLimits(node.Identity.NodeType, exception.Message);
            }

            pause = pause * 2 < PoolLimits.ResyncInterval ? pause * 2 : PoolLimits.ResyncInterval;
        }

        // The supervisor treats the end of a service as a defect.
        await Task.Delay(Timeout.InfiniteTimeSpan, _ports.Time, cancellationToken);
    }

    private static GrowthObstacle NoLimits(string nodeType, string why) =>
        new(GrowthObstacleKind.CloudFailure, null, $"the limits of {nodeType} are not known yet, so nothing is added:  {why}")
        {
            MayEndAnyMoment = true,
        };

    /// <summary>The limits; when unknown, those that match the attached interfaces, so that nothing is added.</summary>
    private NodeLimits LimitsOf(StartedNode node)
    {
        if (node.Limits is { } known)
            return known;
        var attached = Ledger.View(_ports.Time.GetUtcNow()).Interfaces;
        FamilyLimits Of(AddressFamily family)
        {
            var blocks = attached.Select(item => item.Blocks.Where(block => block.Family == family).ToArray()).ToArray();
            var shapes = blocks.SelectMany(own => own.Select(block => block.Shape)).ToArray();
            return new FamilyLimits(
                blocks.Select(own => own.Length).DefaultIfEmpty().Max() + 1,
                shapes.Where(shape => !shape.IsSingle).Select(shape => (BlockShape?)shape).FirstOrDefault()
            );
        }

        return new NodeLimits(Math.Max(attached.Count(item => item.Slot.NetworkCard == 0), 1), Of(IpFamily.V4), Of(IpFamily.V6));
    }

    private PoolCapacity CapacityFor(NodeLimits limits, PoolTargets targets, bool usesPrimary) =>
        PoolCapacity.Of(limits, targets, _options.Families, usesPrimary);

    private PoolReconciler Compose(StartedNode node)
    {
        var limits = LimitsOf(node);
        var targets = TargetsFor(limits);
        var (_, host, _, _, time, random, loggers) = _ports;
        var supply = new SubnetSupply(time);
        var journal = new IntentJournal(Ledger, _checkpoint, time, loggers.CreateLogger<IntentJournal>()) { Events = Events };
        InterfaceDetachment Detachment(ICloud cloud) =>
            new(cloud, host, node.Interfaces, time, loggers.CreateLogger<InterfaceDetachment>());

        // Undoing an addition is part of growth and must not wait for tokens reserved to growth.
        var growing = _cloud.For(CallPriority.Growth);
        var addition = new InterfaceAddition(
            growing,
            journal,
            node.Interfaces,
            Detachment(growing),
            time,
            loggers.CreateLogger<InterfaceAddition>()
        );
        var actions = new PoolActions(
            _cloud,
            Ledger,
            journal,
            node.Interfaces,
            node.Placement,
            _usage,
            addition,
            Detachment(_cloud),
            time,
            random
        )
        {
            Events = Events,
            Logger = loggers.CreateLogger<PoolActions>(),
            Supply = supply,
        };
        var sync = new InterfaceSync(
            _cloud,
            node.Interfaces,
            _usage,
            node.Placement,
            Signal,
            time,
            random,
            loggers.CreateLogger<InterfaceSync>()
        )
        {
            Events = Events,
            Observed = State.MembershipObserved,
            Supply = supply,
        };
        var groups = new SecurityGroups(_cloud, node.Interfaces, Signal, time, random, loggers.CreateLogger<SecurityGroups>())
        {
            Events = Events,
        };
        return new PoolReconciler(
            Ledger,
            new ReconcilerParts(
                sync,
                _usage,
                actions,
                Waiting,
                new GrowthBackoff(supply, time, random),
                node.Placement,
                groups,
                Conditions,
                Signal
            )
            {
                Supply = supply,
            },
            targets,
            CapacityFor(limits, targets, node.Placement.UsesPrimary),
            new ReconcilerRules(_options.ProvisioningDisabled, () => Budget.Access, _options.ManagesUnschedulable, _targetChange),
            time
        )
        {
            Events = Events,
            Logger = loggers.CreateLogger<PoolReconciler>(),
            LimitsUnknown = node.Limits is null ? NoLimits(node.Identity.NodeType, "EC2 has not answered") : null,
        };
    }

    /// <summary>
    /// The targets for this node. Prefixes need Nitro or bare metal (EC2 User Guide, "Prefix delegation"); other nodes use single
    /// addresses, as with the reference.
    /// </summary>
    private PoolTargets TargetsFor(NodeLimits limits)
    {
        if (!_options.Targets.UsesPrefixes || limits.Of(_options.Families.Lead).Prefix is not null)
            return _options.Targets;
        Log.NoPrefixes(_ports.Loggers.CreateLogger<PoolEngine>());
        return _options.Targets with { UsesPrefixes = false };
    }

    private static partial class Log
    {
        [LoggerMessage(
            104,
            LogLevel.Warning,
            "ENABLE_PREFIX_DELEGATION is true, but this instance type has no prefixes (it is neither Nitro nor bare metal): single "
                + "addresses are used"
        )]
        public static partial void NoPrefixes(ILogger logger);
    }
}
