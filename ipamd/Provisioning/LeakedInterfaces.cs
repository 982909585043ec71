// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Deletes interfaces that some node's daemon made and that are attached to nothing: this node's at every start, any node's once an hour,
/// since a node that is gone cannot clean up after itself. One describe an hour and node. What an open intent is about is left to it, what
/// the ledger has is left until an observation says that it is off the node, and everything that was made a moment ago is left to its node,
/// which may be about to attach it. An interface that is attached cannot be deleted, so no live one is ever touched.
/// </summary>
/// <param name="cloud">To look for this node's own.</param>
/// <param name="cleanUp">The same, for calls that come after everything else.</param>
/// <param name="ledger">Knows the open intents.</param>
/// <param name="ownDescription">
/// See <see cref="InterfacePolicy.OwnDescription"/>: the daemon tags every interface that it uses, also one that an operator made.
/// </param>
/// <param name="time">The clock.</param>
/// <param name="random">For jitter.</param>
/// <param name="logger">Told of every deletion.</param>
internal sealed partial class LeakedInterfaces(
    ICloud cloud,
    ICloud cleanUp,
    IpLedger ledger,
    string ownDescription,
    TimeProvider time,
    Random random,
    ILogger<LeakedInterfaces> logger
)
{
    /// <summary>Tag that says when an interface was made; RFC 3339.</summary>
    public const string CreatedAtTag = "node.k8s.amazonaws.com/createdAt";

    /// <summary>Between create and attach lie seconds; the reference waits as long.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromMinutes(5);

    /// <summary>By then a description shows what an earlier run did, and what it left open has been gone on with.</summary>
    public static readonly TimeSpan OwnDelay = TimeSpan.FromMinutes(1);

    public static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    /// <summary>More in one run would be an avalanche of calls; the rest waits for the next.</summary>
    public const int MaxDeletesPerRun = 20;

    private DateTimeOffset? _startedAt;

    /// <summary>
    /// Runs until cancelled: this node's own soon after the start, then, where <paramref name="everywhere"/>, all of them once an hour, at
    /// another moment on every node.
    /// </summary>
    public async Task RunAsync(bool everywhere, CancellationToken cancellationToken)
    {
        // The daemon's, also when this begins again: what this daemon has made since it may be about to attach.
        var startedAt = _startedAt ??= time.GetUtcNow();
        await Task.Delay(OwnDelay, time, cancellationToken);
        await CleanOwnAsync(startedAt, cancellationToken);
        var pause = Interval * random.NextDouble();
        while (everywhere)
        {
            await Task.Delay(pause, time, cancellationToken);
            await CleanAsync(cancellationToken);
            pause = Interval * (1 + (random.NextDouble() * 0.1));
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
    }

    /// <summary>
    /// Interfaces that earlier runs on this node left half-made and that no intent knows, of whatever age: nobody but this daemon could be
    /// about to attach them.
    /// </summary>
    private async Task CleanOwnAsync(DateTimeOffset startedAt, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var leftover in await cloud.DescribeUnattachedInterfacesAsync(cancellationToken))
            {
                if (MayGo(leftover) && !(CreatedAt(leftover) >= startedAt))
                    await DeleteAsync(leftover, cancellationToken);
            }
        }
        catch (CloudException exception)
        {
            Log.NotCleaned(logger, exception);
        }
    }

    /// <summary>One run over the whole network.</summary>
    public async Task CleanAsync(CancellationToken cancellationToken)
    {
        try
        {
            var deleted = 0;
            foreach (var candidate in await cleanUp.DescribeLeakCandidatesAsync(cancellationToken))
            {
                if (deleted >= MaxDeletesPerRun)
                    return;
                if (!MayGo(candidate))
                    continue;
                if (CreatedAt(candidate) is not { } createdAt || createdAt > time.GetUtcNow() + MinimumAge)
                {
                    // Its age is not known (no tag, or the clock of its node was wrong): it counts from now, and the next run decides.
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

    private static DateTimeOffset? CreatedAt(CloudInterface item) =>
        item.Tags.TryGetValue(CreatedAtTag, out var text)
        && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : null;

    /// <summary>A daemon made it, and this one neither believes it attached nor is about to attach or to delete it.</summary>
    private bool MayGo(CloudInterface item) =>
        item.Description.StartsWith(ownDescription, StringComparison.Ordinal) && !IsOursStill(item.Id);

    private bool IsOursStill(NetworkInterfaceId id)
    {
        var view = ledger.View(time.GetUtcNow());
        return view.Interfaces.Any(item => item.Id == id)
            || view.Intents.Any(open =>
                open.Intent switch
                {
                    Intent.AddInterface add => add.Created == id,
                    Intent.RemoveInterface remove => remove.Interface == id,
                    _ => false,
                }
            );
    }

    private async Task DeleteAsync(CloudInterface leaked, CancellationToken cancellationToken)
    {
        try
        {
            await cleanUp.DeleteInterfaceAsync(leaked.Id, cancellationToken);
            Log.Deleted(logger, leaked.Id, leaked.Description);
        }
        catch (CloudException exception) when (exception.Kind == CloudErrorKind.Conflict)
        {
            // Attached after all: live.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(82, LogLevel.Information, "an interface that was left behind attached to nothing was deleted")]
        public static partial void Deleted(ILogger logger, NetworkInterfaceId eni, string description);

        [LoggerMessage(83, LogLevel.Warning, "interfaces that were left behind could not be cleaned up now: tried again later")]
        public static partial void NotCleaned(ILogger logger, Exception exception);
    }
}
