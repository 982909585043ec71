// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>Applies the repairs of one sync: delays kinds in dispute, and counts the repairs that changed something.</summary>
/// <param name="journal">Receives the counts and determines the delays.</param>
/// <param name="kernel">Applies the repairs.</param>
/// <param name="now">The time now.</param>
/// <param name="failures">Receives what the kernel refuses.</param>
internal sealed class RepairPass(RepairJournal journal, HostAccess kernel, DateTimeOffset now, List<Exception> failures)
{
    private readonly Dictionary<RepairKind, (int Count, string First)> _made = [];
    private readonly HashSet<RepairKind> _wanted = [];

    /// <summary>
    /// When to sync again: at once after a repair, to verify it; after the pause, for repairs that were delayed. Null when nothing was
    /// repaired or delayed.
    /// </summary>
    public DateTimeOffset? NextSync { get; private set; }

    /// <returns>The repairs that changed something.</returns>
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

    /// <summary>Passes the counts to the journal.</summary>
    /// <param name="isSettled">False for the first sync, whose changes are no repairs.</param>
    public void End(bool isSettled)
    {
        foreach (var (kind, (count, first)) in _made)
        {
            if (isSettled)
                journal.Repaired(kind, count, first);
            else
                journal.Added(kind, count, first);
        }

        foreach (var kind in Enum.GetValues<RepairKind>())
        {
            if (kind != RepairKind.Nat && !_wanted.Contains(kind))
                journal.Unchanged(kind);
        }
    }

    private bool IsDue(RepairKind kind)
    {
        _wanted.Add(kind);
        var notBefore = journal.NotBefore(kind);
        if (notBefore <= now)
            return true;
        if (NextSync is not { } earlier || notBefore < earlier)
            NextSync = notBefore;
        return false;
    }

    private void Made(RepairKind kind, Func<string> describe)
    {
        NextSync = NextSync is { } earlier && earlier < now ? earlier : now;
        _made[kind] = _made.TryGetValue(kind, out var made) ? made with { Count = made.Count + 1 } : (1, describe());
    }
}
