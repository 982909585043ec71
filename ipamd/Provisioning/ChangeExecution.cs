// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Executes one change of the pool: records an intent, calls the cloud outside any lock, and records the outcome in the ledger. Before a
/// release, reserves every address that the kernel routes to a pod, whatever the ledger says. A failed change is aborted when it certainly
/// had no effect; otherwise its intent stays open and is resumed.
/// </summary>
/// <param name="blocks">Assigns and releases blocks.</param>
/// <param name="ledger">Holds intents and outcomes.</param>
/// <param name="journal">Makes them durable.</param>
/// <param name="interfaces">The observed interfaces.</param>
/// <param name="usage">Addresses in use by the kernel.</param>
/// <param name="addition">Adds interfaces.</param>
/// <param name="removal">Removes interfaces.</param>
/// <param name="supply">Tracks the addresses that changes take from subnets and release to them.</param>
/// <param name="events">Gets the start and the end of every change.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Source of idempotency tokens.</param>
/// <param name="logger">The log.</param>
internal sealed partial class ChangeExecution(
    IBlockProvider blocks,
    IpLedger ledger,
    IntentJournal journal,
    InterfaceInventory interfaces,
    KernelUsage usage,
    InterfaceAddition addition,
    InterfaceRemoval removal,
    SubnetSupply supply,
    PoolEvents events,
    TimeProvider time,
    Random random,
    ILogger<ChangeExecution> logger
)
{
    /// <summary>Starts a change and executes it to its end.</summary>
    /// <returns>Why it was not carried out; null when it was.</returns>
    public async Task<ChangeFailure?> RunAsync(PoolChange change, CancellationToken cancellationToken)
    {
        if (!change.IsGrowth && ReserveInUse() is { } unread)
            return unread;
        if (ledger.Begin(change, IdempotencyToken(), time.GetUtcNow()) is not { } intent)
            return new ChangeFailure.Superseded("the interface is not attached any more, is being changed, or is in use again");
        var (subnet, addresses) = AffectedAddresses(intent.Change);
        if (subnet is not null && intent.IsGrowth)
            supply.Begin(subnet, addresses);
        var hasSucceeded = false;
        try
        {
            if (await journal.RecordAsync(intent, cancellationToken) is { } notRecorded)
                return notRecorded;
            var failure = await ExecuteAsync(intent, isRepeated: false, cancellationToken);
            hasSucceeded = failure is null;
            return failure;
        }
        finally
        {
            if (subnet is not null)
                Account(intent, subnet, addresses, hasSucceeded);
        }
    }

    /// <summary>Resumes an idle change.</summary>
    /// <returns>As for <see cref="RunAsync"/>.</returns>
    public async Task<ChangeFailure?> ResumeAsync(Intent open, CancellationToken cancellationToken)
    {
        if (ledger.Resume(open.Number) is not { } intent)
            return null;
        if (ReserveInUse() is { } unread)
        {
            ledger.Pause(intent, isOutcomeUnknown: false, time.GetUtcNow());
            return unread;
        }

        if (!ledger.MayRepeat(intent))
        {
            ledger.Pause(intent, isOutcomeUnknown: false, time.GetUtcNow());
            Log.InUse(logger, intent.Description);
            return null;
        }

        Log.Resumed(logger, intent.Description);
        return await ExecuteAsync(intent, isRepeated: true, cancellationToken);
    }

    private ChangeFailure.Kernel? ReserveInUse()
    {
        try
        {
            usage.ReserveInUse();
            return null;
        }
        catch (HostNetworkException exception)
        {
            return new ChangeFailure.Kernel(exception);
        }
    }

    private async Task<ChangeFailure?> ExecuteAsync(Intent intent, bool isRepeated, CancellationToken cancellationToken)
    {
        // Assumed until disproved: a defect or a stop may interrupt a call.
        var isOutcomeUnknown = true;
        var started = time.GetTimestamp();
        ChangeFailure? failure = new ChangeFailure.Interrupted();
        events.Publish(new PoolEvent.ChangeBegan(time.GetUtcNow(), intent, isRepeated));
        try
        {
            var progress = new ChangeProgress(intent, isRepeated, journal.AdvanceAsync);
            await intent.Change.Match(
                assign => AssignAsync(assign, progress, cancellationToken),
                add => addition.ExecuteAsync(add, progress, cancellationToken),
                release => ReleaseAsync(release, progress, cancellationToken),
                remove => removal.ExecuteAsync(remove, progress, cancellationToken)
            );
            failure = null;
        }
        catch (CloudException exception)
        {
            isOutcomeUnknown = exception.IsOutcomeUnknown;
            failure = new ChangeFailure.Cloud(exception);
        }
        catch (HostNetworkException exception)
        {
            failure = new ChangeFailure.Kernel(exception);
        }
        finally
        {
            // If the intent is still open, its rest failed or its progress is unknown.
            ledger.Pause(intent, isOutcomeUnknown, time.GetUtcNow());
            events.Publish(new PoolEvent.ChangeEnded(time.GetUtcNow(), intent, time.GetElapsedTime(started), failure));
        }

        return failure;
    }

    /// <summary>
    /// The subnet and the number of addresses that a change takes or releases, an interface's primary address included; no subnet when
    /// unknown.
    /// </summary>
    private (string? SubnetId, int Addresses) AffectedAddresses(PoolChange change) =>
        change.Match(
            assign => (interfaces.Find(assign.Interface)?.SubnetId, SubnetAddresses(assign.Blocks)),
            add => (add.SubnetId, 1 + add.Blocks.Sum(SubnetAddresses)),
            release => (interfaces.Find(release.Interface)?.SubnetId, release.Blocks.Sum(SubnetAddresses)),
            remove => (interfaces.Find(remove.Interface)?.SubnetId, 1 + AddressesOf(remove.Interface))
        );

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

    private async Task AssignAsync(PoolChange.AssignBlocks assign, ChangeProgress progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        try
        {
            var added = await blocks.AssignBlocksAsync(assign.Interface, assign.Blocks, progress, cancellationToken);
            ledger.CompleteAssign(progress.Intent, added, time.GetUtcNow());
            await journal.PersistAsync(cancellationToken);
            Log.Assigned(logger, assign.Interface, added.Count, assign.Blocks.Shape, time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (CloudException exception) when (!exception.IsOutcomeUnknown)
        {
            await journal.AbortAsync(progress.Intent, cancellationToken);
            throw;
        }
    }

    private async Task ReleaseAsync(PoolChange.ReleaseBlocks release, ChangeProgress progress, CancellationToken cancellationToken)
    {
        try
        {
            await blocks.UnassignBlocksAsync(release.Interface, release.Blocks, progress, cancellationToken);
        }
        catch (CloudException exception) when (exception.Kind == CloudErrorKind.NotFound)
        {
            // The interface no longer exists, nor do its blocks.
        }
        catch (CloudException exception) when (exception.IsWithoutEffect(progress.IsRepeated))
        {
            await journal.AbortAsync(progress.Intent, cancellationToken);
            throw;
        }

        ledger.CompleteRelease(progress.Intent, time.GetUtcNow());
        await journal.PersistAsync(cancellationToken);
        Log.Released(logger, release.Interface, release.Blocks.Count);
    }

    /// <summary>126 bits of randomness as hexadecimal digits: unique among this account's recent calls.</summary>
    private string IdempotencyToken() => $"vpccni-{random.NextInt64():x16}{random.NextInt64():x16}";

    private static partial class Log
    {
        [LoggerMessage(30, LogLevel.Information, "blocks assigned")]
        public static partial void Assigned(ILogger logger, NetworkInterfaceId eni, int blocks, BlockShape shape, double durationMs);

        [LoggerMessage(34, LogLevel.Information, "blocks released")]
        public static partial void Released(ILogger logger, NetworkInterfaceId eni, int blocks);

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
