// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Tracks whether a surplus from earlier targets may still be attached: from the targets of the previous daemon run, or of a run before
/// that whose surplus was not yet released. Thread-safe.
/// </summary>
/// <param name="before">The targets in the checkpoint; null when it has none, which counts as no change.</param>
/// <param name="now">The current targets, <see cref="PoolTargets.DescribeAll"/>.</param>
internal sealed class TargetChange(RecordedTargets? before, string now)
{
    private volatile bool _isOpen = before is not null && (before.Settings != now || before.IsChanging);

    /// <summary>The targets to write to the checkpoint.</summary>
    public RecordedTargets Recorded => new(now, _isOpen);

    /// <summary>Whether a surplus from earlier targets may still be attached.</summary>
    public bool IsOpen => _isOpen;

    /// <summary>Records that the surplus is released.</summary>
    public void Close() => _isOpen = false;
}
