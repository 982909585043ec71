// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The kernel's reports on links, addresses, routes, rules, settings and nftables tables. Each of the two kinds is started again
/// when its socket failed, whatever becomes of the other; one report that
/// cannot be understood is as good as a lost one.</summary>
/// <param name="kernel">Reports.</param>
/// <param name="time">For how often a failure is said.</param>
/// <param name="logger">Failures.</param>
/// <param name="onChange">A report on anything but nftables.</param>
/// <param name="onTableChange">A table of nftables changed; null: any may have.</param>
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
    private static readonly TimeSpan SaidEvery = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private DateTimeOffset _said = DateTimeOffset.MinValue;
    private IKernelReports? _routes;
    private IKernelReports? _nft;

    /// <summary>
    /// Everything but nftables is reported, from before this returns. True when that was started just now: what changed before was not
    /// reported.
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

    /// <summary>The same for nftables, which the kernel may lack.</summary>
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

    /// <summary>Whether the socket failed is asked at the next look, which this leads to.</summary>
    private void OnError(Exception exception)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            if (now - _said >= SaidEvery)
            {
                _said = now;
                Log.Failed(logger, exception);
            }
        }

        onChange(new RouteNotification.Overflow());
        onTableChange(null);
    }

    private static partial class Log
    {
        [LoggerMessage(78, LogLevel.Warning, "a notification of the kernel was lost: everything is looked at again (said once a minute)")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
