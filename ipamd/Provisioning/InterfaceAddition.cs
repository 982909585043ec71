// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Adds an interface for pods: creates and attaches it, sets it to be deleted with the instance, and configures its link. Every stage can
/// be repeated after a crash or a lost answer. A failed addition is undone, which can be repeated as well.
/// </summary>
internal sealed partial class InterfaceAddition(
    ICloud cloud,
    IntentJournal journal,
    InterfaceInventory interfaces,
    InterfaceDetachment detachment,
    TimeProvider time,
    ILogger<InterfaceAddition> logger
)
{
    /// <summary>Executes or resumes an addition.</summary>
    /// <param name="intent">The intent.</param>
    /// <param name="isRepeated">Whether an earlier attempt may have completed any of the stages.</param>
    /// <param name="cancellationToken">Cancels the calls; the intent stays open.</param>
    /// <exception cref="CloudException">The addition failed and was undone, or its intent is still open and is resumed later.</exception>
    /// <exception cref="HostNetworkException">The link could not be configured; the addition was undone.</exception>
    public async Task ExecuteAsync(Intent intent, PoolChange.AddInterface add, bool isRepeated, CancellationToken cancellationToken)
    {
        if (intent.Stage == IntentStage.Undoing)
        {
            await UndoAsync(intent, add, cancellationToken);
            return;
        }

        var started = time.GetTimestamp();
        if (await CreateAsync(intent, add, isRepeated, cancellationToken) is not { } created)
        {
            await journal.AbortAsync(intent, cancellationToken);
            return;
        }

        if (intent.Created is null)
            intent = await journal.AdvanceAsync(intent with { Created = created.Id, Stage = IntentStage.Created }, cancellationToken);
        try
        {
            var attached = await AttachAsync(add, created, cancellationToken);
            intent = await journal.AdvanceAsync(
                intent with
                {
                    Progress = attached.AttachmentId,
                    Stage = IntentStage.Attached,
                },
                cancellationToken
            );
            attached = await SetDeleteOnTerminationAsync(attached, cancellationToken);
            await interfaces.AdoptAsync(intent, attached, cancellationToken);
            await journal.PersistAsync(cancellationToken);
            Log.Added(
                logger,
                created.Id,
                attached.Slot!.Value.DeviceIndex,
                created.SubnetId,
                created.Blocks.Count,
                time.GetElapsedTime(started).TotalMilliseconds
            );
        }
        catch (Exception exception)
            when (exception is HostNetworkException || (exception is CloudException failure && IsFinal(failure, intent)))
        {
            Log.Undoing(logger, created.Id, exception);
            await UndoAsync(intent, add, cancellationToken);
            throw;
        }
    }

    /// <summary>
    /// Whether the failure makes the interface useless. Not when the cloud is busy or forbids the call for the moment: replacing the
    /// interface would only cost more calls. Nor when it is not found shortly after its creation.
    /// </summary>
    private bool IsFinal(CloudException failure, Intent intent) =>
        failure.Kind switch
        {
            CloudErrorKind.Transient or CloudErrorKind.Throttled or CloudErrorKind.Disabled => false,
            CloudErrorKind.NotFound => time.GetUtcNow() - intent.Since >= IpLedger.ConsistencyWindow,
            _ => true,
        };

    /// <summary>Returns the interface, created by this or an earlier attempt; null when it was created and no longer exists.</summary>
    private async Task<CloudInterface?> CreateAsync(
        Intent intent,
        PoolChange.AddInterface add,
        bool isRepeated,
        CancellationToken cancellationToken
    )
    {
        if (intent.Created is { } known)
        {
            var found = (await cloud.DescribeAttachedInterfacesAsync(cancellationToken))
                .Concat(await cloud.DescribeUnattachedInterfacesAsync(cancellationToken))
                .FirstOrDefault(item => item.Id == known);
            // The description may be late.
            if (found is null && time.GetUtcNow() - intent.Since < IpLedger.ConsistencyWindow)
                throw new CloudException(
                    CloudErrorKind.Transient,
                    "DescribeNetworkInterfaces",
                    "NotDescribedYet",
                    $"{known} was created and is not described yet"
                );
            return found;
        }

        try
        {
            return await cloud.CreateInterfaceAsync(
                new CreateInterfaceRequest(intent.Token, intent.At, add.SubnetId, add.SecurityGroupIds, add.Blocks),
                cancellationToken
            );
        }
        catch (CloudException exception) when (InterfaceDetachment.IsWithoutEffect(exception, isRepeated))
        {
            await journal.AbortAsync(intent, cancellationToken);
            throw;
        }
    }

    private async Task<CloudInterface> AttachAsync(PoolChange.AddInterface add, CloudInterface created, CancellationToken cancellationToken)
    {
        if (created.AttachmentId is not null)
            return created;
        try
        {
            var attachment = await cloud.AttachInterfaceAsync(created.Id, add.Slot, cancellationToken);
            return created with { AttachmentId = attachment, Slot = add.Slot, State = CloudInterfaceState.InUse };
        }
        catch (CloudException exception) when (InterfaceDetachment.IsOutcomeUnknown(exception) || exception.Kind == CloudErrorKind.Conflict)
        {
            // A call whose answer was lost may have attached it: this one, or one before a restart.
            var attached = (await cloud.DescribeAttachedInterfacesAsync(cancellationToken)).FirstOrDefault(item =>
                item.Id == created.Id && item.Slot is not null
            );
            if (attached is not null)
                return attached;
            throw;
        }
    }

    /// <summary>
    /// Sets the interface to be deleted with the instance, before the first pod uses it. When it fails, later observations retry it.
    /// </summary>
    private async Task<CloudInterface> SetDeleteOnTerminationAsync(CloudInterface attached, CancellationToken cancellationToken)
    {
        if (attached.DeleteOnTermination)
            return attached;
        try
        {
            await cloud.SetDeleteOnTerminationAsync(attached.Id, attached.AttachmentId!, cancellationToken);
            return attached with { DeleteOnTermination = true };
        }
        catch (CloudException exception)
        {
            Log.DeleteOnTerminationFailed(logger, attached.Id, exception);
            return attached;
        }
    }

    private async Task UndoAsync(Intent intent, PoolChange.AddInterface add, CancellationToken cancellationToken)
    {
        if (intent.Stage != IntentStage.Undoing)
            intent = await journal.AdvanceAsync(intent with { Stage = IntentStage.Undoing }, cancellationToken);
        if (intent.Created is { } created)
        {
            var slot = new InterfaceSlot(created, add.Slot);
            await detachment.DetachAsync(created, intent.Progress, cancellationToken);
            await detachment.DeleteAsync(slot, primaryAddress: null, cancellationToken);
        }

        await journal.AbortAsync(intent, cancellationToken);
    }

    private static partial class Log
    {
        [LoggerMessage(31, LogLevel.Information, "interface attached")]
        public static partial void Added(ILogger logger, NetworkInterfaceId eni, int device, string subnet, int blocks, double durationMs);

        [LoggerMessage(32, LogLevel.Warning, "the interface was created but cannot be used: it is deleted")]
        public static partial void Undoing(ILogger logger, NetworkInterfaceId eni, Exception exception);

        [LoggerMessage(
            33,
            LogLevel.Warning,
            "the interface could not be set to be deleted with the instance: the next observation retries it"
        )]
        public static partial void DeleteOnTerminationFailed(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
