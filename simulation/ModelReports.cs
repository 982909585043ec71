// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;

namespace VpcCni.Simulation;

/// <summary>
/// The model kernel's reports to one daemon: delivered in order, each as work of its own, as the monitor's thread does. May overflow or
/// end.
/// </summary>
internal sealed class ModelReports(
    DaemonRun run,
    RouteMonitorGroups groups,
    Action<RouteNotification>? onChange,
    Action<string?>? onTable,
    Action<Exception> onError,
    Action<ModelReports> ended
) : IKernelReports
{
    private int _losing;

    public bool HasEnded { get; private set; }

    public void Dispose() => ended(this);

    internal void Deliver(RouteMonitorGroups group, RouteNotification change)
    {
        if (onChange is not null && groups.HasFlag(group))
            Post(() => onChange(change), () => onChange(new RouteNotification.Overflow()));
    }

    internal void TableChanged(string table)
    {
        if (onTable is not null)
            Post(() => onTable(table), () => onTable(null));
    }

    internal void Overrun(int lost) => _losing = lost;

    internal void End()
    {
        HasEnded = true;
        ended(this);
        run.Post(() => onError(new NetlinkException("netlink receive", Errno.EBADF, "the socket failed")));
    }

    private void Post(Action report, Action overflow)
    {
        if (!run.IsAlive)
        {
            ended(this);
            return;
        }

        if (_losing == 0)
            run.Post(report);
        else if (--_losing == 0)
            run.Post(overflow);
    }
}
