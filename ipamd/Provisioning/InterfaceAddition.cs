// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// From an intent to an interface that pods get addresses from: create, attach, tie to the node's life, wire. Every stage can be entered
/// again after a crash or a lost answer; one that turns out to be of no use is undone, which can be entered again as well.
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
    /// <param name="intent">What to do.</param>
    /// <param name="isRepeated">Somebody began it before, and how far that came is not known.</param>
    /// <param name="cancellationToken">Ends the calls; the intent stays open.</param>
    /// <exception cref="CloudException">
    /// It did not come about: taken back, or, when the intent is still open, to be gone on with later.
    /// </exception>
    /// <exception cref="HostNetworkException">The kernel did not follow; taken back.</exception>
    public async Task CarryOutAsync(Intent.AddInterface intent, bool isRepeated, CancellationToken cancellationToken)
    {
        if (intent.IsUndoing)
        {
            await UndoAsync(intent, cancellationToken);
            return;
        }

        var started = time.GetTimestamp();
        if (await CreateAsync(intent, isRepeated, cancellationToken) is not { } created)
        {
            await journal.UndoneAsync(intent, cancellationToken);
            return;
        }

        intent = intent.Created is null ? await journal.AdvanceAsync(intent with { Created = created.Id }, cancellationToken) : intent;
        try
        {
            var attached = await AttachAsync(intent, created, cancellationToken);
            intent = await journal.AdvanceAsync(intent with { AttachmentId = attached.AttachmentId }, cancellationToken);
            attached = await TieToNodeAsync(attached, cancellationToken);
            await interfaces.AdoptAsync(intent, attached, cancellationToken);
            await journal.PersistAsync(cancellationToken);
            Log.Added(
                logger,
                created.Id,
                attached.DeviceIndex!.Value,
                created.SubnetId,
                created.Blocks.Count,
                time.GetElapsedTime(started).TotalMilliseconds
            );
        }
        catch (Exception exception)
            when (exception is HostNetworkException || (exception is CloudException failure && IsFinal(failure, intent)))
        {
            Log.TakingBack(logger, created.Id, exception);
            await UndoAsync(intent, cancellationToken);
            throw;
        }
    }

    /// <summary>
    /// The interface is of no use. Not when the cloud is busy or forbidden for the moment: throwing it away and making another one would
    /// only cost more calls. Nor when it is not found a moment after it was made.
    /// </summary>
    private bool IsFinal(CloudException failure, Intent.AddInterface intent) =>
        failure.Kind switch
        {
            CloudErrorKind.Transient or CloudErrorKind.Throttled or CloudErrorKind.Disabled => false,
            CloudErrorKind.NotFound => time.GetUtcNow() - intent.Since >= IpLedger.ConsistencyWindow,
            _ => true,
        };

    /// <summary>The interface, whether this or an earlier run created it. Null when it was created and is gone.</summary>
    private async Task<CloudInterface?> CreateAsync(Intent.AddInterface intent, bool isRepeated, CancellationToken cancellationToken)
    {
        if (intent.Created is { } known)
        {
            var there = (await cloud.DescribeAttachedInterfacesAsync(cancellationToken))
                .Concat(await cloud.DescribeUnattachedInterfacesAsync(cancellationToken))
                .FirstOrDefault(item => item.Id == known);
            // The description may be late.
            if (there is null && time.GetUtcNow() - intent.Since < IpLedger.ConsistencyWindow)
                throw new CloudException(
                    CloudErrorKind.Transient,
                    "DescribeNetworkInterfaces",
                    "NotDescribedYet",
                    $"{known} was created and is not described yet"
                );
            return there;
        }

        try
        {
            return await cloud.CreateInterfaceAsync(
                new CreateInterfaceRequest(intent.Token, intent.At, intent.SubnetId, intent.SecurityGroupIds, intent.Blocks),
                cancellationToken
            );
        }
        catch (CloudException exception) when (InterfaceDetachment.IsWithoutEffect(exception, isRepeated))
        {
            await journal.UndoneAsync(intent, cancellationToken);
            throw;
        }
    }

    private async Task<CloudInterface> AttachAsync(Intent.AddInterface intent, CloudInterface created, CancellationToken cancellationToken)
    {
        if (created.AttachmentId is not null)
            return created;
        try
        {
            var attachment = await cloud.AttachInterfaceAsync(created.Id, intent.DeviceIndex, cancellationToken);
            return created with { AttachmentId = attachment, DeviceIndex = intent.DeviceIndex, State = CloudInterfaceState.InUse };
        }
        catch (CloudException exception) when (InterfaceDetachment.IsInDoubt(exception) || exception.Kind == CloudErrorKind.Conflict)
        {
            // A call whose answer was lost may have attached it: this one, or one before a restart.
            var attached = (await cloud.DescribeAttachedInterfacesAsync(cancellationToken)).FirstOrDefault(item =>
                item.Id == created.Id && item.DeviceIndex is not null
            );
            if (attached is not null)
                return attached;
            throw;
        }
    }

    /// <summary>
    /// Before the first pod uses it: a node that dies must not leave it behind. The next observations try again where it fails.
    /// </summary>
    private async Task<CloudInterface> TieToNodeAsync(CloudInterface attached, CancellationToken cancellationToken)
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
            Log.NotTied(logger, attached.Id, exception);
            return attached;
        }
    }

    private async Task UndoAsync(Intent.AddInterface intent, CancellationToken cancellationToken)
    {
        if (!intent.IsUndoing)
            intent = await journal.AdvanceAsync(intent with { IsUndoing = true }, cancellationToken);
        if (intent.Created is { } created)
        {
            var place = new InterfaceSlot(created, intent.DeviceIndex, NetworkCard: 0);
            // Without an answer to the attach call the description says whether it took effect.
            var attached =
                intent.AttachmentId
                ?? (await cloud.DescribeAttachedInterfacesAsync(cancellationToken))
                    .FirstOrDefault(item => item.Id == created)
                    ?.AttachmentId;
            if (attached is { } attachment)
                await detachment.DetachAsync(created, attachment, cancellationToken);
            await detachment.DeleteAsync(place, primaryAddress: null, cancellationToken);
        }

        await journal.UndoneAsync(intent, cancellationToken);
    }

    private static partial class Log
    {
        [LoggerMessage(31, LogLevel.Information, "interface attached")]
        public static partial void Added(ILogger logger, NetworkInterfaceId eni, int device, string subnet, int blocks, double durationMs);

        [LoggerMessage(32, LogLevel.Warning, "the interface was created but is of no use: it is taken back")]
        public static partial void TakingBack(ILogger logger, NetworkInterfaceId eni, Exception exception);

        [LoggerMessage(33, LogLevel.Warning, "the interface is not deleted together with the node: tried again at the next observation")]
        public static partial void NotTied(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
