// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>Removes an interface: has the cloud detach it, removes its host rules, and has the cloud delete it.</summary>
internal sealed partial class InterfaceRemoval(
    IInterfaceProvisioner provisioner,
    IHostNetwork host,
    IpLedger ledger,
    IntentJournal journal,
    InterfaceInventory interfaces,
    TimeProvider time,
    ILogger<InterfaceRemoval> logger
)
{
    /// <summary>Executes or resumes a removal.</summary>
    /// <exception cref="CloudException">The interface is still attached, or not deleted yet.</exception>
    public async Task ExecuteAsync(PoolChange.RemoveInterface remove, ChangeProgress progress, CancellationToken cancellationToken)
    {
        if (progress.Intent.Stage != IntentStage.Detached)
        {
            try
            {
                await provisioner.DetachAsync(remove.Interface, progress, cancellationToken);
            }
            catch (CloudException exception) when (exception.IsWithoutEffect(progress.IsRepeated))
            {
                await journal.AbortAsync(progress.Intent, cancellationToken);
                throw;
            }

            await progress.RecordAsync(progress.Intent with { Stage = IntentStage.Detached }, cancellationToken);
        }

        interfaces.Forget(remove.Interface);
        RemoveRules(remove);
        await DeleteAsync(remove, progress, cancellationToken);
        ledger.CompleteRemove(progress.Intent, time.GetUtcNow());
        await journal.PersistAsync(cancellationToken);
        Log.InterfaceRemoved(logger, remove.Interface);
    }

    private async Task DeleteAsync(PoolChange.RemoveInterface remove, ChangeProgress progress, CancellationToken cancellationToken)
    {
        try
        {
            await provisioner.DeleteAsync(remove.Interface, progress, cancellationToken);
        }
        catch (CloudException exception) when (exception.Kind == CloudErrorKind.Conflict)
        {
            // It is attached after all: a late description hid that. The next attempt detaches it again.
            await progress.RecordAsync(progress.Intent with { Stage = IntentStage.Begun }, cancellationToken);
            throw;
        }
    }

    private void RemoveRules(PoolChange.RemoveInterface remove)
    {
        try
        {
            host.RemoveInterface(remove.Slot, remove.PrimaryAddress);
        }
        catch (HostNetworkException exception)
        {
            // Delete the interface even when a rule could not be removed.
            Log.RuleStays(logger, remove.Interface, exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(35, LogLevel.Information, "interface detached and deleted")]
        public static partial void InterfaceRemoved(ILogger logger, NetworkInterfaceId eni);

        [LoggerMessage(36, LogLevel.Warning, "the host's rule for the removed interface could not be deleted; it has no effect")]
        public static partial void RuleStays(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
