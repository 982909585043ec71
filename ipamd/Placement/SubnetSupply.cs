// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// How many addresses the subnets have left, as far as this node can tell: what was described last, less what this node took since,
/// plus what it gave back, and no more than a refusal since then leaves possible. Other nodes take and give as well, so that it is an
/// estimate, which the next description replaces. Safe for several threads.
/// </summary>
internal sealed class SubnetSupply(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _subnets = [];
    private long _asked;
    private long _ended;

    /// <summary>Number of the last description that was asked for.</summary>
    public long Asked
    {
        get
        {
            lock (_lock)
                return _asked;
        }
    }

    /// <summary>Number of the last description that was answered or failed.</summary>
    public long Ended
    {
        get
        {
            lock (_lock)
                return _ended;
        }
    }

    /// <summary>A description is asked for. What changes from now on may be missing in its answer.</summary>
    public void Asking()
    {
        lock (_lock)
        {
            _asked++;
            foreach (var entry in _subnets.Values)
                (entry.TakenSinceAsked, entry.IsRefusedSinceAsked) = (0, false);
        }
    }

    /// <summary>The description was answered: it counts, but for what changed while it was under way.</summary>
    public void Described(IEnumerable<SubnetCandidate> subnets)
    {
        lock (_lock)
        {
            _ended = _asked;
            foreach (var subnet in subnets)
            {
                if (subnet.FreeAddresses is not { } free)
                    continue;
                var entry = Entry_NeedsLock(subnet.Id);
                (entry.Described, entry.Taken) = (free, entry.TakenSinceAsked);
                if (!entry.IsRefusedSinceAsked)
                    entry.AtMost = null;
            }
        }
    }

    /// <summary>The description failed: what was known before still counts.</summary>
    public void NotDescribed()
    {
        lock (_lock)
            _ended = _asked;
    }

    /// <summary>A call that takes addresses begins.</summary>
    public void Begin(string subnetId, int addresses)
    {
        lock (_lock)
            Entry_NeedsLock(subnetId).InFlight += addresses;
    }

    /// <summary>It ended. What may have been taken counts as taken until a description says otherwise.</summary>
    public void End(string subnetId, int addresses, bool mayHaveTaken)
    {
        lock (_lock)
        {
            var entry = Entry_NeedsLock(subnetId);
            entry.InFlight -= addresses;
            if (mayHaveTaken)
                entry.Take(addresses);
        }
    }

    /// <summary>Addresses went back to the subnet.</summary>
    public void GaveBack(string subnetId, int addresses)
    {
        lock (_lock)
            Entry_NeedsLock(subnetId).Take(-addresses);
    }

    /// <summary>The subnet did not have so many addresses.</summary>
    public void Refused(string subnetId, int addresses)
    {
        lock (_lock)
        {
            var entry = Entry_NeedsLock(subnetId);
            var before = entry.AtMost is { } known && entry.AtMostUntil > time.GetUtcNow() ? known : int.MaxValue;
            (entry.AtMost, entry.AtMostUntil) = (Math.Min(before, addresses - 1), time.GetUtcNow() + PoolLimits.SubnetBackoff);
            entry.IsRefusedSinceAsked = true;
        }
    }

    /// <summary>What the last description showed, unless there was a refusal since; null without one.</summary>
    public int? DescribedSinceRefusal(string subnetId)
    {
        lock (_lock)
            return _subnets.GetValueOrDefault(subnetId) is { AtMost: null } entry ? entry.Described : null;
    }

    /// <summary>The same subnet with what it has left by now.</summary>
    public SubnetCandidate Correct(SubnetCandidate subnet)
    {
        lock (_lock)
        {
            if (!_subnets.TryGetValue(subnet.Id, out var entry))
                return subnet;
            var free = subnet.FreeAddresses - entry.Taken;
            if (entry.AtMost is { } most && entry.AtMostUntil > time.GetUtcNow() && (free is null || most < free))
                free = most;
            return subnet with { FreeAddresses = free is { } left ? Math.Max(left - entry.InFlight, 0) : null };
        }
    }

    private Entry Entry_NeedsLock(string subnetId)
    {
        if (!_subnets.TryGetValue(subnetId, out var entry))
            _subnets[subnetId] = entry = new Entry();
        return entry;
    }

    private sealed class Entry
    {
        public int? Described { get; set; }
        public int InFlight { get; set; }

        /// <summary>Since the last description was asked for that was answered.</summary>
        public int Taken { get; set; }

        /// <summary>Since the last description was asked for.</summary>
        public int TakenSinceAsked { get; set; }

        /// <summary>What the last refusal leaves possible; null when there was none since the last description.</summary>
        public int? AtMost { get; set; }
        public DateTimeOffset AtMostUntil { get; set; }
        public bool IsRefusedSinceAsked { get; set; }

        public void Take(int addresses)
        {
            Taken += addresses;
            TakenSinceAsked += addresses;
            if (AtMost is { } most)
                AtMost = Math.Max(most - addresses, 0);
        }
    }
}
