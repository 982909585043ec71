// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Subscribes to the kernel's reports on links, addresses, routes, rules, settings and nftables tables. Restarts each of the two
/// subscriptions when its socket has failed, independently of the other. A report that cannot be parsed counts as lost.
/// </summary>
/// <param name="kernel">The kernel.</param>
/// <param name="time">Clock of the log's rate limit.</param>
/// <param name="logger">Gets failures, at most one a minute.</param>
/// <param name="onChange">Called with reports on anything but nftables.</param>
/// <param name="onTableChange">Called with the name of a changed nftables table; null when any may have changed.</param>
internal sealed partial class KernelMonitors(
    IHostKernel kernel,
    TimeProvider time,
    ILogger logger,
    Action<RouteNotification> onChange,
    Action<string?> onTableChange
) : IDisposable
{
    private const RouteMonitorGroups Groups =
        RouteMonitorGroups.Links
        | RouteMonitorGroups.Addresses
        | RouteMonitorGroups.Routes
        | RouteMonitorGroups.Rules
        | RouteMonitorGroups.Ipv4Configuration;
    private static readonly TimeSpan LogInterval = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private DateTimeOffset _loggedAt = DateTimeOffset.MinValue;
    private IKernelReports? _routes;
    private IKernelReports? _nft;

    /// <summary>
    /// Ensures that everything but nftables is reported, from before this returns. True when the subscription was just started: earlier
    /// changes were not reported.
    /// </summary>
    /// <exception cref="NetlinkException">It cannot be started.</exception>
    public bool EnsureRoutes()
    {
        if (_routes is { HasEnded: false })
            return false;
        _routes?.Dispose();
        _routes = null;
        _routes = kernel.Watch(Groups, onChange, OnError);
        return true;
    }

    /// <summary>Ensures the same for nftables, which the kernel may lack.</summary>
    /// <exception cref="NetlinkException">It cannot be started.</exception>
    public bool EnsureTables()
    {
        if (_nft is { HasEnded: false })
            return false;
        _nft?.Dispose();
        _nft = null;
        _nft = kernel.WatchTables(onTableChange, OnError);
        return true;
    }

    public void Dispose()
    {
        _routes?.Dispose();
        _nft?.Dispose();
        (_routes, _nft) = (null, null);
    }

    /// <summary>Requests a sync, which checks whether the socket has failed.</summary>
    private void OnError(Exception exception)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            if (now - _loggedAt >= LogInterval)
            {
                _loggedAt = now;
                Log.Failed(logger, exception);
            }
        }

        onChange(new RouteNotification.Overflow());
        onTableChange(null);
    }

    private static partial class Log
    {
        [LoggerMessage(
            78,
            LogLevel.Warning,
            "notifications of the kernel were lost: the host's network is read again (logged at most once a minute)"
        )]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
