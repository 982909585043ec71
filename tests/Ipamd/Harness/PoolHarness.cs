// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Startup;
using VpcCni.Tests.Shared;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>
/// The daemon's whole pool in memory and in virtual time, composed as the daemon composes it, on a fake cloud, kernel and disk.
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
        (Cloud, Limits) = (cloud, Ec2Limits.Of(maxInterfaces, blocksPerInterface + 1, ipv6PerInterface: 0, hasPrefixes: false));
        _state = new DaemonState("test", Time);
        var ports = new PoolPorts(
            new AwsFactory(cloud, ManageUntagged: true),
            Host,
            File,
            new FakeMissedDels(),
            Time,
            new Random(1),
            NullLoggerFactory.Instance
        )
        {
            Budget = budget ?? Unlimited,
        };
        _engine = new PoolEngine(
            ports,
            new IpamdOptions
            {
                Targets = targets ?? new PoolTargets(),
                AddWait = addWait ?? TimeSpan.FromSeconds(20),
                ProvisioningDisabled = provisioningDisabled,
                CustomNetworking = customNetworking,
                SubnetDiscovery = discoversSubnets,
            },
            _state
        );
        _engine.Events.Subscribe(Published.Add);
        _pool = _engine.PoolOf(cloud.Identity);
        Reconciler = _pool.Compose(Limits);
        _state.Serving(Reconciler);
    }

    private static readonly ApiBudgetOptions Unlimited = new()
    {
        Describe = new CallAllowance(Capacity: 1_000_000, PerSecond: 1_000_000),
        Mutate = new CallAllowance(Capacity: 1_000_000, PerSecond: 1_000_000),
        Assign = new CallAllowance(Capacity: 1_000_000, PerSecond: 1_000_000),
    };

    /// <summary>Far more rounds than the work of a step needs.</summary>
    private const int MaxRounds = 50;

    private readonly DaemonState _state;
    private readonly PoolEngine _engine;
    private readonly NodePool _pool;

    /// <summary>All published events, in order.</summary>
    public List<PoolEvent> Published { get; } = [];
    public ManualTimeProvider Time { get; } = new();
    public FakeCloud Cloud { get; }
    public NodeLimits Limits { get; }
    public FakeHostNetwork Host { get; } = new();
    public FakeCheckpointFile File { get; } = new();
    public PoolReconciler Reconciler { get; }
    public PoolEvents Pool => _engine.Events;
    public IpLedger Ledger => _engine.Ledger;
    public CheckpointWriter Writer => _engine.Checkpoint;
    public PendingAddQueue Waiting => _engine.Waiting;
    public KernelUsage Usage => _engine.Usage;
    public EniConfigSource EniConfig => _engine.EniConfig;
    public NodeConditions Conditions => _engine.Conditions;
    public ApiRateLimiter Budget => _engine.Budget;
    public AddressService Service => _engine.Addresses;
    public InterfacePlacement Placement => _pool.Placement;
    public SecurityGroupWatch GroupWatch => _pool.GroupWatch;
    public InterfaceInventory Interfaces => _pool.Interfaces;
    public InterfaceSync Sync => _pool.Sync;
    public SubnetSupply Supply => _pool.Supply;
    public GrowthBackoff Backoff => _pool.Backoff;
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

            if (outcome.Plan.Changes.Count == 0 && outcome.NextAt > Time.GetUtcNow())
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
