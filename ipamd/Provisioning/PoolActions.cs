// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Carries out one change: an intent is recorded, then the cloud is called outside any lock, then the outcome goes to the ledger. Before
/// anything is given back, what the kernel routes to a pod is held, whatever the ledger said. A change that fails is undone when it
/// certainly had no effect, and else stays open until somebody goes on with it.
/// </summary>
/// <param name="cloud">Where blocks come from and go to.</param>
/// <param name="ledger">Gets the intents and the outcomes.</param>
/// <param name="journal">Makes them durable.</param>
/// <param name="interfaces">What was observed.</param>
/// <param name="placement">With which security groups interfaces are made.</param>
/// <param name="evidence">What the kernel shows in use.</param>
/// <param name="addition">New interfaces.</param>
/// <param name="detachment">Old ones.</param>
/// <param name="time">The clock.</param>
/// <param name="random">For idempotency tokens.</param>
internal sealed partial class PoolActions(
    ICloud cloud,
    IpLedger ledger,
    IntentJournal journal,
    InterfaceInventory interfaces,
    InterfacePlacement placement,
    KernelUsage evidence,
    InterfaceAddition addition,
    InterfaceDetachment detachment,
    TimeProvider time,
    Random random
)
{
    public required ILogger<PoolActions> Logger { get; init; }

    /// <summary>Gets to know what the changes take from the subnets and give back.</summary>
    public required SubnetSupply Supply { get; init; }

    /// <summary>Told how every change began and ended.</summary>
    public PoolEvents Events { get; init; } = new();

    /// <summary>Begins a change and sees it through.</summary>
    /// <exception cref="CloudException">The cloud refused, or did not answer: the change is undone, or its intent is open.</exception>
    /// <exception cref="HostNetworkException">The kernel did not follow, or could not be asked.</exception>
    public async Task RunAsync(PoolAction action, CancellationToken cancellationToken)
    {
        if (Begin(action) is not { } intent)
            return;
        var (subnet, addresses) = ConcernedAddresses(intent);
        if (subnet is not null && intent.IsGrowth)
            Supply.Begin(subnet, addresses);
        var hasSucceeded = false;
        try
        {
            await journal.RecordAsync(intent, cancellationToken);
            await CarryOutAsync(intent, isRepeated: false, cancellationToken);
            hasSucceeded = true;
        }
        finally
        {
            if (subnet is not null)
                Account(intent, subnet, addresses, hasSucceeded);
        }
    }

    /// <summary>Goes on with a change that nobody carries out.</summary>
    /// <exception cref="CloudException">As for <see cref="RunAsync"/>.</exception>
    /// <exception cref="HostNetworkException">As for <see cref="RunAsync"/>.</exception>
    public async Task ResumeAsync(Intent open, CancellationToken cancellationToken)
    {
        if (ledger.Resume(open.Number) is not { } intent)
            return;
        try
        {
            evidence.ReserveInUse();
        }
        catch (HostNetworkException)
        {
            ledger.Pause(intent, inDoubt: false, time.GetUtcNow());
            throw;
        }

        if (!ledger.MayRepeat(intent))
        {
            ledger.Pause(intent, inDoubt: false, time.GetUtcNow());
            Log.InUse(Logger, intent.Description);
            return;
        }

        Log.Resumed(Logger, intent.Description);
        await CarryOutAsync(intent, isRepeated: true, cancellationToken);
    }

    private Intent? Begin(PoolAction action)
    {
        var now = time.GetUtcNow();
        switch (action)
        {
            case PoolAction.AssignBlocks assign:
                return ledger.BeginAssign(assign.Interface, assign.Blocks, now)
                    ?? throw new CloudException(
                        CloudErrorKind.Conflict,
                        "BeginAssign",
                        "InterfaceBusy",
                        $"{assign.Interface} has gone or is being changed"
                    );
            case PoolAction.AddInterface add:
                var primary =
                    interfaces.Primary ?? throw new InvalidOperationException("no interface is added before the first observation");
                return placement.GroupsForNew(add.SubnetId, primary) is { } groups
                    ? ledger.BeginAdd(IdempotencyToken(), add.SubnetId, groups, add.DeviceIndex, add.Blocks, now)
                    : null;
            case PoolAction.ReleaseBlocks release:
                evidence.ReserveInUse();
                return ledger.BeginRelease(release.Interface, release.Blocks, now);
            case PoolAction.RemoveInterface remove:
                evidence.ReserveInUse();
                return interfaces.Find(remove.Interface) is { AttachmentId: { } attachment }
                    ? ledger.BeginRemove(remove.Interface, attachment, now)
                    : null;
            default:
                throw new InvalidOperationException($"unnamed action {action}");
        }
    }

    private async Task CarryOutAsync(Intent intent, bool isRepeated, CancellationToken cancellationToken)
    {
        // Until the opposite is known: a defect, or a stop, in the middle of a call.
        var inDoubt = true;
        var started = time.GetTimestamp();
        (CloudErrorKind? Kind, string Reason) failure = (CloudErrorKind.Unknown, "cut short");
        Events.Publish(new PoolEvent.ChangeBegan(time.GetUtcNow(), intent, isRepeated));
        try
        {
            await (
                intent switch
                {
                    Intent.AssignBlocks assign => AssignAsync(assign, cancellationToken),
                    Intent.AddInterface add => addition.CarryOutAsync(add, isRepeated, cancellationToken),
                    Intent.ReleaseBlocks release => ReleaseAsync(release, isRepeated, cancellationToken),
                    Intent.RemoveInterface remove => RemoveAsync(remove, isRepeated, cancellationToken),
                    _ => throw new InvalidOperationException($"unnamed intent {intent}"),
                }
            );
            failure = (null, "");
        }
        catch (CloudException exception)
        {
            inDoubt = InterfaceDetachment.IsInDoubt(exception);
            failure = (exception.Kind, exception.Message);
            throw;
        }
        catch (HostNetworkException exception)
        {
            failure = (CloudErrorKind.Unknown, exception.Message);
            throw;
        }
        finally
        {
            // Still open: what is left of it failed, or nobody knows how far it came.
            ledger.Pause(intent, inDoubt, time.GetUtcNow());
            Events.Publish(new PoolEvent.ChangeEnded(time.GetUtcNow(), intent, time.GetElapsedTime(started), failure.Kind, failure.Reason));
        }
    }

    /// <summary>
    /// What a change takes from a subnet or gives back to it, an interface's own address included; no subnet when that is not known.
    /// </summary>
    private (string? SubnetId, int Addresses) ConcernedAddresses(Intent intent) =>
        intent switch
        {
            Intent.AddInterface add => (add.SubnetId, 1 + (add.Blocks.Count * PoolCounts.SizeOf(add.Blocks.Kind))),
            Intent.AssignBlocks assign => (
                interfaces.Find(assign.Interface)?.SubnetId,
                assign.Blocks.Count * PoolCounts.SizeOf(assign.Blocks.Kind)
            ),
            Intent.ReleaseBlocks release => (interfaces.Find(release.Interface)?.SubnetId, release.Blocks.Sum(AddressBlocks.Count)),
            Intent.RemoveInterface remove => (interfaces.Find(remove.Interface)?.SubnetId, 1 + AddressesOf(remove.Interface)),
            _ => throw new InvalidOperationException($"unnamed intent {intent}"),
        };

    private int AddressesOf(NetworkInterfaceId id) =>
        ledger.View(time.GetUtcNow()).Interfaces.FirstOrDefault(item => item.Id == id) is { } item
            ? item.Blocks.Sum(block => AddressBlocks.Count(block.Range))
            : 0;

    /// <summary>A change that is still open may have taken what it is about; one that was closed without success took nothing.</summary>
    private void Account(Intent intent, string subnet, int addresses, bool hasSucceeded)
    {
        if (intent.IsGrowth)
        {
            var isOpen = ledger.OpenIntents().Any(open => open.Intent.Number == intent.Number);
            Supply.End(subnet, addresses, mayHaveTaken: hasSucceeded || isOpen);
        }
        else if (hasSucceeded)
        {
            Supply.GaveBack(subnet, addresses);
        }
    }

    private async Task AssignAsync(Intent.AssignBlocks intent, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        try
        {
            var added = await cloud.AssignBlocksAsync(intent.Interface, intent.Blocks, cancellationToken);
            ledger.CompleteAssign(intent, added, time.GetUtcNow());
            await journal.PersistAsync(cancellationToken);
            Log.Assigned(Logger, intent.Interface, added.Count, intent.Blocks.Kind, time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (CloudException exception) when (!InterfaceDetachment.IsInDoubt(exception))
        {
            await journal.UndoneAsync(intent, cancellationToken);
            throw;
        }
    }

    private async Task ReleaseAsync(Intent.ReleaseBlocks intent, bool isRepeated, CancellationToken cancellationToken)
    {
        try
        {
            await cloud.UnassignBlocksAsync(intent.Interface, intent.Blocks, cancellationToken);
        }
        catch (CloudException exception) when (exception.Kind == CloudErrorKind.NotFound)
        {
            // The interface is gone, and the blocks with it.
        }
        catch (CloudException exception) when (InterfaceDetachment.IsWithoutEffect(exception, isRepeated))
        {
            await journal.UndoneAsync(intent, cancellationToken);
            throw;
        }

        ledger.CompleteRelease(intent, time.GetUtcNow());
        await journal.PersistAsync(cancellationToken);
        Log.Released(Logger, intent.Interface, intent.Blocks.Count);
    }

    private async Task RemoveAsync(Intent.RemoveInterface intent, bool isRepeated, CancellationToken cancellationToken)
    {
        if (!intent.IsDetached)
        {
            try
            {
                await detachment.DetachAsync(intent.Interface, intent.AttachmentId, cancellationToken);
            }
            catch (CloudException exception) when (InterfaceDetachment.IsWithoutEffect(exception, isRepeated))
            {
                await journal.UndoneAsync(intent, cancellationToken);
                throw;
            }

            intent = await journal.AdvanceAsync(intent with { IsDetached = true }, cancellationToken);
        }

        await detachment.DeleteAsync(intent.Place, intent.PrimaryAddress, cancellationToken);
        ledger.CompleteRemove(intent, time.GetUtcNow());
        await journal.PersistAsync(cancellationToken);
        Log.InterfaceRemoved(Logger, intent.Interface);
    }

    /// <summary>126 bits of randomness as hexadecimal digits: unique among this account's recent calls.</summary>
    private string IdempotencyToken() => $"vpccni-{random.NextInt64():x16}{random.NextInt64():x16}";

    private static partial class Log
    {
        [LoggerMessage(30, LogLevel.Information, "blocks assigned")]
        public static partial void Assigned(ILogger logger, NetworkInterfaceId eni, int blocks, BlockKind blockKind, double durationMs);

        [LoggerMessage(34, LogLevel.Information, "blocks released")]
        public static partial void Released(ILogger logger, NetworkInterfaceId eni, int blocks);

        [LoggerMessage(35, LogLevel.Information, "interface detached and deleted")]
        public static partial void InterfaceRemoved(ILogger logger, NetworkInterfaceId eni);

        [LoggerMessage(
            38,
            LogLevel.Warning,
            "a change in doubt is not gone on with, because something of it is in use by now: an observation decides"
        )]
        public static partial void InUse(ILogger logger, string change);

        [LoggerMessage(37, LogLevel.Information, "a change in doubt is gone on with")]
        public static partial void Resumed(ILogger logger, string change);
    }
}
