// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Startup;

/// <summary>The parts of the pool that exist before the node is known.</summary>
internal sealed record PoolFoundation(
    PoolPorts Ports,
    IpamdOptions Options,
    DaemonState State,
    CloudPorts Cloud,
    ApiRateLimiter Budget,
    IpLedger Ledger,
    CheckpointWriter Checkpoint,
    KernelUsage Usage,
    PendingAddQueue Waiting,
    PoolEvents Events,
    PoolSignal Signal,
    NodeConditions Conditions,
    EniConfigSource EniConfig,
    TargetChange TargetChange
);

/// <summary>
/// Composes the parts of the pool that depend on the node, in two steps: what observes it, and, once it has been observed and its limits
/// are known, what plans and changes.
/// </summary>
internal sealed partial class NodePool
{
    private readonly PoolFoundation _parts;
    private readonly NodeIdentity _identity;
    private volatile PoolReconciler? _reconciler;

    public NodePool(PoolFoundation parts, NodeIdentity identity)
    {
        (_parts, _identity) = (parts, identity);
        var options = parts.Options;
        var mayChange = !options.ProvisioningDisabled;
        Placement = options.CustomNetworking
            ? new CustomNetworking(parts.EniConfig, identity, mayChange)
            : new Subnets(options.SubnetDiscovery && mayChange, options.ClusterName, identity.PrimarySubnetId);
        Interfaces = new InterfaceInventory(
            parts.Cloud,
            parts.Ports.Host,
            parts.Ledger,
            new WiringPolicy(options.InterfaceMtu, options.Families),
            Placement,
            mayChange,
            parts.Ports.Time,
            Logger<InterfaceInventory>()
        );
        Supply = new SubnetSupply(parts.Ports.Time);
        Backoff = new GrowthBackoff(Supply, parts.Ports.Time, parts.Ports.Random);
        Sync = new InterfaceSync(
            parts.Cloud.Subnets,
            Interfaces,
            parts.Usage,
            Placement,
            Supply,
            parts.Signal,
            parts.Events,
            parts.State.MembershipObserved,
            parts.Ports.Time,
            parts.Ports.Random,
            Logger<InterfaceSync>()
        );
        parts.Ports.Host.WatchLinks(Interfaces.Awaited.Seen, Sync.LinkLost);
        GroupWatch = new SecurityGroupWatch(
            parts.Cloud.Groups,
            Interfaces,
            Sync,
            parts.Signal,
            parts.Ports.Time,
            parts.Ports.Random,
            Logger<SecurityGroupWatch>()
        );
    }

    public InterfacePlacement Placement { get; }
    public InterfaceInventory Interfaces { get; }
    public InterfaceSync Sync { get; }
    public SubnetSupply Supply { get; }
    public GrowthBackoff Backoff { get; }
    public SecurityGroupWatch GroupWatch { get; }

    /// <summary>Composes what plans and changes.</summary>
    /// <param name="known">The limits of the instance type; null while they are unknown, and nothing is added.</param>
    public PoolReconciler Compose(NodeLimits? known)
    {
        var limits = known ?? LimitsOfAttached();
        var targets = TargetsFor(limits);
        var (time, random) = (_parts.Ports.Time, _parts.Ports.Random);
        var journal = new IntentJournal(_parts.Ledger, _parts.Checkpoint, _parts.Events, time, Logger<IntentJournal>());
        var changes = new ChangeExecution(
            _parts.Cloud.Blocks,
            _parts.Ledger,
            journal,
            Interfaces,
            _parts.Usage,
            new InterfaceAddition(_parts.Cloud.Interfaces, journal, Interfaces, time, Logger<InterfaceAddition>()),
            new InterfaceRemoval(
                _parts.Cloud.Interfaces,
                _parts.Ports.Host,
                _parts.Ledger,
                journal,
                Interfaces,
                time,
                Logger<InterfaceRemoval>()
            ),
            Supply,
            _parts.Events,
            time,
            random,
            Logger<ChangeExecution>()
        );
        var groups = new SecurityGroups(
            _parts.Cloud.Groups,
            Interfaces,
            _parts.Signal,
            _parts.Events,
            time,
            random,
            Logger<SecurityGroups>()
        );
        _reconciler = new PoolReconciler(
            _parts.Ledger,
            new ReconcilerParts(
                Sync,
                Interfaces,
                _parts.Usage,
                changes,
                _parts.Waiting,
                Backoff,
                Placement,
                groups,
                Supply,
                _parts.Conditions,
                _parts.Signal,
                _parts.Events
            ),
            targets,
            CapacityFor(limits, targets),
            new ReconcilerRules(
                _parts.Options.ProvisioningDisabled,
                () => _parts.Budget.Access,
                _parts.Options.ManagesUnschedulable,
                _parts.TargetChange
            ),
            time,
            Logger<PoolReconciler>()
        )
        {
            LimitsUnknown = known is null ? NoLimits("the cloud has not answered") : null,
        };
        Interfaces.Awaited.Watch(at =>
        {
            Sync.RequestAt(at);
            _parts.Signal.Raise();
        });
        return _reconciler;
    }

    /// <summary>
    /// Applies a changed ENIConfig. Before <see cref="Compose"/> nothing is applied: the start does so once the interfaces are observed.
    /// </summary>
    public void PlacementChanged()
    {
        if (_reconciler is not null)
            Sync.PlacementChanged();
    }

    /// <summary>Sets the limits of the instance type, learned after <see cref="Compose"/>.</summary>
    public void SetLimits(NodeLimits limits)
    {
        var targets = TargetsFor(limits);
        _reconciler!.SetLimits(targets, CapacityFor(limits, targets));
    }

    /// <summary>Reports why the limits of the instance type are still unknown.</summary>
    public void SetLimitsUnknown(string why) => _reconciler!.LimitsUnknown = NoLimits(why);

    private ILogger<T> Logger<T>() => _parts.Ports.Loggers.CreateLogger<T>();

    private GrowthObstacle NoLimits(string why) =>
        new(GrowthObstacleKind.CloudFailure, null, $"the limits of {_identity.NodeType} are not known yet, so nothing is added:  {why}")
        {
            MayEndAnyMoment = true,
        };

    /// <summary>Limits that match the attached interfaces, so that nothing is added.</summary>
    private NodeLimits LimitsOfAttached()
    {
        var attached = _parts.Ledger.View(_parts.Ports.Time.GetUtcNow()).Interfaces;
        // The shapes are those of types with prefixes: a type without is no reason for a warning before it is known.
        FamilyLimits Of(AddressFamily family) =>
            new(
                attached.Select(item => item.Blocks.Count(block => block.Family == family)).DefaultIfEmpty().Max() + 1,
                _parts.Cloud.Node.PrefixOf(family)
            );

        return new NodeLimits(Math.Max(attached.Count(item => item.Slot.NetworkCard == 0), 1), Of(IpFamily.V4), Of(IpFamily.V6));
    }

    private PoolCapacity CapacityFor(NodeLimits limits, PoolTargets targets) =>
        PoolCapacity.Of(limits, targets, _parts.Options.Families, Placement.UsesPrimary);

    /// <summary>
    /// The targets for this node. Not every instance type has prefixes; other nodes use single
    /// addresses, as with the reference.
    /// </summary>
    private PoolTargets TargetsFor(NodeLimits limits)
    {
        if (!_parts.Options.Targets.UsesPrefixes || limits.Of(_parts.Options.Families.Lead).Prefix is not null)
            return _parts.Options.Targets;
        Log.NoPrefixes(Logger<NodePool>());
        return _parts.Options.Targets with { UsesPrefixes = false };
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
