// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Deletes the host veths of deleted pods (<see cref="LinkGroups.Released"/>), for the plugin, which has taken their addresses off and does
/// not wait. All that gathered while the kernel worked on the last ones go in one request: thirty links cost about as much as one. On a
/// thread of its own, because the kernel takes 10 to 20 ms. Which links is asked of nobody and kept nowhere: the group is in the kernel, so
/// what a predecessor left is deleted at the start.
/// </summary>
internal sealed partial class ReleasedLinks : IDisposable
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(6);

    private readonly RouteNetlink _netlink;
    private readonly ILogger<ReleasedLinks> _logger;
    private readonly AutoResetEvent _wake = new(initialState: true);
    private readonly Thread _thread;
    private volatile bool _stopping;

    /// <summary>For the network namespace of the calling thread.</summary>
    public ReleasedLinks(ILogger<ReleasedLinks> logger)
    {
        _logger = logger;
        _netlink = RouteNetlink.Open();
        _thread = new Thread(Work) { IsBackground = true, Name = "released links" };
        _thread.Start();
    }

    /// <summary>There is something to delete, now or very soon. Returns at once.</summary>
    public void Request() => _wake.Set();

    public void Dispose()
    {
        _stopping = true;
        _wake.Set();
        // The receive timeout of the socket bounds the call that it may be in.
        if (!_thread.Join(StopDeadline))
            return;
        _netlink.Dispose();
        _wake.Dispose();
    }

    private void Work()
    {
        var failures = 0;
        while (true)
        {
            if (failures == 0)
                _wake.WaitOne();
            else
                _wake.WaitOne(RetryAfter);
            if (_stopping)
                return;
            try
            {
                _netlink.Execute(LinkRequests.DeleteGroup(LinkGroups.Released).Tolerating(Errno.ENODEV));
                failures = 0;
            }
            catch (NetlinkException exception)
            {
                // Once a series: the links are in nobody's way, their addresses are off.
                if (failures++ == 0)
                    Log.Failed(_logger, exception);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(250, LogLevel.Warning, "the links of deleted pods cannot be deleted: tried again every second")]
        public static partial void Failed(ILogger logger, NetlinkException exception);
    }
}
