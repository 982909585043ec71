// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// Adds network interfaces to the node and removes them, on clouds where that is possible while it runs. Each method can be repeated after
/// a crash or a lost answer: what it has to remember is in the intent.
/// </summary>
internal interface IInterfaceProvisioner
{
    /// <summary>
    /// Creates an interface with its blocks and attaches it. Records <see cref="Intent.Created"/> and <see cref="IntentStage.Attached"/>;
    /// before the former, a failure leaves nothing behind unless its outcome is unknown.
    /// </summary>
    /// <returns>The attached interface; null when an earlier attempt created one that no longer exists.</returns>
    Task<CloudInterface?> AddAsync(PoolChange.AddInterface add, ChangeProgress progress, CancellationToken cancellationToken);

    /// <summary>Detaches an interface and returns when it has left the node. Succeeds when it is not attached.</summary>
    /// <exception cref="CloudException">Rejected; or <see cref="CloudErrorKind.Transient"/> when the detachment was, or may have been,
    /// requested and did not complete in time.</exception>
    Task DetachAsync(NetworkInterfaceId id, ChangeProgress progress, CancellationToken cancellationToken);

    /// <summary>Deletes a detached interface. Succeeds when it no longer exists.</summary>
    Task DeleteAsync(NetworkInterfaceId id, ChangeProgress progress, CancellationToken cancellationToken);

    /// <summary>Completes an interface that is <see cref="CloudInterface.IsIncomplete"/>.</summary>
    Task RepairAsync(CloudInterface item, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes interfaces that were created for a node and are attached to none, until cancelled: this node's soon after the start, with
    /// <paramref name="everywhere"/> then those of all nodes at long intervals.
    /// </summary>
    /// <param name="everywhere">Whether to clean up after other nodes.</param>
    /// <param name="isKnown">Whether this daemon has the interface attached or is changing it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    Task CleanUpAsync(bool everywhere, Func<NetworkInterfaceId, bool> isKnown, CancellationToken cancellationToken);
}
