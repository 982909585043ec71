// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Adds an interface for pods: has the cloud create and attach it, and configures its link. Every stage can be repeated after a crash or a
/// lost answer. A failed addition is undone, which can be repeated as well.
/// </summary>
internal sealed partial class InterfaceAddition(
    IInterfaceProvisioner provisioner,
    IntentJournal journal,
    InterfaceInventory interfaces,
    TimeProvider time,
    ILogger<InterfaceAddition> logger
)
{
    /// <summary>Executes or resumes an addition.</summary>
    /// <exception cref="CloudException">The addition failed and was undone, or its intent is still open and is resumed later.</exception>
    /// <exception cref="HostNetworkException">The link could not be configured; the addition was undone.</exception>
    public async Task ExecuteAsync(PoolChange.AddInterface add, ChangeProgress progress, CancellationToken cancellationToken)
    {
        if (progress.Intent.Stage == IntentStage.Undoing)
        {
            await UndoAsync(progress, cancellationToken);
            return;
        }

        var started = time.GetTimestamp();
        try
        {
            if (await provisioner.AddAsync(add, progress, cancellationToken) is not { } attached)
            {
                await journal.AbortAsync(progress.Intent, cancellationToken);
                return;
            }

            await interfaces.AdoptAsync(progress.Intent, attached, cancellationToken);
            await journal.PersistAsync(cancellationToken);
            Log.Added(
                logger,
                attached.Id,
                attached.Slot.DeviceIndex,
                attached.SubnetId,
                attached.Blocks.Count,
                time.GetElapsedTime(started).TotalMilliseconds
            );
        }
        catch (CloudException exception) when (progress.Intent.Created is null)
        {
            if (exception.IsWithoutEffect(progress.IsRepeated) || IsRefusedForGood(exception, progress.Intent))
                await journal.AbortAsync(progress.Intent, cancellationToken);
            throw;
        }
        catch (Exception exception)
            when (exception is HostNetworkException || (exception is CloudException failure && IsFinal(failure, progress.Intent)))
        {
            Log.Undoing(logger, progress.Intent.Created!.Value, exception);
            await UndoAsync(progress, cancellationToken);
            throw;
        }
    }

    /// <summary>
    /// Whether the failure makes the interface useless. Not when the cloud is busy or forbids the call for the moment: replacing the
    /// interface would only cost more calls. Nor when it is not found shortly after its creation, or was not looked at.
    /// </summary>
    private bool IsFinal(CloudException failure, Intent intent) =>
        failure.Kind switch
        {
            _ when failure.IsOfLookup => false,
            CloudErrorKind.Transient or CloudErrorKind.Throttled or CloudErrorKind.Disabled => false,
            CloudErrorKind.NotFound => time.GetUtcNow() - intent.Since >= IpLedger.ConsistencyWindow,
            _ => true,
        };

    /// <summary>
    /// Whether repeating the creation cannot help: its subnet has no IPv6, say, or is gone. The intent would keep the slot for ever. An
    /// interface that an unanswered call created after all is unattached and of no intent: the next cleanup of leaked interfaces has it.
    /// </summary>
    private bool IsRefusedForGood(CloudException failure, Intent intent) =>
        failure.Kind is CloudErrorKind.Invalid or CloudErrorKind.NotFound && time.GetUtcNow() - intent.Since >= IpLedger.ConsistencyWindow;

    private async Task UndoAsync(ChangeProgress progress, CancellationToken cancellationToken)
    {
        if (progress.Intent.Stage != IntentStage.Undoing)
            await progress.RecordAsync(progress.Intent with { Stage = IntentStage.Undoing }, cancellationToken);
        if (progress.Intent.Created is { } created)
        {
            await provisioner.DetachAsync(created, progress, cancellationToken);
            interfaces.Forget(created);
            await provisioner.DeleteAsync(created, progress, cancellationToken);
        }

        await journal.AbortAsync(progress.Intent, cancellationToken);
    }

    private static partial class Log
    {
        [LoggerMessage(31, LogLevel.Information, "interface attached")]
        public static partial void Added(ILogger logger, NetworkInterfaceId eni, int device, string subnet, int blocks, double durationMs);

        [LoggerMessage(32, LogLevel.Warning, "the interface was created but cannot be used: it is deleted")]
        public static partial void Undoing(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
