// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The kernel's reports on links, addresses, routes, rules, settings and nftables tables. Started again when a socket failed; one report that cannot be understood is as good as a lost one.</summary>
/// <param name="ns">Null: the process's own namespace.</param>
/// <param name="time">For how often a failure is said.</param>
/// <param name="logger">Failures.</param>
/// <param name="onChange">A report on anything but nftables.</param>
/// <param name="onTableChange">A table of nftables changed; null: any may have.</param>
internal sealed partial class KernelMonitors(NetworkNamespace? ns, TimeProvider time, ILogger logger, Action<RouteNotification> onChange, Action<string?> onTableChange) : IDisposable
{
    private const RouteMonitorGroups Groups = RouteMonitorGroups.Links | RouteMonitorGroups.Addresses | RouteMonitorGroups.Routes | RouteMonitorGroups.Rules | RouteMonitorGroups.Ipv4Configuration;
    private static readonly TimeSpan SaidEvery = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private DateTimeOffset _said = DateTimeOffset.MinValue;
    private RouteMonitor? _routes;
    private NftMonitor? _nft;

    /// <summary>Both report, from before this returns. True when they were started just now: what changed before was not reported.</summary>
    /// <exception cref="NetlinkException">They cannot be started; none of them reports.</exception>
    public bool Ensure()
    {
        if (_routes is { HasEnded: false } && _nft is { HasEnded: false }) return false;
        Dispose();
        try
        {
            _routes = RouteMonitor.Start(ns, Groups, onChange, OnError);
            _nft = NftMonitor.Start(ns, onTableChange, OnError);
            return true;
        }
        catch
        {
            Dispose();
            throw;
        }
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
        [LoggerMessage(78, LogLevel.Warning, "a notification of the kernel was lost; everything is looked at again (said once a minute)")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
