// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Tests.Shared;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>
/// The daemon's whole pool in memory and in virtual time: real ledger, queue, planner and reconciler on a fake cloud, kernel and disk.
/// </summary>
internal sealed class PoolHarness
{
    public PoolHarness(
        FakeCloud cloud,
        PoolTargets? targets = null,
        TimeSpan? addWait = null,
        bool provisioningDisabled = false,
        int maxInterfaces = 3,
        int blocksPerInterface = 3,
        bool customNetworking = false,
        bool discoversSubnets = false,
        ApiBudgetOptions? budget = null
    )
    {
        Cloud = cloud;
        Budget = new ApiRateLimiter(budget ?? new ApiBudgetOptions(), Time, new Random(6));
        ICloud port = budget is null ? cloud : new BudgetedCloud(cloud, Budget);
        Ledger = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
        Pool.Subscribe(Published.Add);
        Writer = new CheckpointWriter(Ledger, File, Time, () => null, bootId: null)
        {
            Written = (took, failure) => Pool.Publish(new PoolEvent.CheckpointWritten(Time.GetUtcNow(), took, failure?.Message)),
        };
        Waiting = new PendingAddQueue(Ledger, Time);
        Usage = new KernelUsage(Ledger, Host, Time, NullLogger<KernelUsage>.Instance) { Events = Pool };
        var policy = new InterfacePolicy(("owner", "i-1"), OwnDescription: "ours", ManageUntagged: true, Mtu: 9001);
        Placement = customNetworking
            ? new CustomNetworking(EniConfig, cloud.Identity, mayChange: !provisioningDisabled)
            : new Subnets(discoversSubnets, clusterName: null, "subnet-1");
        Interfaces = new InterfaceInventory(
            port,
            Host,
            Ledger,
            policy,
            Placement,
            mayChange: !provisioningDisabled,
            Time,
            NullLogger<InterfaceInventory>.Instance
        );
        Supply = new SubnetSupply(Time);
        Backoff = new GrowthBackoff(Supply, Time, new Random(1));
        var journal = new IntentJournal(Ledger, Writer, Time, NullLogger<IntentJournal>.Instance) { Events = Pool };
        var detachment = new InterfaceDetachment(port, Host, Interfaces, Time, NullLogger<InterfaceDetachment>.Instance);
        var addition = new InterfaceAddition(port, journal, Interfaces, detachment, Time, NullLogger<InterfaceAddition>.Instance);
        var actions = new PoolActions(port, Ledger, journal, Interfaces, Placement, Usage, addition, detachment, Time, new Random(2))
        {
            Events = Pool,
            Logger = NullLogger<PoolActions>.Instance,
            Supply = Supply,
        };
        Sync = new InterfaceSync(port, Interfaces, Usage, Placement, _signal, Time, new Random(3), NullLogger<InterfaceSync>.Instance)
        {
            Events = Pool,
            Supply = Supply,
        };
        EniConfig.Changed = Sync.PlacementChanged;
        Host.LinkSeen = Interfaces.Awaited.Seen;
        Interfaces.Awaited.Watch(at =>
        {
            Sync.RequestAt(at);
            _signal.Raise();
        });
        var groups = new SecurityGroups(port, Interfaces, _signal, Time, new Random(4), NullLogger<SecurityGroups>.Instance)
        {
            Events = Pool,
        };
        GroupWatch = new SecurityGroupWatch(port, Interfaces, Sync, _signal, Time, new Random(5), NullLogger<SecurityGroupWatch>.Instance);
        Reconciler = new PoolReconciler(
            Ledger,
            new ReconcilerParts(Sync, Usage, actions, Waiting, Backoff, Placement, groups, Conditions, _signal) { Supply = Supply },
            targets ?? new PoolTargets(),
            new PoolCapacity(
                maxInterfaces,
                new FamilyCapacity(Shapes.Ipv4Address, blocksPerInterface),
                Other: null,
                new PodLimit(Configured: null, Cluster: null, Default: 100),
                Placement.UsesPrimary
            ),
            new ReconcilerRules(provisioningDisabled, () => CloudAccess.Full, ManagesUnschedulable: false, new TargetChange(null, "")),
            Time
        )
        {
            Events = Pool,
            Logger = NullLogger<PoolReconciler>.Instance,
        };
        Service = new AddressService(Ledger, Writer, Waiting, Usage, _signal, Time, addWait ?? TimeSpan.FromSeconds(20))
        {
            Observed = _observed.Task,
            Events = Pool,
            CurrentObstacle = new WaitReason(Ledger, Waiting, Budget, Time).Current,
            Logger = NullLogger<AddressService>.Instance,
        };
    }

    /// <summary>Far more rounds than the work of a step needs.</summary>
    private const int MaxRounds = 50;

    private readonly TaskCompletionSource _observed = new();
    private readonly PoolSignal _signal = new();

    public PoolEvents Pool { get; } = new();

    /// <summary>All published events, in order.</summary>
    public List<PoolEvent> Published { get; } = [];
    public ManualTimeProvider Time { get; } = new();
    public FakeCloud Cloud { get; }
    public FakeHostNetwork Host { get; } = new();
    public FakeCheckpointFile File { get; } = new();
    public IpLedger Ledger { get; }
    public CheckpointWriter Writer { get; }
    public PendingAddQueue Waiting { get; }
    public KernelUsage Usage { get; }
    public EniConfigSource EniConfig { get; } = new();
    public InterfacePlacement Placement { get; }
    public SecurityGroupWatch GroupWatch { get; }
    public NodeConditions Conditions { get; } = new();
    public InterfaceInventory Interfaces { get; }
    public InterfaceSync Sync { get; }
    public ApiRateLimiter Budget { get; }
    public SubnetSupply Supply { get; }
    public GrowthBackoff Backoff { get; }
    public PoolReconciler Reconciler { get; }
    public AddressService Service { get; }
    public LedgerView View => Ledger.View(Time.GetUtcNow());

    /// <summary>
    /// Steps until nothing is in flight and nothing more is started, as the loop would; the first step observes. Time stands still except
    /// for waits, such as for a collected refill.
    /// </summary>
    public async Task<StepOutcome> StepAsync()
    {
        for (var round = 0; round < MaxRounds; round++)
        {
            var outcome = Reconciler.Step(CancellationToken.None);
            if (Sync.LastObservedAt is not null)
                _observed.TrySetResult();
            if (!Reconciler.IdleAsync().IsCompleted)
            {
                await IdleAsync();
                continue;
            }

            await Reconciler.IdleAsync();
            if (outcome.Plan.RefillAt is { } refillAt)
            {
                if (refillAt > Time.GetUtcNow())
                    Time.Advance(refillAt - Time.GetUtcNow());
                continue;
            }

            if (outcome.Plan.Actions.Count == 0 && outcome.NextAt > Time.GetUtcNow())
                return outcome;
        }

        throw new InvalidOperationException($"the pool does not settle within {MaxRounds} rounds");
    }

    /// <summary>Advances the time until nothing is in flight, such as a detachment that is polled every few seconds.</summary>
    private async Task IdleAsync()
    {
        for (var second = 0; second < 300; second++)
        {
            if (Reconciler.IdleAsync().IsCompleted)
                return;
            Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        throw new InvalidOperationException("the work in flight does not end");
    }

    public Task<AddOutcome> AddAsync(string container, CancellationToken cancellationToken = default) =>
        Service.AddAsync(Key(container), new PodReference("default", container), $"/run/netns/{container}", cancellationToken);

    public Task<Attachment?> DeleteAsync(string container) =>
        Service.DeleteAsync(Key(container), new PodReference("default", container), CancellationToken.None);

    public static AttachmentKey Key(string container) => new("aws-cni", container, "eth0");
}
