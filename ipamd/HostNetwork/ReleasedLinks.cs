// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Deletes the links that the plugin released (<see cref="LinkGroups.Released"/>), in batches: thirty links cost the kernel about as much
/// as one. Runs on a thread of its own, because the kernel takes 10 to 20 ms. The group is the kernel's state, so links that an earlier
/// daemon left are deleted at the start.
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

    /// <summary>Starts the thread, for the network namespace of the caller.</summary>
    public ReleasedLinks(ILogger<ReleasedLinks> logger)
    {
        _logger = logger;
        _netlink = RouteNetlink.Open();
        _thread = new Thread(Work) { IsBackground = true, Name = "released links" };
        _thread.Start();
    }

    /// <summary>Requests a deletion of all released links. Returns at once.</summary>
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
                // Logged once for a series: no address is routed to the links any more.
                if (failures++ == 0)
                    Log.Failed(_logger, exception);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(250, LogLevel.Warning, "the links of deleted pods could not be deleted: retried every second")]
        public static partial void Failed(ILogger logger, NetlinkException exception);
    }
}
