// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The repairs of one look: holds back kinds that another program keeps undoing, and adds up what changed something.</summary>
/// <param name="journal">Which kinds have to wait; gets the sums.</param>
/// <param name="kernel">Applies them.</param>
/// <param name="now">The time now.</param>
/// <param name="failures">Gets what the kernel refuses.</param>
internal sealed class RepairPass(RepairJournal journal, HostAccess kernel, DateTimeOffset now, List<Exception> failures)
{
    private readonly Dictionary<RepairKind, (int Count, string First)> _made = [];
    private readonly HashSet<RepairKind> _wanted = [];

    /// <summary>
    /// When something is to be looked at again: at once after a repair, to see that it stays; after the pause, what was held back. Null:
    /// nothing had to be repaired.
    /// </summary>
    public DateTimeOffset? LookAgain { get; private set; }

    /// <returns>Those that changed something.</returns>
    public IReadOnlyList<Repair> Apply(IReadOnlyList<Repair> repairs)
    {
        if (repairs.Count == 0)
            return [];
        var outcome = kernel.Apply([.. repairs.Where(repair => IsDue(repair.Kind))]);
        if (outcome.Failure is { } failure)
            failures.Add(failure);
        foreach (var repair in outcome.Done)
            Made(repair.Kind, () => repair.Description);
        return outcome.Done;
    }

    /// <exception cref="HostNetworkException">It cannot be written.</exception>
    public void Apply(SettingRepair setting)
    {
        if (!IsDue(RepairKind.Setting))
            return;
        kernel.Apply(setting);
        Made(RepairKind.Setting, setting.ToString);
    }

    /// <param name="isSettled">False: what was missing was never there.</param>
    public void End(bool isSettled)
    {
        foreach (var (kind, (count, first)) in _made)
        {
            if (isSettled)
                journal.Repaired(kind, count, first);
            else
                journal.PutThere(kind, count, first);
        }

        foreach (var kind in Enum.GetValues<RepairKind>())
        {
            if (kind != RepairKind.Nat && !_wanted.Contains(kind))
                journal.Right(kind);
        }
    }

    private bool IsDue(RepairKind kind)
    {
        _wanted.Add(kind);
        var notBefore = journal.NotBefore(kind);
        if (notBefore <= now)
            return true;
        if (LookAgain is not { } earlier || notBefore < earlier)
            LookAgain = notBefore;
        return false;
    }

    private void Made(RepairKind kind, Func<string> describe)
    {
        LookAgain = LookAgain is { } earlier && earlier < now ? earlier : now;
        _made[kind] = _made.TryGetValue(kind, out var made) ? made with { Count = made.Count + 1 } : (1, describe());
    }
}
