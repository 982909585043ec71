// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Observability;
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd;

/// <summary>What the node turned out to be.</summary>
internal sealed record StartedNode(NodeIdentity Identity, NodeLimits Limits, NodeInterfaces Interfaces, InterfacePlacement Placement, bool IsDescribed);

/// <summary>
/// From nothing known to a ledger that shows what is attached: identify the node, learn its limits and its subnets, observe and wire the interfaces. The socket is open meanwhile and answers for what the
/// checkpoint holds.
/// </summary>
internal sealed partial class NodeStartup(ICloud cloud, DaemonState state, NetworkRanges ranges, TimeProvider time, Random random, ILogger<NodeStartup> logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    /// <summary>After this the daemon exits, so that a supervisor shows that the node does not come up.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromMinutes(10);

    /// <exception cref="CloudException">The cloud did not answer within <see cref="Deadline"/>.</exception>
    public async Task<StartedNode> RunAsync(Func<NodeIdentity, InterfacePlacement> placementFor, Func<NodeIdentity, InterfacePlacement, NodeInterfaces> interfacesFor, CancellationToken cancellationToken)
    {
        var giveUpAt = time.GetUtcNow() + Deadline;
        var identity = await RetryAsync("identify this node (instance metadata)", cloud.IdentifyNodeAsync, giveUpAt, cancellationToken);
        state.Identified(identity);
        Log.Identified(logger, identity.NodeId, identity.NodeType, identity.Zone, identity.PrimaryAddress);
        ranges.Set(await RetryAsync("read the network's address ranges (instance metadata)", cloud.DescribeNetworkRangesAsync, giveUpAt, cancellationToken));
        var limits = await RetryAsync($"learn the limits of {identity.NodeType}", token => cloud.DescribeLimitsAsync(identity.NodeType, token), giveUpAt, cancellationToken);
        var placement = placementFor(identity);
        var isDescribed = placement.Describes && await TryDescribeAsync(placement, cancellationToken);
        var interfaces = interfacesFor(identity, placement);
        await RetryAsync("observe the attached interfaces", interfaces.ObserveAsync, giveUpAt, cancellationToken);
        return new StartedNode(identity, limits, interfaces, placement, isDescribed && placement.IsDescribed);
    }

    /// <summary>Which pods need no new interface for are served without it; asked again later.</summary>
    private async Task<bool> TryDescribeAsync(InterfacePlacement placement, CancellationToken cancellationToken)
    {
        try
        {
            await placement.DescribeAsync(cloud, cancellationToken);
            return true;
        }
        catch (CloudException exception)
        {
            Log.SubnetsUnknown(logger, exception);
            return false;
        }
    }

    /// <summary>As long as the operator forbids calls, waiting is what is asked for: pods that are known are answered meanwhile.</summary>
    private bool IsWorthWaiting(Exception exception, TimeSpan pause, DateTimeOffset giveUpAt)
        => exception is CloudException { Kind: CloudErrorKind.Disabled } || (exception is CloudException or HostNetworkException && time.GetUtcNow() + pause < giveUpAt);

    private async Task<T> RetryAsync<T>(string what, Func<CancellationToken, Task<T>> call, DateTimeOffset giveUpAt, CancellationToken cancellationToken)
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
        public static partial void Retrying(ILogger logger, string step, double retryInSeconds, DateTimeOffset giveUpAt, Exception exception);

        [LoggerMessage(84, LogLevel.Warning, "the subnets could not be described: tried again later, until then new interfaces go where it is known that they may")]
        public static partial void SubnetsUnknown(ILogger logger, Exception exception);
    }
}
