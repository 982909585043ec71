// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Observability;
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd;

/// <summary>What the node turned out to be, and the membership that has been observed.</summary>
internal sealed record StartedNode(NodeIdentity Identity, PoolCapacity Capacity, InterfacePolicy Policy, NodeInterfaces Interfaces);

/// <summary>
/// From nothing known to a ledger that shows what is attached: identify the node, learn its limits, observe and wire the
/// interfaces, take back what a crash left half-made. The socket is open meanwhile and answers for what the checkpoint holds.
/// </summary>
internal sealed partial class NodeStartup(ICloud cloud, DaemonState state, NetworkRanges ranges, TimeProvider time, Random random, ILogger<NodeStartup> logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    /// <summary>After this the daemon exits, so that a supervisor shows that the node does not come up.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromMinutes(10);

    public delegate NodeInterfaces InterfacesFactory(InterfacePolicy policy);

    /// <exception cref="CloudException">The cloud did not answer within <see cref="Deadline"/>.</exception>
    public async Task<StartedNode> RunAsync(PoolTargets targets, Func<NodeIdentity, InterfacePolicy> policyFor, InterfacesFactory interfacesFor, CancellationToken cancellationToken)
    {
        var giveUpAt = time.GetUtcNow() + Deadline;
        var identity = await RetryAsync("identify this node (instance metadata)", cloud.IdentifyNodeAsync, giveUpAt, cancellationToken);
        state.Identified(identity);
        Log.Identified(logger, identity.NodeId, identity.NodeType, identity.Zone, identity.PrimaryAddress);
        ranges.Set(await RetryAsync("read the network's address ranges (instance metadata)", cloud.DescribeNetworkRangesAsync, giveUpAt, cancellationToken));
        var limits = await RetryAsync($"learn the limits of {identity.NodeType}", token => cloud.DescribeLimitsAsync(identity.NodeType, token), giveUpAt, cancellationToken);
        var policy = policyFor(identity);
        var interfaces = interfacesFor(policy);
        await RetryAsync("observe the attached interfaces", interfaces.ObserveAsync, giveUpAt, cancellationToken);
        return new StartedNode(identity, Capacity(limits, targets), policy, interfaces);
    }

    private static PoolCapacity Capacity(NodeLimits limits, PoolTargets targets)
    {
        var interfaces = Math.Min(targets.MaxEni ?? int.MaxValue, limits.MaxInterfaces);
        return new PoolCapacity(interfaces, limits.Ipv4AddressesPerInterface - 1, targets.MaxPods ?? PoolCapacity.DefaultMaxPods(limits.MaxInterfaces, limits.Ipv4AddressesPerInterface));
    }

    /// <summary>Interfaces with this node's tag that are attached to nothing: a crash came between create and attach, or between detach and delete. No pod can use them.
    /// Before the pool creates its first one, which would look the same.</summary>
    public async Task TakeBackLeftoversAsync(CancellationToken cancellationToken)
    {
        // Those that cannot be deleted now cost a quota, not a pod: the next start tries again.
        try
        {
            foreach (var leftover in await cloud.DescribeUnattachedInterfacesAsync(cancellationToken)) await TakeBackAsync(leftover, cancellationToken);
        }
        catch (CloudException exception)
        {
            Log.LeftoversStay(logger, exception);
        }
    }

    private async Task TakeBackAsync(CloudInterface leftover, CancellationToken cancellationToken)
    {
        try
        {
            await cloud.DeleteInterfaceAsync(leftover.Id, cancellationToken);
            Log.LeftoverDeleted(logger, leftover.Id);
        }
        catch (CloudException exception)
        {
            Log.LeftoversStay(logger, exception);
        }
    }

    private Task<bool> RetryAsync(string what, Func<CancellationToken, Task> call, DateTimeOffset giveUpAt, CancellationToken cancellationToken)
        => RetryAsync(what, async token => { await call(token); return true; }, giveUpAt, cancellationToken);

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
            catch (Exception exception) when (exception is CloudException or HostNetworkException && time.GetUtcNow() + pause < giveUpAt)
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
        [LoggerMessage(80, LogLevel.Information, "this node is {NodeId}, {NodeType} in {Zone}, primary address {Address}")]
        public static partial void Identified(ILogger logger, string nodeId, string nodeType, string zone, System.Net.IPAddress address);

        [LoggerMessage(81, LogLevel.Warning, "could not {What}; tried again in about {Seconds:0} s, given up at {GiveUpAt:O}")]
        public static partial void Retrying(ILogger logger, string what, double seconds, DateTimeOffset giveUpAt, Exception exception);

        [LoggerMessage(82, LogLevel.Information, "{EniId} was left behind half-made by an earlier run of this daemon; deleted")]
        public static partial void LeftoverDeleted(ILogger logger, Ledger.NetworkInterfaceId eniId);

        [LoggerMessage(83, LogLevel.Warning, "interfaces that an earlier run left behind could not be cleaned up now")]
        public static partial void LeftoversStay(ILogger logger, Exception exception);
    }
}
