// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// Connects the reconciler of the host's network to the pool. The daemon and the simulation use the same connections.
/// </summary>
internal static class HostNetworkComposition
{
    /// <summary>Composes the reconciler; its owner runs and disposes it.</summary>
    /// <param name="engine">The pool, whose ledger determines the desired state.</param>
    /// <param name="ports">Clock, random source and loggers.</param>
    /// <param name="host">The pool's own access to the host.</param>
    /// <param name="kernel">The reconciler's; disposed with it.</param>
    /// <param name="netfilter">Programs that change netfilter.</param>
    /// <param name="options">What the operator decided.</param>
    public static HostNetworkReconciler Compose(
        PoolEngine engine,
        PoolPorts ports,
        KernelHostNetwork host,
        IHostKernel kernel,
        INetfilterPrograms netfilter,
        HostNetworkOptions options
    )
    {
        var time = ports.Time;
        var reconciler = new HostNetworkReconciler(
            host,
            kernel,
            netfilter,
            options,
            () => HostNetworkDeclaration.Of(engine.Ledger, engine.State.Identity, engine.Ranges, time.GetUtcNow()),
            made => engine.Events.Publish(new PoolEvent.HostRepaired(time.GetUtcNow(), made)),
            natTried: engine.Signal.Raise,
            time,
            ports.Random,
            ports.Loggers.CreateLogger<HostNetworkReconciler>()
        );
        engine.Events.Subscribe(poolEvent =>
        {
            if (poolEvent is PoolEvent.RangesChanged)
                reconciler.RequestSync();
            var released = poolEvent is PoolEvent.LostDelete lost ? lost.Released : (poolEvent as PoolEvent.MissedDelete)?.Released;
            if (released is not null)
                reconciler.Abandoned(released.Addresses.Select(item => item.Address));
        });
        return reconciler;
    }
}
