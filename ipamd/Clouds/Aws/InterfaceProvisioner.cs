// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Timing;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Creates network interfaces, attaches them and sets them to be deleted with the instance; detaches and deletes them. Every stage can be
/// repeated after a crash or a lost answer, and a stage that was done before counts as done. <see cref="Intent.Progress"/> is the
/// attachment's id.
/// </summary>
internal sealed partial class InterfaceProvisioner(
    BudgetedEc2 ec2,
    AttachedInterfaces interfaces,
    LeakedInterfaces leaked,
    TimeProvider time,
    ILogger<InterfaceProvisioner> logger
) : IInterfaceProvisioner
{
    private const string WaitOperation = "WaitUntilDetached";

    /// <summary>Limit of the wait for a detachment; the intent stays open and is resumed.</summary>
    private static readonly TimeSpan DetachDeadline = TimeSpan.FromSeconds(60);
    private static readonly Backoff DetachPolls = new(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(10));

    // Undoing an addition is part of growth and must not wait for tokens reserved to growth.
    private readonly IEc2 _growing = ec2.For(CallPriority.Growth);

    public async Task<CloudInterface?> AddAsync(PoolChange.AddInterface add, ChangeProgress progress, CancellationToken cancellationToken)
    {
        var created = progress.Intent.Created is { } known
            ? await FindCreatedAsync(known, progress.Intent, cancellationToken)
            : await CreateAsync(add, progress, cancellationToken);
        if (created is null)
            return null;
        var attached = await AttachAsync(add, created, cancellationToken);
        await progress.RecordAsync(
            progress.Intent with
            {
                Progress = attached.AttachmentId,
                Stage = IntentStage.Attached,
            },
            cancellationToken
        );
        return await interfaces.AddAsync(await SetDeleteOnTerminationAsync(attached, cancellationToken), cancellationToken);
    }

    public async Task DetachAsync(NetworkInterfaceId id, ChangeProgress progress, CancellationToken cancellationToken)
    {
        var calls = For(progress);
        // The description shows whether an unanswered call took effect.
        var attachment =
            progress.Intent.Progress
            ?? interfaces.Find(id)?.AttachmentId
            ?? (await calls.DescribeAttachedInterfacesAsync(cancellationToken)).FirstOrDefault(item => item.Id == id)?.AttachmentId;
        if (attachment is null)
        {
            // An addition that is undone may never have attached it, and an earlier attempt at a removal may have detached it. Otherwise
            // the description is late.
            if (progress.Intent.IsGrowth || progress.IsRepeated)
                return;
            throw new CloudException(
                CloudErrorKind.Transient,
                "DescribeNetworkInterfaces",
                "NotDescribed",
                $"the attachment of {id} is not described, so it cannot be detached yet"
            );
        }

        try
        {
            await calls.DetachInterfaceAsync(id, attachment, cancellationToken);
        }
        catch (CloudException exception) when (exception.Kind is CloudErrorKind.NotFound or CloudErrorKind.Conflict)
        {
            // Already detached or detaching.
        }

        try
        {
            await WaitUntilDetachedAsync(calls, id, cancellationToken);
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

    public Task DeleteAsync(NetworkInterfaceId id, ChangeProgress progress, CancellationToken cancellationToken) =>
        For(progress).DeleteInterfaceAsync(id, cancellationToken);

    public async Task RepairAsync(CloudInterface item, CancellationToken cancellationToken)
    {
        var described =
            interfaces.Find(item.Id)
            ?? throw new CloudException(
                CloudErrorKind.Transient,
                "DescribeNetworkInterfaces",
                "NotDescribed",
                $"{item.Id} is not in the last description, so it cannot be repaired yet"
            );
        var policy = await interfaces.PolicyAsync(cancellationToken);
        if (policy.OutlivesInstance(described))
            await ec2.SetDeleteOnTerminationAsync(item.Id, described.AttachmentId!, cancellationToken);
        if (policy.LacksOwner(described))
            await ec2.TagInterfaceAsync(item.Id, createdAt: null, cancellationToken);
    }

    public Task CleanUpAsync(bool everywhere, Func<NetworkInterfaceId, bool> isKnown, CancellationToken cancellationToken) =>
        leaked.RunAsync(everywhere, isKnown, cancellationToken);

    private IEc2 For(ChangeProgress progress) => progress.Intent.IsGrowth ? _growing : ec2;

    private async Task<Ec2Interface> CreateAsync(PoolChange.AddInterface add, ChangeProgress progress, CancellationToken cancellationToken)
    {
        var intent = progress.Intent;
        try
        {
            var created = await _growing.CreateInterfaceAsync(
                new CreateInterfaceRequest(intent.Token, intent.At, add.SubnetId, add.SecurityGroupIds, add.Blocks),
                cancellationToken
            );
            await progress.RecordAsync(intent with { Created = created.Id, Stage = IntentStage.Created }, cancellationToken);
            return created;
        }
        catch (CloudException exception) when (exception.Message.Contains("ipv6", StringComparison.OrdinalIgnoreCase))
        {
            // EC2 has no code for it: its messages name the family only where that is IPv6.
            exception.Family = IpFamily.V6;
            throw;
        }
    }

    /// <summary>Returns the interface of an earlier attempt; null when it no longer exists.</summary>
    private async Task<Ec2Interface?> FindCreatedAsync(NetworkInterfaceId created, Intent intent, CancellationToken cancellationToken)
    {
        try
        {
            var found = (await _growing.DescribeAttachedInterfacesAsync(cancellationToken))
                .Concat(await _growing.DescribeUnattachedInterfacesAsync(cancellationToken))
                .FirstOrDefault(item => item.Id == created);
            // The description may be late.
            if (found is null && time.GetUtcNow() - intent.Since < IpLedger.ConsistencyWindow)
                throw new CloudException(
                    CloudErrorKind.Transient,
                    "DescribeNetworkInterfaces",
                    "NotDescribedYet",
                    $"{created} was created and is not described yet"
                );
            return found;
        }
        catch (CloudException exception)
        {
            // The interface must not be undone for it.
            exception.IsOfLookup = true;
            throw;
        }
    }

    private async Task<Ec2Interface> AttachAsync(PoolChange.AddInterface add, Ec2Interface created, CancellationToken cancellationToken)
    {
        if (created.AttachmentId is not null)
            return created;
        try
        {
            var attachment = await _growing.AttachInterfaceAsync(created.Id, add.Slot, cancellationToken);
            return created with { AttachmentId = attachment, Slot = add.Slot, State = Ec2InterfaceState.InUse };
        }
        catch (CloudException exception) when (exception.IsOutcomeUnknown || exception.Kind == CloudErrorKind.Conflict)
        {
            // A call whose answer was lost may have attached it: this one, or one before a restart.
            var attached = (await _growing.DescribeAttachedInterfacesAsync(cancellationToken)).FirstOrDefault(item =>
                item.Id == created.Id && item.Slot is not null
            );
            if (attached is not null)
                return attached;
            throw;
        }
    }

    /// <summary>
    /// Sets the interface to be deleted with the instance, before the first pod uses it. When it fails, later observations repair it.
    /// </summary>
    private async Task<Ec2Interface> SetDeleteOnTerminationAsync(Ec2Interface attached, CancellationToken cancellationToken)
    {
        if (attached.DeleteOnTermination)
            return attached;
        try
        {
            await _growing.SetDeleteOnTerminationAsync(attached.Id, attached.AttachmentId!, cancellationToken);
            return attached with { DeleteOnTermination = true };
        }
        catch (CloudException exception)
        {
            Log.DeleteOnTerminationFailed(logger, attached.Id, exception);
            return attached;
        }
    }

    /// <summary>Waits until EC2 reports the interface as detached, since it cannot be deleted before.</summary>
    private async Task WaitUntilDetachedAsync(IEc2 calls, NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(DetachDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var polls = 0;
        try
        {
            while ((await calls.DescribeAttachedInterfacesAsync(either.Token)).Any(item => item.Id == id))
                await Task.Delay(DetachPolls.Ceiling(++polls), time, either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new CloudException(
                CloudErrorKind.Transient,
                WaitOperation,
                "StillAttached",
                $"{id} is still attached after {DetachDeadline.TotalSeconds:0} s"
            );
        }
    }

    private static partial class Log
    {
        [LoggerMessage(
            33,
            LogLevel.Warning,
            "the interface could not be set to be deleted with the instance: the next observation retries it"
        )]
        public static partial void DeleteOnTerminationFailed(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
