// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// The two ends of an interface's life that removing one and undoing an addition share: off the node, and out of the world. Both count as
/// done when they were done before.
/// </summary>
internal sealed partial class InterfaceDetachment(
    ICloud cloud,
    IHostNetwork host,
    InterfaceInventory interfaces,
    TimeProvider time,
    ILogger<InterfaceDetachment> logger
)
{
    private const string WaitOperation = "WaitUntilDetached";

    /// <summary>The call may or may not have taken effect.</summary>
    public static bool IsInDoubt(CloudException exception) => exception.Kind == CloudErrorKind.Transient;

    /// <summary>
    /// The change has had no effect. Of one that is carried out again that is only certain when the refusal comes from a look at what there
    /// is: being too fast, not allowed or not understood says nothing about the call before, whose answer was lost.
    /// </summary>
    public static bool IsWithoutEffect(CloudException exception, bool isRepeated) =>
        !IsInDoubt(exception)
        && (
            !isRepeated || exception.Kind is CloudErrorKind.SubnetExhausted or CloudErrorKind.AddressLimit or CloudErrorKind.InterfaceLimit
        );

    /// <summary>Detaches and waits until the cloud says that it is done, since only then it can be deleted.</summary>
    /// <exception cref="CloudException">
    /// Refused; or <see cref="CloudErrorKind.Transient"/> when the detachment has been asked for, or may have been, and could not be seen
    /// through.
    /// </exception>
    public async Task DetachAsync(NetworkInterfaceId id, string attachment, CancellationToken cancellationToken)
    {
        try
        {
            await cloud.DetachInterfaceAsync(id, attachment, cancellationToken);
        }
        catch (CloudException exception) when (exception.Kind is CloudErrorKind.NotFound or CloudErrorKind.Conflict)
        {
            // Detached or detaching already.
        }

        try
        {
            await WaitUntilDetachedAsync(id, cancellationToken);
        }
        catch (CloudException exception)
        {
            // The detachment goes on although it could not be watched.
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

    /// <summary>Removes what leads to a detached interface from the host's rules, and deletes it.</summary>
    /// <param name="place">Which, and where it was.</param>
    /// <param name="primaryAddress">Its own address; null when it was never wired.</param>
    /// <param name="cancellationToken">Ends the calls.</param>
    /// <exception cref="CloudException">It is not deleted yet.</exception>
    public async Task DeleteAsync(InterfaceSlot place, IPAddress? primaryAddress, CancellationToken cancellationToken)
    {
        interfaces.Forget(place.Id);
        if (primaryAddress is not null)
        {
            try
            {
                host.RemoveInterface(place.DeviceIndex, place.NetworkCard, primaryAddress);
            }
            catch (HostNetworkException exception)
            {
                // A rule that could not be removed is no reason to leave a detached interface behind.
                Log.RuleStays(logger, place.Id, exception);
            }
        }

        await cloud.DeleteInterfaceAsync(place.Id, cancellationToken);
    }

    private async Task WaitUntilDetachedAsync(NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(PoolLimits.DetachDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var pause = PoolLimits.FirstDetachLook;
        try
        {
            while ((await cloud.DescribeAttachedInterfacesAsync(either.Token)).Any(item => item.Id == id))
            {
                await Task.Delay(pause, time, either.Token);
                pause = pause * 2 < PoolLimits.LongestDetachLook ? pause * 2 : PoolLimits.LongestDetachLook;
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
        [LoggerMessage(36, LogLevel.Warning, "the host's rule for the interface could not be removed; it leads nowhere")]
        public static partial void RuleStays(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
