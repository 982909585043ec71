// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// Whether the targets are others than those of the daemon before. The checkpoint keeps the old ones until the surplus that they left is gone,
/// so that a restart in between does not forget it. Safe for several threads.
/// </summary>
/// <param name="before">As the checkpoint had them; null when it had none: then nothing has changed.</param>
/// <param name="now">As set, <see cref="PoolTargets.InWords"/>.</param>
internal sealed class TargetChange(string? before, string now)
{
    private volatile string _recorded = before ?? now;

    /// <summary>For the checkpoint.</summary>
    public string Recorded => _recorded;

    /// <summary>A surplus may still be there that the old targets left.</summary>
    public bool IsOpen => _recorded != now;

    /// <summary>That surplus is gone.</summary>
    public void Close() => _recorded = now;
}
