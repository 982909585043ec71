// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Decides how long a surplus is kept. Load usually returns within minutes, and assigning again costs calls. A surplus that comes from
/// changed settings, lies in a nearly exhausted subnet or is of no use to the mode is not kept.
/// </summary>
internal sealed class Retention(PoolSnapshot snapshot)
{
    /// <summary>When an unused surplus block may be released; in the past when it may be released now.</summary>
    public DateTimeOffset RemovableAt(InterfaceView item, BlockView block) =>
        Keeps(item, block.UnusedSince) ? block.UnusedSince + PoolLimits.IdleBlock : block.UnusedSince;

    /// <summary>When an unused interface may be removed. An interface that the targets need as warm reserve is not removed.</summary>
    public DateTimeOffset RemovableAt(InterfaceView item)
    {
        if (item.IsExcluded || !Keeps(item, item.UnusedSince))
            return Later(item.UnusedSince, item.FirstSeenAt + PoolLimits.MinimumInterfaceAge);
        var lastNeededAt = item.Total > 0 ? Later(item.UnusedSince, snapshot.LastNeededAt) : item.UnusedSince;
        return lastNeededAt + PoolLimits.IdleInterface;
    }

    /// <summary>Why an unused interface is kept until <see cref="RemovableAt(InterfaceView)"/>.</summary>
    public string Why(InterfaceView item) =>
        item.IsExcluded || !Keeps(item, item.UnusedSince) ? "an interface is kept for at least a minute" : KeptForLoad;

    /// <summary>Why an unused block is kept until <see cref="RemovableAt(InterfaceView, BlockView)"/>.</summary>
    public const string KeptForLoad = "kept in case the load comes back";

    private bool Keeps(InterfaceView item, DateTimeOffset unheldSince) =>
        !(unheldSince <= snapshot.TargetsChangedAt) && !IsShort(item.SubnetId) && !IsWithoutUse(item);

    /// <summary>Whether no load can need the interface: pods of this mode have addresses of the primary one.</summary>
    private bool IsWithoutUse(InterfaceView item) => snapshot.Capacity.HasOneBlockForAll && !item.IsPrimary;

    private bool IsShort(string subnetId) => snapshot.Subnets.Any(subnet => subnet.Id == subnetId && subnet.IsNearlyExhausted);

    private static DateTimeOffset Later(DateTimeOffset first, DateTimeOffset second) => first > second ? first : second;
}
