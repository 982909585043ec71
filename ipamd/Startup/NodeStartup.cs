// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Startup;

/// <summary>What the node turned out to be.</summary>
/// <param name="Identity">By the instance metadata.</param>
/// <param name="Limits">Of its type; null when they could not be learned and there is something to serve without them.</param>
/// <param name="Interfaces">Observed, or presumed.</param>
/// <param name="Placement">Where new interfaces go.</param>
/// <param name="IsDescribed">The subnets have been described.</param>
/// <param name="NotObserved">Why the cloud has not been observed, so that what is attached is presumed; null when it has.</param>
internal sealed record StartedNode(
    NodeIdentity Identity,
    NodeLimits? Limits,
    InterfaceInventory Interfaces,
    InterfacePlacement Placement,
    bool IsDescribed,
    CloudException? NotObserved
);

/// <summary>
/// From nothing known to a ledger that shows what is attached: identify the node, describe its subnets, observe and wire the interfaces,
/// learn its limits. The socket is open meanwhile and answers for what the checkpoint holds. Only the instance metadata is needed to serve:
/// where the cloud does not answer, what checkpoint and metadata agree on is presumed to be attached; only growth and release wait.
/// </summary>
internal sealed partial class NodeStartup(
    ICloud cloud,
    DaemonState state,
    NetworkRanges ranges,
    TimeProvider time,
    Random random,
    ILogger<NodeStartup> logger
)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    /// <summary>After this the daemon exits, so that a supervisor shows that the node does not come up.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromMinutes(10);

    /// <exception cref="CloudException">The cloud did not answer within <see cref="Deadline"/>.</exception>
    public async Task<StartedNode> RunAsync(
        Func<NodeIdentity, InterfacePlacement> placementFor,
        Func<NodeIdentity, InterfacePlacement, InterfaceInventory> interfacesFor,
        CancellationToken cancellationToken
    )
    {
        var giveUpAt = time.GetUtcNow() + Deadline;
        var identity = await RetryAsync("identify this node (instance metadata)", cloud.IdentifyNodeAsync, giveUpAt, cancellationToken);
        state.Identified(identity);
        Log.Identified(logger, identity.NodeId, identity.NodeType, identity.Zone, identity.PrimaryAddress);
        ranges.Set(
            await RetryAsync(
                "read the network's address ranges (instance metadata)",
                cloud.DescribeNetworkRangesAsync,
                giveUpAt,
                cancellationToken
            )
        );
        var placement = placementFor(identity);
        var interfaces = interfacesFor(identity, placement);

        // With something to serve, the cloud's first answer is waited for a moment, and asked for again beside the pool.
        using var moment = new CancellationTokenSource(interfaces.MayPresume ? PoolLimits.FirstAnswer : Timeout.InfiniteTimeSpan, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(moment.Token, cancellationToken);
        var isDescribed = placement.Describes && await TryDescribeAsync(placement, either.Token, cancellationToken);
        var notObserved = await RetryAsync(
            "observe the attached interfaces",
            token => ObserveOrPresumeAsync(interfaces, moment, token),
            giveUpAt,
            cancellationToken
        );
        if (notObserved is not null)
            Log.Presumed(logger, notObserved);
        var limits = await LimitsAsync(
            identity.NodeType,
            mayServe: notObserved is not null || interfaces.HasAddresses,
            giveUpAt,
            either.Token,
            cancellationToken
        );
        return new StartedNode(identity, limits, interfaces, placement, isDescribed && placement.IsDescribed, notObserved);
    }

    /// <returns>Why the cloud could not be observed, and what is attached is presumed; null when it was.</returns>
    private async Task<CloudException?> ObserveOrPresumeAsync(
        InterfaceInventory interfaces,
        CancellationTokenSource moment,
        CancellationToken cancellationToken
    )
    {
        // Once the moment is over, and the metadata confirmed nothing, there is nothing to hurry for.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var hurry = moment.IsCancellationRequested ? default : moment.Token.Register(either.Cancel);
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
                $"no answer within {PoolLimits.FirstAnswer.TotalSeconds:0} s of the start"
            );
            return await TryPresumeAsync(interfaces, cancellationToken) ? failure : throw failure;
        }
        catch (CloudException failure)
        {
            if (await TryPresumeAsync(interfaces, cancellationToken))
                return failure;
            throw;
        }
    }

    /// <summary>A metadata service that does not answer confirms nothing.</summary>
    private async Task<bool> TryPresumeAsync(InterfaceInventory interfaces, CancellationToken cancellationToken)
    {
        try
        {
            return await interfaces.PresumeAsync(cancellationToken) > 0;
        }
        catch (CloudException exception)
        {
            Log.NotPresumed(logger, exception);
            return false;
        }
    }

    /// <summary>
    /// From the table of instance types as a rule. Of a type that is not in it, they are needed before anything can be attached, and not
    /// for what is.
    /// </summary>
    private async Task<NodeLimits?> LimitsAsync(
        string nodeType,
        bool mayServe,
        DateTimeOffset giveUpAt,
        CancellationToken moment,
        CancellationToken cancellationToken
    )
    {
        if (cloud.KnownLimits(nodeType) is { } known)
            return known;
        var what = $"learn the limits of {nodeType}";
        if (!mayServe)
            return await RetryAsync(what, token => cloud.DescribeLimitsAsync(nodeType, token), giveUpAt, cancellationToken);
        try
        {
            state.Starting(what);
            return await cloud.DescribeLimitsAsync(nodeType, moment);
        }
        catch (Exception exception)
            when (exception is CloudException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            Log.LimitsUnknown(logger, nodeType, exception);
            return null;
        }
    }

    /// <summary>Which pods need no new interface for are served without it; asked again later.</summary>
    private async Task<bool> TryDescribeAsync(InterfacePlacement placement, CancellationToken moment, CancellationToken cancellationToken)
    {
        try
        {
            await placement.DescribeAsync(cloud, moment);
            return true;
        }
        catch (Exception exception)
            when (exception is CloudException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            Log.SubnetsUnknown(logger, exception);
            return false;
        }
    }

    /// <summary>As long as the operator forbids calls, waiting is what is asked for: pods that are known are answered meanwhile.</summary>
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
        var pause = FirstPause;
        while (true)
        {
            state.Starting(what);
            try
            {
                return await call(cancellationToken);
            }
            catch (Exception exception) when (IsWorthWaiting(exception, pause, giveUpAt))
            {
                state.Starting($"could not {what}: {exception.Message}");
                Log.Retrying(logger, what, pause.TotalSeconds, giveUpAt, exception);
            }

            await Task.Delay(pause * (0.5 + (random.NextDouble() / 2)), time, cancellationToken);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(80, LogLevel.Information, "the node is identified")]
        public static partial void Identified(ILogger logger, string node, string instanceType, string zone, System.Net.IPAddress ip);

        [LoggerMessage(81, LogLevel.Warning, "a step of the start failed and is tried again")]
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
            "the cloud cannot be asked what is attached: until it answers, addresses that checkpoint and metadata agree on are given "
                + "to pods, and nothing is attached or released"
        )]
        public static partial void Presumed(ILogger logger, Exception exception);

        [LoggerMessage(
            89,
            LogLevel.Warning,
            "the metadata could not be read: nothing that the checkpoint holds can be confirmed before the cloud answers"
        )]
        public static partial void NotPresumed(ILogger logger, Exception exception);

        [LoggerMessage(
            87,
            LogLevel.Warning,
            "the limits of the instance type could not be learned: what is attached is served, and nothing is added before they are known"
        )]
        public static partial void LimitsUnknown(ILogger logger, string instanceType, Exception exception);

        [LoggerMessage(
            84,
            LogLevel.Warning,
            "the subnets could not be described: tried again later, until then new interfaces go where it is known that they may"
        )]
        public static partial void SubnetsUnknown(ILogger logger, Exception exception);
    }
}
