// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.WarmPool;
using VpcCni.Tests.Shared;

namespace VpcCni.Ipamd.Tests.WarmPool;

/// <summary>The whole pool of a daemon in memory and in virtual time: real ledger, queue, planner and reconciler over a fake cloud, kernel and disk.</summary>
internal sealed class PoolHarness
{
    public PoolHarness(FakeCloud cloud, PoolTargets? targets = null, TimeSpan? addWait = null, bool provisioningDisabled = false, int maxInterfaces = 3, int blocksPerInterface = 3)
    {
        Cloud = cloud;
        Ledger = new IpLedger(TimeSpan.FromSeconds(30));
        Writer = new CheckpointWriter(Ledger, File);
        Waiting = new WaitingAdds(Ledger, Time);
        Evidence = new KernelEvidence(Ledger, Host, Time, NullLogger<KernelEvidence>.Instance);
        var policy = new InterfacePolicy(("owner", "i-1"), ManageUntagged: true, Mtu: 9001);
        Interfaces = new NodeInterfaces(cloud, Host, Ledger, policy, Time, NullLogger<NodeInterfaces>.Instance);
        Backoff = new GrowthBackoff(Time, new Random(1));
        var actions = new PoolActions(cloud, Host, Ledger, Interfaces, Evidence, policy, Time, new Random(2)) { Logger = NullLogger<PoolActions>.Instance };
        Reconciler = new PoolReconciler(
            Ledger, Interfaces, Evidence, actions, Waiting, Backoff, targets ?? new PoolTargets(), new PoolCapacity(maxInterfaces, blocksPerInterface, 100), provisioningDisabled, Time, new Random(3))
        { Logger = NullLogger<PoolReconciler>.Instance };
        Service = new AddressService(Ledger, Writer, Waiting, new PoolSignal(), Time, addWait ?? TimeSpan.FromSeconds(20))
        {
            Observed = _observed.Task,
            Logger = NullLogger<AddressService>.Instance,
        };
    }

    private readonly TaskCompletionSource _observed = new();

    public ManualTimeProvider Time { get; } = new();
    public FakeCloud Cloud { get; }
    public FakeHostNetwork Host { get; } = new();
    public FakeCheckpointFile File { get; } = new();
    public IpLedger Ledger { get; }
    public CheckpointWriter Writer { get; }
    public WaitingAdds Waiting { get; }
    public KernelEvidence Evidence { get; }
    public NodeInterfaces Interfaces { get; }
    public GrowthBackoff Backoff { get; }
    public PoolReconciler Reconciler { get; }
    public AddressService Service { get; }
    public LedgerView View => Ledger.View(Time.GetUtcNow());

    /// <summary>One step; the first one observes.</summary>
    public async Task<StepOutcome> StepAsync()
    {
        var outcome = await Reconciler.StepAsync(CancellationToken.None);
        _observed.TrySetResult();
        return outcome;
    }

    public Task<AddOutcome> AddAsync(string container, CancellationToken cancellationToken = default)
        => Service.AddAsync(Key(container), new PodReference("default", container), $"/run/netns/{container}", cancellationToken);

    public Task<Attachment?> DeleteAsync(string container) => Service.DeleteAsync(Key(container), CancellationToken.None);

    public static AttachmentKey Key(string container) => new("aws-cni", container, "eth0");
}
