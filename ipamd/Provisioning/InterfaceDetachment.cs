// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>Detaches and deletes interfaces, for removals and undone additions. A step that was done before counts as done.</summary>
internal sealed partial class InterfaceDetachment(
    ICloud cloud,
    IHostNetwork host,
    InterfaceInventory interfaces,
    TimeProvider time,
    ILogger<InterfaceDetachment> logger
)
{
    private const string WaitOperation = "WaitUntilDetached";

    /// <summary>Whether the call may have taken effect.</summary>
    public static bool IsOutcomeUnknown(CloudException exception) => exception.Kind == CloudErrorKind.Transient;

    /// <summary>
    /// Whether the change certainly had no effect. For a repeated change only a refusal based on the cloud's state proves that: throttling,
    /// missing permission or a bad request say nothing about an earlier call whose answer was lost.
    /// </summary>
    public static bool IsWithoutEffect(CloudException exception, bool isRepeated) =>
        !IsOutcomeUnknown(exception)
        && (
            !isRepeated || exception.Kind is CloudErrorKind.SubnetExhausted or CloudErrorKind.AddressLimit or CloudErrorKind.InterfaceLimit
        );

    /// <summary>Detaches an interface and waits until the cloud reports it as detached, since it cannot be deleted before.</summary>
    /// <exception cref="CloudException">Rejected; or <see cref="CloudErrorKind.Transient"/> when the detachment was, or may have been,
    /// requested and did not complete in time.</exception>
    public async Task DetachAsync(NetworkInterfaceId id, string? knownAttachment, CancellationToken cancellationToken)
    {
        // The description shows whether an unanswered call took effect.
        var attachment =
            knownAttachment
            ?? (await cloud.DescribeAttachedInterfacesAsync(cancellationToken)).FirstOrDefault(item => item.Id == id)?.AttachmentId;
        if (attachment is null)
            return;
        try
        {
            await cloud.DetachInterfaceAsync(id, attachment, cancellationToken);
        }
        catch (CloudException exception) when (exception.Kind is CloudErrorKind.NotFound or CloudErrorKind.Conflict)
        {
            // Already detached or detaching.
        }

        try
        {
            await WaitUntilDetachedAsync(id, cancellationToken);
        }
        catch (CloudException exception)
        {
            // The detachment continues although it can no longer be watched.
            throw new CloudException(
                CloudErrorKind.Transient,
                WaitOperation,
                exception.Code,
                exception.Message,
                exception.RequestId,
                exception
            );
        }
    }

    /// <summary>Removes a detached interface's host rules and deletes it.</summary>
    /// <param name="slot">The interface and its former slot.</param>
    /// <param name="primaryAddress">Its primary address; null when its link was never configured.</param>
    /// <param name="cancellationToken">Cancels the calls.</param>
    /// <exception cref="CloudException">The interface is not deleted yet.</exception>
    public async Task DeleteAsync(InterfaceSlot slot, IPAddress? primaryAddress, CancellationToken cancellationToken)
    {
        interfaces.Forget(slot.Id);
        if (primaryAddress is not null)
        {
            try
            {
                host.RemoveInterface(slot.Slot, primaryAddress);
            }
            catch (HostNetworkException exception)
            {
                // Delete the interface even when a rule could not be removed.
                Log.RuleStays(logger, slot.Id, exception);
            }
        }

        await cloud.DeleteInterfaceAsync(slot.Id, cancellationToken);
    }

    private async Task WaitUntilDetachedAsync(NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(PoolLimits.DetachDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var pause = PoolLimits.FirstDetachPoll;
        try
        {
            while ((await cloud.DescribeAttachedInterfacesAsync(either.Token)).Any(item => item.Id == id))
            {
                await Task.Delay(pause, time, either.Token);
                pause = pause * 2 < PoolLimits.LongestDetachPoll ? pause * 2 : PoolLimits.LongestDetachPoll;
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new CloudException(
                CloudErrorKind.Transient,
                WaitOperation,
                "StillAttached",
                $"{id} is still attached after {PoolLimits.DetachDeadline.TotalSeconds:0} s"
            );
        }
    }

    private static partial class Log
    {
        [LoggerMessage(36, LogLevel.Warning, "the host's rule for the removed interface could not be deleted; it has no effect")]
        public static partial void RuleStays(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
