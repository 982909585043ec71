// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// Carries out one action of a plan: cloud calls outside any lock, then the outcome goes to the ledger. Before anything is given back, the kernel is asked whether a pod uses it,
/// whatever the ledger says.
/// </summary>
internal sealed partial class PoolActions(
    ICloud cloud,
    IHostNetwork host,
    IpLedger ledger,
    NodeInterfaces interfaces,
    InterfacePolicy policy,
    TimeProvider time,
    Random random)
{
    public required ILogger<PoolActions> Logger { get; init; }

    /// <exception cref="CloudException">The cloud refused; the ledger is as it was.</exception>
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
        catch (Exception exception) when (exception is CloudException or HostNetworkException)
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
        var blocks = ledger.BeginReleaseBlocks(release.Interface, release.Blocks);
        var released = false;
        try
        {
            if (blocks.Count == 0 || UsedInKernel(blocks, release.Interface)) return;
            await cloud.UnassignBlocksAsync(release.Interface, blocks, cancellationToken);
            released = true;
            Log.Released(Logger, release.Interface, blocks.Count);
        }
        finally
        {
            ledger.EndReleaseBlocks(release.Interface, blocks, released, time.GetUtcNow());
        }
    }

    private async Task RemoveInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        if (interfaces.Find(id) is not { AttachmentId: { } attachment } known || !ledger.BeginRemoveInterface(id)) return;
        var removed = false;
        try
        {
            if (UsedInKernel(known.Blocks, id)) return;
            await DetachAsync(id, attachment, cancellationToken);
            host.RemoveInterface(policy.Wiring(known));
            removed = true;
            interfaces.Forget(id);
            await cloud.DeleteInterfaceAsync(id, cancellationToken);
            Log.InterfaceRemoved(Logger, id);
        }
        finally
        {
            ledger.EndRemoveInterface(id, removed);
        }
    }

    /// <summary>Detaches and waits until the cloud says that it is done, since only then it can be deleted.</summary>
    private async Task DetachAsync(NetworkInterfaceId id, string attachment, CancellationToken cancellationToken)
    {
        await cloud.DetachInterfaceAsync(id, attachment, cancellationToken);
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
            throw new CloudException(CloudErrorKind.Transient, "DetachInterface", "StillAttached", $"{id} is still attached after {PoolLimits.DetachDeadline.TotalSeconds:0} s");
        }
    }

    private bool UsedInKernel(IReadOnlyList<IPNetwork> blocks, NetworkInterfaceId id)
    {
        foreach (var route in host.PodRoutes())
        {
            if (!blocks.Any(block => block.Contains(route.Address))) continue;
            Log.StillInUse(Logger, id, route.Address, route.HostInterface);
            return true;
        }

        return false;
    }

    /// <summary>64 bits of randomness as hexadecimal digits: unique among this account's recent calls.</summary>
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

        [LoggerMessage(36, LogLevel.Warning, "nothing of {EniId} is given back: the kernel routes {Address} to {HostInterface}, although the ledger has it free")]
        public static partial void StillInUse(ILogger logger, NetworkInterfaceId eniId, IPAddress address, string hostInterface);
    }
}
