// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Startup;

/// <summary>Result of the node's start.</summary>
/// <param name="Identity">Identity from the instance metadata.</param>
/// <param name="Limits">Limits of its type; null when they are unknown and pods can be served without them.</param>
/// <param name="Pool">The parts of the pool, with the interfaces observed or taken from checkpoint and metadata.</param>
/// <param name="IsDescribed">Whether the subnets have been described.</param>
/// <param name="NotObserved">
/// Why the cloud has not been observed, so that interfaces are those of checkpoint and metadata; null when it has.
/// </param>
internal sealed record StartedNode(NodeIdentity Identity, NodeLimits? Limits, NodePool Pool, bool IsDescribed, CloudException? NotObserved);

/// <summary>
/// Starts the node: identifies it, describes its subnets, observes its interfaces and configures their links, and reads its limits. The
/// socket is open meanwhile and serves the attachments of the checkpoint. Serving pods needs the instance metadata only: when the cloud
/// does not answer, the interfaces that checkpoint and metadata agree on are used; only growth and release wait.
/// </summary>
internal sealed partial class NodeStartup(
    CloudPorts cloud,
    DaemonState state,
    NetworkRanges ranges,
    TimeProvider time,
    Random random,
    ILogger<NodeStartup> logger
)
{
    private static readonly Backoff Pauses = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(15), randomShare: 0.5);

    /// <summary>Time after which the daemon exits, so that a supervisor shows the failed start.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromMinutes(10);

    /// <summary>Runs the start, with retries.</summary>
    /// <exception cref="CloudException">The cloud did not answer within <see cref="Deadline"/>.</exception>
    public async Task<StartedNode> RunAsync(Func<NodeIdentity, NodePool> poolFor, CancellationToken cancellationToken)
    {
        var giveUpAt = time.GetUtcNow() + Deadline;
        var identity = await RetryAsync(
            "identify this node (instance metadata)",
            cloud.Node.IdentifyNodeAsync,
            giveUpAt,
            cancellationToken
        );
        state.Identified(identity);
        Log.Identified(logger, identity.NodeId, identity.NodeType, identity.Zone, identity.PrimaryAddress);
        ranges.Set(
            await RetryAsync(
                "read the network's address ranges (instance metadata)",
                cloud.Node.DescribeNetworkRangesAsync,
                giveUpAt,
                cancellationToken
            )
        );
        var pool = poolFor(identity);
        var (placement, interfaces) = (pool.Placement, pool.Interfaces);

        // When pods can be served, waits only briefly for the cloud's first answer; the pool retries it in the background.
        using var firstAnswer = new CancellationTokenSource(
            interfaces.CanApplyHint ? PoolLimits.FirstObservationWait : Timeout.InfiniteTimeSpan,
            time
        );
        using var either = CancellationTokenSource.CreateLinkedTokenSource(firstAnswer.Token, cancellationToken);
        var isDescribed = placement.Describes && await TryDescribeAsync(placement, either.Token, cancellationToken);
        var notObserved = await RetryAsync(
            "observe the attached interfaces",
            token => ObserveOrApplyHintAsync(interfaces, firstAnswer, token),
            giveUpAt,
            cancellationToken
        );
        if (notObserved is not null)
            Log.HintApplied(logger, notObserved);
        var limits = await LimitsAsync(
            identity.NodeType,
            mayServe: notObserved is not null || interfaces.HasAddresses,
            giveUpAt,
            either.Token,
            cancellationToken
        );
        return new StartedNode(identity, limits, pool, isDescribed && placement.IsDescribed, notObserved);
    }

    /// <returns>Why the cloud could not be observed, so that checkpoint and metadata are used; null when it was.</returns>
    private async Task<CloudException?> ObserveOrApplyHintAsync(
        InterfaceInventory interfaces,
        CancellationTokenSource firstAnswer,
        CancellationToken cancellationToken
    )
    {
        // When the brief wait has passed and the metadata confirmed nothing, there is no reason to hurry.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var hurry = firstAnswer.IsCancellationRequested ? default : firstAnswer.Token.Register(either.Cancel);
        try
        {
            await interfaces.ObserveAsync(either.Token);
            return null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            var failure = new CloudException(
                CloudErrorKind.Transient,
                "DescribeAttachedInterfaces",
                InterfaceSync.NoFirstAnswer,
                $"no answer within {PoolLimits.FirstObservationWait.TotalSeconds:0} s of the start"
            );
            return await TryApplyHintAsync(interfaces, cancellationToken) ? failure : throw failure;
        }
        catch (CloudException failure)
        {
            if (await TryApplyHintAsync(interfaces, cancellationToken))
                return failure;
            throw;
        }
    }

    /// <summary>Applies checkpoint and metadata. A metadata service that does not answer confirms nothing.</summary>
    private async Task<bool> TryApplyHintAsync(InterfaceInventory interfaces, CancellationToken cancellationToken)
    {
        try
        {
            return await interfaces.ApplyHintAsync(cancellationToken) > 0;
        }
        catch (CloudException exception)
        {
            Log.HintFailed(logger, exception);
            return false;
        }
    }

    /// <summary>
    /// Reads the limits, usually from the table of instance types. Those of other types are needed to add anything, not to serve the
    /// attached interfaces.
    /// </summary>
    private async Task<NodeLimits?> LimitsAsync(
        string nodeType,
        bool mayServe,
        DateTimeOffset giveUpAt,
        CancellationToken firstAnswer,
        CancellationToken cancellationToken
    )
    {
        if (cloud.Node.KnownLimits(nodeType) is { } known)
            return known;
        var what = $"read the limits of {nodeType}";
        if (!mayServe)
            return await RetryAsync(what, token => cloud.Node.DescribeLimitsAsync(nodeType, token), giveUpAt, cancellationToken);
        try
        {
            state.Starting(what);
            return await cloud.Node.DescribeLimitsAsync(nodeType, firstAnswer);
        }
        catch (Exception exception)
            when (exception is CloudException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            Log.LimitsUnknown(logger, nodeType, exception);
            return null;
        }
    }

    /// <summary>
    /// Describes the subnets. On failure, pods that need no new interface are served, and the description is retried later.
    /// </summary>
    private async Task<bool> TryDescribeAsync(
        InterfacePlacement placement,
        CancellationToken firstAnswer,
        CancellationToken cancellationToken
    )
    {
        try
        {
            await placement.DescribeAsync(cloud.Subnets, firstAnswer);
            return true;
        }
        catch (Exception exception)
            when (exception is CloudException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            Log.SubnetsUnknown(logger, exception);
            return false;
        }
    }

    /// <summary>
    /// Whether to retry. While the operator forbids calls, waiting is intended, and known attachments are served meanwhile.
    /// </summary>
    private bool IsWorthWaiting(Exception exception, TimeSpan pause, DateTimeOffset giveUpAt) =>
        exception is CloudException { Kind: CloudErrorKind.Disabled }
        || (exception is CloudException or HostNetworkException && time.GetUtcNow() + pause < giveUpAt);

    private async Task<T> RetryAsync<T>(
        string what,
        Func<CancellationToken, Task<T>> call,
        DateTimeOffset giveUpAt,
        CancellationToken cancellationToken
    )
    {
        for (var failures = 1; ; failures++)
        {
            state.Starting(what);
            try
            {
                return await call(cancellationToken);
            }
            catch (Exception exception) when (IsWorthWaiting(exception, Pauses.Ceiling(failures), giveUpAt))
            {
                var pause = Pauses.Pause(failures, random);
                state.Starting($"could not {what}: {exception.Message}");
                Log.Retrying(logger, what, pause.TotalSeconds, giveUpAt, exception);
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(80, LogLevel.Information, "the node is identified")]
        public static partial void Identified(ILogger logger, string node, string instanceType, string zone, System.Net.IPAddress ip);

        [LoggerMessage(81, LogLevel.Warning, "a step of the start failed and is retried")]
        public static partial void Retrying(
            ILogger logger,
            string step,
            double retryInSeconds,
            DateTimeOffset giveUpAt,
            Exception exception
        );

        [LoggerMessage(
            88,
            LogLevel.Warning,
            "the cloud does not answer: until it does, pods get addresses that checkpoint and metadata agree on, and nothing is attached "
                + "or released"
        )]
        public static partial void HintApplied(ILogger logger, Exception exception);

        [LoggerMessage(
            89,
            LogLevel.Warning,
            "the metadata could not be read: the checkpoint's interfaces cannot be confirmed before the cloud answers"
        )]
        public static partial void HintFailed(ILogger logger, Exception exception);

        [LoggerMessage(
            87,
            LogLevel.Warning,
            "the limits of the instance type could not be read: attached interfaces are used, and nothing is added until they are known"
        )]
        public static partial void LimitsUnknown(ILogger logger, string instanceType, Exception exception);

        [LoggerMessage(
            84,
            LogLevel.Warning,
            "the subnets could not be described: retried later; until then new interfaces go into known subnets"
        )]
        public static partial void SubnetsUnknown(ILogger logger, Exception exception);
    }
}
