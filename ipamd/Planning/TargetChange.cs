// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Whether a surplus may still be there that other targets left: those of the daemon before, or those of one before it whose surplus was
/// not gone yet. Safe for several threads.
/// </summary>
/// <param name="before">As the checkpoint had them; null when it had none: then nothing has changed.</param>
/// <param name="now">As set, <see cref="PoolTargets.AllInWords"/>.</param>
internal sealed class TargetChange(RecordedTargets? before, string now)
{
    private volatile bool _isOpen = before is not null && (before.Words != now || before.IsChanging);

    /// <summary>For the checkpoint.</summary>
    public RecordedTargets Recorded => new(now, _isOpen);

    /// <summary>A surplus may still be there that other targets left.</summary>
    public bool IsOpen => _isOpen;

    /// <summary>That surplus is gone.</summary>
    public void Close() => _isOpen = false;
}
