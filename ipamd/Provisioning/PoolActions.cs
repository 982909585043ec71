// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Executes one change: records an intent, calls the cloud outside any lock, and records the outcome in the ledger. Before a release,
/// reserves every address that the kernel routes to a pod, whatever the ledger says. A failed change is aborted when it certainly had no
/// effect; otherwise its intent stays open and is resumed.
/// </summary>
/// <param name="cloud">Assigns and releases blocks.</param>
/// <param name="ledger">Holds intents and outcomes.</param>
/// <param name="journal">Makes them durable.</param>
/// <param name="interfaces">The observed interfaces.</param>
/// <param name="placement">Chooses security groups for new interfaces.</param>
/// <param name="usage">Addresses in use by the kernel.</param>
/// <param name="addition">Adds interfaces.</param>
/// <param name="detachment">Removes interfaces.</param>
/// <param name="supply">Tracks the addresses that changes take from subnets and release to them.</param>
/// <param name="events">Gets the start and the end of every change.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Source of idempotency tokens.</param>
/// <param name="logger">The log.</param>
internal sealed partial class PoolActions(
    ICloud cloud,
    IpLedger ledger,
    IntentJournal journal,
    InterfaceInventory interfaces,
    InterfacePlacement placement,
    KernelUsage usage,
    InterfaceAddition addition,
    InterfaceDetachment detachment,
    SubnetSupply supply,
    PoolEvents events,
    TimeProvider time,
    Random random,
    ILogger<PoolActions> logger
)
{
    /// <summary>Starts a change and executes it to its end.</summary>
    /// <exception cref="CloudException">The cloud rejected the change or did not answer. The change is aborted, or its intent is
    /// open.</exception>
    /// <exception cref="HostNetworkException">The kernel rejected the change or could not be read.</exception>
    public async Task RunAsync(PoolAction action, CancellationToken cancellationToken)
    {
        if (Begin(action) is not { } intent)
            return;
        var (subnet, addresses) = AffectedAddresses(intent);
        if (subnet is not null && intent.IsGrowth)
            supply.Begin(subnet, addresses);
        var hasSucceeded = false;
        try
        {
            await journal.RecordAsync(intent, cancellationToken);
            await ExecuteAsync(intent, isRepeated: false, cancellationToken);
            hasSucceeded = true;
        }
        finally
        {
            if (subnet is not null)
                Account(intent, subnet, addresses, hasSucceeded);
        }
    }

    /// <summary>Resumes an idle change.</summary>
    /// <exception cref="CloudException">As for <see cref="RunAsync"/>.</exception>
    /// <exception cref="HostNetworkException">As for <see cref="RunAsync"/>.</exception>
    public async Task ResumeAsync(Intent open, CancellationToken cancellationToken)
    {
        if (ledger.Resume(open.Number) is not { } intent)
            return;
        try
        {
            usage.ReserveInUse();
        }
        catch (HostNetworkException)
        {
            ledger.Pause(intent, isOutcomeUnknown: false, time.GetUtcNow());
            throw;
        }

        if (!ledger.MayRepeat(intent))
        {
            ledger.Pause(intent, isOutcomeUnknown: false, time.GetUtcNow());
            Log.InUse(logger, intent.Description);
            return;
        }

        Log.Resumed(logger, intent.Description);
        await ExecuteAsync(intent, isRepeated: true, cancellationToken);
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
                        $"{assign.Interface} is not attached or is being changed"
                    );
            case PoolAction.AddInterface add:
                var primary =
                    interfaces.Primary ?? throw new InvalidOperationException("no interface is added before the first observation");
                return placement.GroupsForNew(add.SubnetId, primary) is { } groups
                    ? ledger.BeginAdd(IdempotencyToken(), add.SubnetId, groups, add.Slot, add.Blocks, now)
                    : null;
            case PoolAction.ReleaseBlocks release:
                usage.ReserveInUse();
                return ledger.BeginRelease(release.Interface, release.Blocks, now);
            case PoolAction.RemoveInterface remove:
                usage.ReserveInUse();
                return interfaces.Find(remove.Interface) is { AttachmentId: { } attachment }
                    ? ledger.BeginRemove(remove.Interface, attachment, now)
                    : null;
            default:
                throw new InvalidOperationException($"unknown action {action}");
        }
    }

    private async Task ExecuteAsync(Intent intent, bool isRepeated, CancellationToken cancellationToken)
    {
        // Assumed until disproved: a defect or a stop may interrupt a call.
        var isOutcomeUnknown = true;
        var started = time.GetTimestamp();
        (CloudErrorKind? Kind, string Reason) failure = (CloudErrorKind.Unknown, "interrupted");
        events.Publish(new PoolEvent.ChangeBegan(time.GetUtcNow(), intent, isRepeated));
        try
        {
            await (
                intent switch
                {
                    Intent.AssignBlocks assign => AssignAsync(assign, cancellationToken),
                    Intent.AddInterface add => addition.ExecuteAsync(add, isRepeated, cancellationToken),
                    Intent.ReleaseBlocks release => ReleaseAsync(release, isRepeated, cancellationToken),
                    Intent.RemoveInterface remove => RemoveAsync(remove, isRepeated, cancellationToken),
                    _ => throw new InvalidOperationException($"unknown intent {intent}"),
                }
            );
            failure = (null, "");
        }
        catch (CloudException exception)
        {
            isOutcomeUnknown = InterfaceDetachment.IsOutcomeUnknown(exception);
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
            // If the intent is still open, its rest failed or its progress is unknown.
            ledger.Pause(intent, isOutcomeUnknown, time.GetUtcNow());
            events.Publish(new PoolEvent.ChangeEnded(time.GetUtcNow(), intent, time.GetElapsedTime(started), failure.Kind, failure.Reason));
        }
    }

    /// <summary>
    /// The subnet and the number of addresses that a change takes or releases, an interface's primary address included; no subnet when
    /// unknown.
    /// </summary>
    private (string? SubnetId, int Addresses) AffectedAddresses(Intent intent) =>
        intent switch
        {
            Intent.AddInterface add => (add.SubnetId, 1 + add.Blocks.Sum(SubnetAddresses)),
            Intent.AssignBlocks assign => (interfaces.Find(assign.Interface)?.SubnetId, SubnetAddresses(assign.Blocks)),
            Intent.ReleaseBlocks release => (interfaces.Find(release.Interface)?.SubnetId, release.Blocks.Sum(SubnetAddresses)),
            Intent.RemoveInterface remove => (interfaces.Find(remove.Interface)?.SubnetId, 1 + AddressesOf(remove.Interface)),
            _ => throw new InvalidOperationException($"unknown intent {intent}"),
        };

    /// <summary>Descriptions of subnets count IPv4 addresses.</summary>
    private static int SubnetAddresses(BlockRequest request) => request.Shape.Family == IpFamily.V4 ? request.Addresses : 0;

    private static int SubnetAddresses(System.Net.IPNetwork block) => SubnetAddresses(new BlockRequest(BlockShape.Of(block), 1));

    private int AddressesOf(NetworkInterfaceId id) =>
        ledger.View(time.GetUtcNow()).Interfaces.FirstOrDefault(item => item.Id == id) is { } item
            ? item.Blocks.Sum(block => SubnetAddresses(block.Range))
            : 0;

    /// <summary>Updates the subnet's count. An open change may have taken its addresses; one closed without success took none.</summary>
    private void Account(Intent intent, string subnet, int addresses, bool hasSucceeded)
    {
        if (intent.IsGrowth)
        {
            var isOpen = ledger.OpenIntents().Any(open => open.Intent.Number == intent.Number);
            supply.End(subnet, addresses, mayHaveTaken: hasSucceeded || isOpen);
        }
        else if (hasSucceeded)
        {
            supply.Released(subnet, addresses);
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
            Log.Assigned(logger, intent.Interface, added.Count, intent.Blocks.Shape, time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (CloudException exception) when (!InterfaceDetachment.IsOutcomeUnknown(exception))
        {
            await journal.AbortAsync(intent, cancellationToken);
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
            // The interface no longer exists, nor do its blocks.
        }
        catch (CloudException exception) when (InterfaceDetachment.IsWithoutEffect(exception, isRepeated))
        {
            await journal.AbortAsync(intent, cancellationToken);
            throw;
        }

        ledger.CompleteRelease(intent, time.GetUtcNow());
        await journal.PersistAsync(cancellationToken);
        Log.Released(logger, intent.Interface, intent.Blocks.Count);
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
                await journal.AbortAsync(intent, cancellationToken);
                throw;
            }

            intent = await journal.AdvanceAsync(intent with { IsDetached = true }, cancellationToken);
        }

        await detachment.DeleteAsync(intent.Slot, intent.PrimaryAddress, cancellationToken);
        ledger.CompleteRemove(intent, time.GetUtcNow());
        await journal.PersistAsync(cancellationToken);
        Log.InterfaceRemoved(logger, intent.Interface);
    }

    /// <summary>126 bits of randomness as hexadecimal digits: unique among this account's recent calls.</summary>
    private string IdempotencyToken() => $"vpccni-{random.NextInt64():x16}{random.NextInt64():x16}";

    private static partial class Log
    {
        [LoggerMessage(30, LogLevel.Information, "blocks assigned")]
        public static partial void Assigned(ILogger logger, NetworkInterfaceId eni, int blocks, BlockShape shape, double durationMs);

        [LoggerMessage(34, LogLevel.Information, "blocks released")]
        public static partial void Released(ILogger logger, NetworkInterfaceId eni, int blocks);

        [LoggerMessage(35, LogLevel.Information, "interface detached and deleted")]
        public static partial void InterfaceRemoved(ILogger logger, NetworkInterfaceId eni);

        [LoggerMessage(
            38,
            LogLevel.Warning,
            "a change with an unknown outcome is not repeated, because one of its addresses is in use: the next observation resolves it"
        )]
        public static partial void InUse(ILogger logger, string change);

        [LoggerMessage(37, LogLevel.Information, "a change with an unknown outcome is resumed")]
        public static partial void Resumed(ILogger logger, string change);
    }
}
