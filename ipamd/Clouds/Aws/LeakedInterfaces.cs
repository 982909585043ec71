// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Deletes unattached interfaces that a daemon created: this node's at every start, any node's once an hour, since a removed node cannot
/// clean up. Costs one describe call per hour and node. Skips interfaces of open intents, interfaces that the ledger still has, and
/// recently created ones, whose node may be about to attach them. An attached interface cannot be deleted, so no live one is affected.
/// </summary>
/// <param name="ec2">For finding this node's own interfaces.</param>
/// <param name="cleanUp">The same, for calls of lowest priority.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Source of jitter.</param>
/// <param name="logger">Logs every deletion.</param>
internal sealed partial class LeakedInterfaces(IEc2 ec2, IEc2 cleanUp, TimeProvider time, Random random, ILogger<LeakedInterfaces> logger)
{
    /// <summary>Minimum age before deletion, as in the reference: create and attach are seconds apart.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Delay of the cleanup after the start: by then descriptions show what an earlier run did, and its open intents have been resumed.
    /// </summary>
    public static readonly TimeSpan OwnDelay = TimeSpan.FromMinutes(1);

    public static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    /// <summary>Most deletions per run; the rest waits for the next run, so that a run does not cause an avalanche of calls.</summary>
    public const int MaxDeletesPerRun = 20;

    private DateTimeOffset? _startedAt;

    /// <summary>
    /// Runs until cancelled. Deletes this node's own soon after the start; with <paramref name="everywhere"/> then all of them once an
    /// hour, at a random time on each node.
    /// </summary>
    public async Task RunAsync(bool everywhere, Func<NetworkInterfaceId, bool> isKnown, CancellationToken cancellationToken)
    {
        // The time of the first start, also after a restart of this service: interfaces created since may be about to be attached.
        var startedAt = _startedAt ??= time.GetUtcNow();
        await Task.Delay(OwnDelay, time, cancellationToken);
        await CleanOwnAsync(startedAt, isKnown, cancellationToken);
        var pause = Jitter.Between(TimeSpan.Zero, Interval, random);
        while (everywhere)
        {
            await Task.Delay(pause, time, cancellationToken);
            await CleanAsync(isKnown, cancellationToken);
            pause = Jitter.Around(Interval, random);
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
    }

    /// <summary>
    /// Deletes interfaces of any age that earlier runs on this node left without an intent: only this daemon could be about to attach them.
    /// </summary>
    private async Task CleanOwnAsync(DateTimeOffset startedAt, Func<NetworkInterfaceId, bool> isKnown, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var leftover in await ec2.DescribeUnattachedInterfacesAsync(cancellationToken))
            {
                if (IsLeaked(leftover, isKnown) && !(CreatedAt(leftover) >= startedAt))
                    await DeleteAsync(leftover, cancellationToken);
            }
        }
        catch (CloudException exception)
        {
            Log.NotCleaned(logger, exception);
        }
    }

    /// <summary>Runs once over the whole network.</summary>
    public async Task CleanAsync(Func<NetworkInterfaceId, bool> isKnown, CancellationToken cancellationToken)
    {
        try
        {
            var deleted = 0;
            foreach (var candidate in await cleanUp.DescribeLeakCandidatesAsync(cancellationToken))
            {
                if (deleted >= MaxDeletesPerRun)
                    return;
                if (!IsLeaked(candidate, isKnown))
                    continue;
                if (CreatedAt(candidate) is not { } createdAt || createdAt > time.GetUtcNow() + MinimumAge)
                {
                    // Its age is unknown (no tag, or its node's clock was wrong): tagged now, and the next run decides.
                    await cleanUp.TagInterfaceAsync(candidate.Id, time.GetUtcNow(), cancellationToken);
                    continue;
                }

                if (time.GetUtcNow() - createdAt < MinimumAge)
                    continue;
                await DeleteAsync(candidate, cancellationToken);
                deleted++;
            }
        }
        catch (CloudException exception)
        {
            Log.NotCleaned(logger, exception);
        }
    }

    private static DateTimeOffset? CreatedAt(Ec2Interface item) =>
        item.Tags.TryGetValue(EniTags.CreatedAt, out var text)
        && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : null;

    /// <summary>
    /// Whether a daemon created it, and this one neither has it attached nor has an intent for it. Tags do not suffice: the daemon also
    /// tags interfaces that an operator created.
    /// </summary>
    private static bool IsLeaked(Ec2Interface item, Func<NetworkInterfaceId, bool> isKnown) =>
        item.Description.StartsWith(EniTags.DescriptionPrefix, StringComparison.Ordinal) && !isKnown(item.Id);

    private async Task DeleteAsync(Ec2Interface leaked, CancellationToken cancellationToken)
    {
        try
        {
            await cleanUp.DeleteInterfaceAsync(leaked.Id, cancellationToken);
            Log.Deleted(logger, leaked.Id, leaked.Description);
        }
        catch (CloudException exception) when (exception.Kind == CloudErrorKind.Conflict)
        {
            // Attached meanwhile: in use.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(82, LogLevel.Information, "a leaked interface was deleted")]
        public static partial void Deleted(ILogger logger, NetworkInterfaceId eni, string description);

        [LoggerMessage(83, LogLevel.Warning, "leaked interfaces could not be deleted: retried later")]
        public static partial void NotCleaned(ILogger logger, Exception exception);
    }
}
