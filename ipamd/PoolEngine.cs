// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Aws;
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observability;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd;

/// <summary>Everything outside of the process that the pool touches, and the two sources of chance: each has one production and one fake implementation.</summary>
internal sealed record PoolPorts(ICloud Cloud, IHostNetwork Host, ICheckpointFile Checkpoint, TimeProvider Time, Random Random, ILoggerFactory Loggers);

/// <summary>
/// The daemon between its ports and its socket: ledger, queue of waiting ADDs, planner and loop, put together. The daemon runs it on the kernel, the disk and EC2; the simulation and
/// <c>whatif</c> run the very same on a model, in virtual time.
/// </summary>
internal sealed class PoolEngine
{
    private readonly PoolPorts _ports;
    private readonly IpamdOptions _options;
    private readonly KernelEvidence _evidence;
    private readonly PoolSignal _signal = new();

    /// <summary>Takes over the checkpoint, and holds what the kernel routes to pods.</summary>
    /// <exception cref="IOException">The checkpoint cannot be read: starting without it could give an address to two pods.</exception>
    /// <exception cref="HostNetworkException">The kernel could not be asked.</exception>
    public PoolEngine(PoolPorts ports, IpamdOptions options, DaemonState state)
    {
        (_ports, _options, State) = (ports, options, state);
        Ledger = new IpLedger(options.Cooldown);
        CheckpointLoader.Load(Ledger, ports.Checkpoint, ports.Time.GetUtcNow(), ports.Loggers.CreateLogger<PoolEngine>());
        _evidence = new KernelEvidence(Ledger, ports.Host, ports.Time, ports.Loggers.CreateLogger<KernelEvidence>());
        _evidence.HoldRouted();
        var checkpoint = new CheckpointWriter(Ledger, ports.Checkpoint);
        Waiting = new WaitingAdds(Ledger, ports.Time);
        Addresses = new AddressService(Ledger, checkpoint, Waiting, _signal, ports.Time, options.AddWait) { Observed = state.Observed, Logger = ports.Loggers.CreateLogger<AddressService>() };
    }

    public DaemonState State { get; }
    public IpLedger Ledger { get; }
    public WaitingAdds Waiting { get; }
    public NetworkRanges Ranges { get; } = new();

    /// <summary>ADD and DEL. Known attachments are answered from the first moment; new pods wait until <see cref="RunAsync"/> has found them an address.</summary>
    public AddressService Addresses { get; }

    /// <summary>Finds out what the node is and carries, then keeps the pool until cancelled.</summary>
    /// <param name="afterStep">Called after every step of the pool.</param>
    /// <param name="cancellationToken">Ends it; pods keep their addresses.</param>
    /// <exception cref="CloudException">The cloud did not answer within <see cref="NodeStartup.Deadline"/>.</exception>
    public async Task RunAsync(Action<StepOutcome> afterStep, CancellationToken cancellationToken)
    {
        var (cloud, host, _, time, random, loggers) = _ports;
        var startup = new NodeStartup(cloud, State, Ranges, time, random, loggers.CreateLogger<NodeStartup>());
        var node = await startup.RunAsync(
            _options.Targets,
            identity => new InterfacePolicy((EniTags.InstanceId, identity.NodeId), _options.ManageUntaggedInterfaces, _options.InterfaceMtu),
            policy => new NodeInterfaces(cloud, host, Ledger, policy, time, loggers.CreateLogger<NodeInterfaces>()),
            cancellationToken);
        var actions = new PoolActions(cloud, host, Ledger, node.Interfaces, _evidence, node.Policy, time, random) { Logger = loggers.CreateLogger<PoolActions>() };
        var reconciler = new PoolReconciler(
            Ledger, node.Interfaces, _evidence, actions, Waiting, new GrowthBackoff(time, random), _options.Targets, node.Capacity, _options.ProvisioningDisabled, time, random)
        { Logger = loggers.CreateLogger<PoolReconciler>() };
        reconciler.ObservedNow();
        State.Serving(reconciler);
        Waiting.Serve();
        await startup.TakeBackLeftoversAsync(cancellationToken);
        await new PoolLoop(reconciler, _signal, afterStep, time, loggers.CreateLogger<PoolLoop>()).RunAsync(cancellationToken);
    }
}
