// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// How long a surplus is kept. Load that comes back within minutes is the rule, and what it needs anew costs calls; but nothing is kept
/// that a change of the settings made a surplus, nor anything of a subnet that is short of addresses.
/// </summary>
internal sealed class Retention(PoolSnapshot snapshot)
{
    /// <summary>When an unused block that is a surplus goes; not later than now where it may at once.</summary>
    public DateTimeOffset GoesAt(InterfaceView item, BlockView block) =>
        Keeps(item, block.UnheldSince) ? block.UnheldSince + PoolLimits.IdleBlock : block.UnheldSince;

    /// <summary>The same for an unused interface. One that is only kept warm is needed, too, as long as the targets ask for it.</summary>
    public DateTimeOffset GoesAt(InterfaceView item)
    {
        if (item.IsExcluded || !Keeps(item, item.UnheldSince))
            return Later(item.UnheldSince, item.SeenAt + PoolLimits.MinimumInterfaceAge);
        var neededAt = item.Total > 0 ? Later(item.UnheldSince, snapshot.LastNeededAt) : item.UnheldSince;
        return neededAt + PoolLimits.IdleInterface;
    }

    /// <summary>Why an unused interface is still there before that.</summary>
    public string Why(InterfaceView item) =>
        item.IsExcluded || !Keeps(item, item.UnheldSince) ? "an interface stays for a minute at least" : ForLoad;

    /// <summary>Why an unused block is still there before that.</summary>
    public const string ForLoad = "kept in case the load comes back";

    private bool Keeps(InterfaceView item, DateTimeOffset unheldSince) =>
        !(unheldSince <= snapshot.TargetsChangedAt) && !IsShort(item.SubnetId);

    private bool IsShort(string subnetId) => snapshot.Subnets.Any(subnet => subnet.Id == subnetId && subnet.IsShort);

    private static DateTimeOffset Later(DateTimeOffset first, DateTimeOffset second) => first > second ? first : second;
}
