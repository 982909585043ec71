// SPDX-License-Identifier: Apache-2.0
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

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// Everything outside of the process that the pool touches, and the two sources of chance: each has one production and one fake
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
    /// <summary>/proc/sys/kernel/random/boot_id, by which a checkpoint of an earlier boot is recognised; null when unknown.</summary>
    public string? BootId { get; init; }
}

/// <summary>
/// The daemon between its ports and its socket: ledger, queue of waiting ADDs, planner and loop, put together. The daemon runs it on the
/// kernel, the disk and EC2; the simulation and <c>whatif</c> run the very same on a model, in virtual time.
/// </summary>
internal sealed partial class PoolEngine
{
    private readonly PoolPorts _ports;
    private readonly IpamdOptions _options;
    private readonly KernelUsage _evidence;
    private readonly CheckpointWriter _checkpoint;
    private readonly TargetChange _targetChange;
    private readonly BudgetedCloud _cloud;
    private readonly MissedDelIntake _missedDels;

    /// <summary>Takes over the checkpoint, and holds what the kernel routes to pods.</summary>
    /// <exception cref="IOException">The checkpoint cannot be read: starting without it could give an address to two pods.</exception>
    /// <exception cref="HostNetworkException">The kernel could not be asked.</exception>
    public PoolEngine(PoolPorts ports, IpamdOptions options, DaemonState state)
    {
        (_ports, _options, State) = (ports, options, state);
        Budget = new ApiRateLimiter(new ApiBudgetOptions(), ports.Time, ports.Random) { Access = options.CloudAccess };
        _cloud = new BudgetedCloud(ports.Cloud, Budget);
        Background = new Supervisor(ports.Time, ports.Loggers.CreateLogger<Supervisor>());
        Ledger = new IpLedger(options.Cooldown, options.Targets.UsesPrefixes);
        var loaded = CheckpointLoader.Load(Ledger, ports.Checkpoint, ports.Time, ports.BootId, ports.Loggers.CreateLogger<PoolEngine>());
        state.CheckpointSetAside = loaded.SetAside;
        _evidence = new KernelUsage(Ledger, ports.Host, ports.Time, ports.Loggers.CreateLogger<KernelUsage>()) { Events = Events };
        _evidence.ReserveInUse();
        if (loaded.RebootedAt is { } bootedAt)
            _evidence.ReleaseAfterReboot(bootedAt);
        _targetChange = new TargetChange(loaded.Targets, options.Targets.AllInWords());
        _checkpoint = new CheckpointWriter(Ledger, ports.Checkpoint, ports.Time, () => _targetChange.Recorded, ports.BootId)
        {
            Written = (took, failure) => Events.Publish(new PoolEvent.CheckpointWritten(ports.Time.GetUtcNow(), took, failure?.Message)),
        };
        Waiting = new PendingAddQueue(Ledger, ports.Time);
        Addresses = new AddressService(Ledger, _checkpoint, Waiting, _evidence, Signal, ports.Time, options.AddWait)
        {
            Observed = state.Observed,
            StartObstacle = () => state.StartObstacle,
            HeldUpBy = new WaitReason(Ledger, Waiting, Budget, ports.Time).Current,
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

    /// <summary>What runs beside the pool and must not end it.</summary>
    public Supervisor Background { get; }
    public IpLedger Ledger { get; }
    public PendingAddQueue Waiting { get; }

    /// <summary>What the node may spend on control-plane calls, and whether it may make any.</summary>
    public ApiRateLimiter Budget { get; }

    /// <summary>The cloud, paid for out of <see cref="Budget"/>.</summary>
    public ICloud Cloud => _cloud;

    /// <summary>What the cluster says of the node; whoever learns it sets it.</summary>
    public NodeConditions Conditions { get; } = new();
    public NetworkRanges Ranges { get; } = new();

    /// <summary>
    /// Tells what happens, from the first ADD on. What the constructor finds in the kernel is in the ledger before anybody can subscribe.
    /// </summary>
    public PoolEvents Events { get; } = new();

    /// <summary>With custom networking: the ENIConfig of this node; whoever watches the cluster tells it.</summary>
    public EniConfigSource EniConfig { get; } = new();

    /// <summary>Wakes the pool's loop.</summary>
    public PoolSignal Signal { get; } = new();

    /// <summary>
    /// ADD and DEL. Known attachments are answered from the first moment; new pods wait until <see cref="RunAsync"/> has found them an
    /// address.
    /// </summary>
    public AddressService Addresses { get; }

    /// <summary>Finds out what the node is and carries, then keeps the pool until cancelled.</summary>
    /// <param name="afterStep">Called after every step of the pool.</param>
    /// <param name="cancellationToken">Ends it; pods keep their addresses.</param>
    /// <exception cref="CloudException">The cloud did not answer within <see cref="NodeStartup.Deadline"/>.</exception>
    public async Task RunAsync(Action<StepOutcome> afterStep, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // First: what a pod that is gone holds is what another waits for.
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
            reconciler.Membership.Presumed(failure);
        else
        {
            State.MembershipObserved();
            reconciler.Membership.ObservedNow();
        }

        host.LinkLost = reconciler.Membership.LinkLost;
        node.Interfaces.Awaited.Watch(at =>
        {
            reconciler.Membership.RequestAt(at);
            Signal.Raise();
        });
        if (node.IsDescribed)
            reconciler.Membership.SubnetsDescribedNow();
        EniConfig.Changed = reconciler.Membership.PlacementChanged;
        reconciler.Membership.PlacementChanged();
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
            reconciler.Membership,
            Signal,
            time,
            random,
            loggers.CreateLogger<SecurityGroupWatch>()
        );
        Task[] beside = [];
        try
        {
            var loop = new PoolLoop(reconciler, Signal, afterStep, time, loggers.CreateLogger<PoolLoop>()).RunAsync(ended.Token);
            if (node.Limits is null)
                beside =
                [
                    Background.RunAsync("limits of the instance type", token => LearnLimitsAsync(node, reconciler, token), ended.Token),
                ];
            if (mayChange)
            {
                beside =
                [
                    .. beside,
                    Background.RunAsync("watch of security groups", groups.RunAsync, ended.Token),
                    Background.RunAsync("cleanup of leaked interfaces", token => CleanUpAsync(leaked, token), ended.Token),
                ];
            }

            await loop;
        }
        finally
        {
            // Whichever ended: nothing that uses the ports outlives this call. What is cut short is gone on with by the next daemon.
            EniConfig.Changed = () => { };
            ended.Cancel();
            await Task.WhenAll(beside);
            await reconciler.IdleAsync();
        }
    }

    /// <summary>Nothing is deleted before it is known what is attached.</summary>
    private async Task CleanUpAsync(LeakedInterfaces leaked, CancellationToken cancellationToken)
    {
        await State.Observed.WaitAsync(cancellationToken);
        await leaked.RunAsync(everywhere: !_options.LeakedCleanupDisabled, cancellationToken);
    }

    /// <summary>Asks until they are known, at growing intervals; then there is nothing left to do.</summary>
    private async Task LearnLimitsAsync(StartedNode node, PoolReconciler reconciler, CancellationToken cancellationToken)
    {
        var pause = PoolLimits.FirstObserveRetry;
        while (true)
        {
            await Task.Delay(pause, _ports.Time, cancellationToken);
            try
            {
                var limits = await _cloud.DescribeLimitsAsync(node.Identity.NodeType, cancellationToken);
                var targets = TargetsFor(limits);
                reconciler.LimitsLearned(targets, CapacityFor(limits, targets, node.Placement.UsesPrimary));
                break;
            }
            catch (CloudException exception)
            {
                reconciler.LimitsUnknown = NoLimits(node.Identity.NodeType, exception.Message);
            }

            pause = pause * 2 < PoolLimits.ResyncInterval ? pause * 2 : PoolLimits.ResyncInterval;
        }

        // Whoever keeps this part running takes an end for a defect.
        await Task.Delay(Timeout.InfiniteTimeSpan, _ports.Time, cancellationToken);
    }

    private static GrowthObstacle NoLimits(string nodeType, string why) =>
        new(GrowthObstacleKind.CloudFailure, null, $"the limits of {nodeType} are not known, and nothing is added before: {why}")
        {
            MayEndAnyMoment = true,
        };

    /// <summary>As little as is attached, where the limits are not known: nothing is added then.</summary>
    private NodeLimits LimitsOf(StartedNode node)
    {
        if (node.Limits is { } known)
            return known;
        var attached = Ledger.View(_ports.Time.GetUtcNow()).Interfaces;
        return new NodeLimits(
            Math.Max(attached.Count(item => item.NetworkCard == 0), 1),
            attached.Select(item => item.Blocks.Count).DefaultIfEmpty().Max() + 1,
            Ipv6AddressesPerInterface: 0,
            SupportsPrefixes: true
        );
    }

    private static PoolCapacity CapacityFor(NodeLimits limits, PoolTargets targets, bool usesPrimary) =>
        new(
            Math.Min(targets.MaxEni ?? int.MaxValue, limits.MaxInterfaces),
            limits.Ipv4AddressesPerInterface - 1,
            MaxPodsFor(limits, targets, usesPrimary),
            usesPrimary
        );

    private PoolReconciler Compose(StartedNode node)
    {
        var limits = LimitsOf(node);
        var targets = TargetsFor(limits);
        var (_, host, _, _, time, random, loggers) = _ports;
        var supply = new SubnetSupply(time);
        var journal = new IntentJournal(Ledger, _checkpoint, time, loggers.CreateLogger<IntentJournal>()) { Events = Events };
        InterfaceDetachment Detachment(ICloud cloud) =>
            new(cloud, host, node.Interfaces, time, loggers.CreateLogger<InterfaceDetachment>());

        // An addition that is taken back must not wait until growth has enough: it is part of growth.
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
            _evidence,
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
        var membership = new InterfaceSync(
            _cloud,
            node.Interfaces,
            _evidence,
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
                membership,
                _evidence,
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
            LimitsUnknown = node.Limits is null ? NoLimits(node.Identity.NodeType, "EC2 has not told them") : null,
        };
    }

    /// <summary>
    /// Prefixes need Nitro or bare metal (EC2 User Guide, "Prefix delegation"); other nodes fall back to single addresses, as with the
    /// reference.
    /// </summary>
    private PoolTargets TargetsFor(NodeLimits limits)
    {
        if (!_options.Targets.UsesPrefixes || limits.SupportsPrefixes)
            return _options.Targets;
        Log.NoPrefixes(_ports.Loggers.CreateLogger<PoolEngine>());
        return _options.Targets with { UsesPrefixes = false };
    }

    /// <summary>
    /// Until the cluster says it: what the interfaces for pods of the instance type carry. With prefixes that is more than any kubelet is
    /// set to by default, which is 110.
    /// </summary>
    private static int MaxPodsFor(NodeLimits limits, PoolTargets targets, bool usesPrimary)
    {
        const int kubeletDefault = 110;
        var podInterfaces = limits.MaxInterfaces - (usesPrimary ? 0 : 1);
        return targets.MaxPods
            ?? (
                targets.UsesPrefixes
                    ? Math.Min(kubeletDefault, (podInterfaces * (limits.Ipv4AddressesPerInterface - 1) * PoolTargets.PrefixSize) + 2)
                    : PoolCapacity.DefaultMaxPods(podInterfaces, limits.Ipv4AddressesPerInterface)
            );
    }

    private static partial class Log
    {
        [LoggerMessage(
            104,
            LogLevel.Warning,
            "ENABLE_PREFIX_DELEGATION is true and this instance type has no prefixes (it is neither Nitro nor bare metal): single "
                + "addresses are used"
        )]
        public static partial void NoPrefixes(ILogger logger);
    }
}
