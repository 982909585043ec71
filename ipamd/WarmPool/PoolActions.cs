// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// Carries out one action of a plan: cloud calls outside any lock, then the outcome goes to the ledger. Before anything is given back, what the kernel routes to a pod is held,
/// whatever the ledger said.
/// </summary>
internal sealed partial class PoolActions(
    ICloud cloud,
    IHostNetwork host,
    IpLedger ledger,
    NodeInterfaces interfaces,
    KernelEvidence evidence,
    InterfacePolicy policy,
    TimeProvider time,
    Random random)
{
    private const string DetachWait = "WaitUntilDetached";

    public required ILogger<PoolActions> Logger { get; init; }

    /// <exception cref="CloudException">The cloud refused, and the ledger is as it was; or the outcome is in doubt, and what was to be given back stays out of use.</exception>
    /// <exception cref="HostNetworkException">The kernel did not follow; what was created has been taken back.</exception>
    public async Task RunAsync(PoolAction action, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        switch (action)
        {
            case PoolAction.AssignBlocks assign:
                var added = await cloud.AssignBlocksAsync(assign.Interface, assign.Blocks, cancellationToken);
                ledger.AddBlocks(assign.Interface, added, time.GetUtcNow());
                Log.Assigned(Logger, assign.Interface, added.Count, time.GetElapsedTime(started).TotalMilliseconds);
                break;
            case PoolAction.AddInterface add:
                var created = await AddInterfaceAsync(add, cancellationToken);
                Log.InterfaceAdded(Logger, created.Id, add.DeviceIndex, created.Blocks.Count, time.GetElapsedTime(started).TotalMilliseconds);
                break;
            case PoolAction.ReleaseBlocks release:
                await ReleaseBlocksAsync(release, cancellationToken);
                break;
            case PoolAction.RemoveInterface remove:
                await RemoveInterfaceAsync(remove.Interface, cancellationToken);
                break;
            default:
                throw new InvalidOperationException($"unnamed action {action}");
        }
    }

    private async Task<CloudInterface> AddInterfaceAsync(PoolAction.AddInterface add, CancellationToken cancellationToken)
    {
        var primary = interfaces.Primary ?? throw new InvalidOperationException("no interface is added before the first observation");
        var request = new CreateInterfaceRequest(IdempotencyToken(), time.GetUtcNow(), primary.SubnetId, primary.SecurityGroupIds, add.Blocks);
        var created = await cloud.CreateInterfaceAsync(request, cancellationToken);
        string? attachment = null;
        try
        {
            attachment = await cloud.AttachInterfaceAsync(created.Id, add.DeviceIndex, cancellationToken);
            // Before the first pod uses it: a node that dies must not leave it behind.
            await cloud.SetDeleteOnTerminationAsync(created.Id, attachment, cancellationToken);
            var attached = created with { AttachmentId = attachment, DeviceIndex = add.DeviceIndex, State = CloudInterfaceState.InUse, DeleteOnTermination = true };
            await interfaces.AdoptAsync(attached, cancellationToken);
            return attached;
        }
        catch (Exception exception) when (exception is CloudException or HostNetworkException or OperationCanceledException)
        {
            Log.TakingBack(Logger, created.Id, exception);
            await TakeBackAsync(created.Id, attachment);
            throw;
        }
    }

    /// <summary>Undo of a half-done addition. Runs to its end even when the daemon is stopping: it is short, bounded, and otherwise leaks an interface.</summary>
    private async Task TakeBackAsync(NetworkInterfaceId id, string? attachment)
    {
        using var limit = new CancellationTokenSource(PoolLimits.DetachDeadline, time);
        try
        {
            if (attachment is not null) await DetachAsync(id, attachment, limit.Token);
            await cloud.DeleteInterfaceAsync(id, limit.Token);
        }
        catch (Exception exception) when (exception is CloudException or OperationCanceledException)
        {
            // Tagged as this node's and attached to nothing, or attached and adopted by the next observation: the daemon finds it at its next start at the latest.
            Log.LeftBehind(Logger, id, exception);
        }
    }

    private async Task ReleaseBlocksAsync(PoolAction.ReleaseBlocks release, CancellationToken cancellationToken)
    {
        // What the kernel routes to a pod is held from here on, so that the ledger refuses to release it.
        evidence.HoldRouted();
        var blocks = ledger.BeginReleaseBlocks(release.Interface, release.Blocks, time.GetUtcNow());
        if (blocks.Count == 0) return;
        try
        {
            await cloud.UnassignBlocksAsync(release.Interface, blocks, cancellationToken);
        }
        catch (CloudException exception) when (WasRefused(exception))
        {
            ledger.EndReleaseBlocks(release.Interface, blocks, released: false, time.GetUtcNow());
            throw;
        }

        ledger.EndReleaseBlocks(release.Interface, blocks, released: true, time.GetUtcNow());
        Log.Released(Logger, release.Interface, blocks.Count);
    }

    private async Task RemoveInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        evidence.HoldRouted();
        if (interfaces.Find(id) is not { AttachmentId: { } attachment } known || !ledger.BeginRemoveInterface(id, time.GetUtcNow())) return;
        try
        {
            await DetachAsync(id, attachment, cancellationToken);
        }
        catch (CloudException exception) when (WasRefused(exception))
        {
            ledger.EndRemoveInterface(id, removed: false);
            throw;
        }

        ledger.EndRemoveInterface(id, removed: true);
        interfaces.Forget(id);
        try
        {
            host.RemoveInterface(policy.Wiring(known));
        }
        finally
        {
            // A rule that could not be removed is no reason to leave a detached interface behind.
            await cloud.DeleteInterfaceAsync(id, cancellationToken);
        }

        Log.InterfaceRemoved(Logger, id);
    }

    /// <summary>
    /// Certainly without effect. After anything else (no answer, a conflict, a stop) the cloud may have done it: what was to be given back stays out of use until an observation tells.
    /// </summary>
    private static bool WasRefused(CloudException exception)
        => exception is { Kind: CloudErrorKind.Throttled or CloudErrorKind.NotPermitted or CloudErrorKind.Invalid } && exception.Operation != DetachWait;

    /// <summary>Detaches and waits until the cloud says that it is done, since only then it can be deleted.</summary>
    private async Task DetachAsync(NetworkInterfaceId id, string attachment, CancellationToken cancellationToken)
    {
        await cloud.DetachInterfaceAsync(id, attachment, cancellationToken);
        try
        {
            await WaitUntilDetachedAsync(id, cancellationToken);
        }
        catch (CloudException exception)
        {
            // The detachment goes on although it could not be watched.
            throw new CloudException(CloudErrorKind.Transient, DetachWait, exception.Code, exception.Message, exception.RequestId, exception);
        }
    }

    private async Task WaitUntilDetachedAsync(NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(PoolLimits.DetachDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var pause = TimeSpan.FromMilliseconds(200);
        try
        {
            while ((await cloud.DescribeAttachedInterfacesAsync(either.Token)).Any(item => item.Id == id))
            {
                await Task.Delay(pause, time, either.Token);
                pause = pause * 2 < TimeSpan.FromSeconds(5) ? pause * 2 : TimeSpan.FromSeconds(5);
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new CloudException(CloudErrorKind.Transient, DetachWait, "StillAttached", $"{id} is still attached after {PoolLimits.DetachDeadline.TotalSeconds:0} s");
        }
    }

    /// <summary>126 bits of randomness as hexadecimal digits: unique among this account's recent calls.</summary>
    private string IdempotencyToken() => $"vpccni-{random.NextInt64():x16}{random.NextInt64():x16}";

    private static partial class Log
    {
        [LoggerMessage(30, LogLevel.Information, "{Count} addresses added to {EniId} in {Milliseconds:0} ms")]
        public static partial void Assigned(ILogger logger, NetworkInterfaceId eniId, int count, double milliseconds);

        [LoggerMessage(31, LogLevel.Information, "{EniId} attached as device {DeviceIndex} with {Count} addresses in {Milliseconds:0} ms")]
        public static partial void InterfaceAdded(ILogger logger, NetworkInterfaceId eniId, int deviceIndex, int count, double milliseconds);

        [LoggerMessage(32, LogLevel.Warning, "{EniId} was created but is of no use; it is taken back")]
        public static partial void TakingBack(ILogger logger, NetworkInterfaceId eniId, Exception exception);

        [LoggerMessage(33, LogLevel.Error, "{EniId} could not be taken back now")]
        public static partial void LeftBehind(ILogger logger, NetworkInterfaceId eniId, Exception exception);

        [LoggerMessage(34, LogLevel.Information, "{Count} addresses of {EniId} given back")]
        public static partial void Released(ILogger logger, NetworkInterfaceId eniId, int count);

        [LoggerMessage(35, LogLevel.Information, "{EniId} detached and deleted")]
        public static partial void InterfaceRemoved(ILogger logger, NetworkInterfaceId eniId);

    }
}
