// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// Estimates the free addresses of subnets: the last description, less what this node has taken since, plus what it released, and bounded
/// by refusals since. Other nodes take and release addresses, too; the next description replaces the estimate. Thread-safe.
/// </summary>
internal sealed class SubnetSupply(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _subnets = [];
    private long _lastRequested;
    private long _lastEnded;

    /// <summary>Number of the last requested description.</summary>
    public long LastRequested
    {
        get
        {
            lock (_lock)
                return _lastRequested;
        }
    }

    /// <summary>Number of the last description that was answered or failed.</summary>
    public long LastEnded
    {
        get
        {
            lock (_lock)
                return _lastEnded;
        }
    }

    /// <summary>Records the request of a description. Later changes may be missing in its answer.</summary>
    public void BeginDescription()
    {
        lock (_lock)
        {
            _lastRequested++;
            foreach (var entry in _subnets.Values)
                (entry.TakenSinceRequest, entry.IsRefusedSinceRequest) = (0, false);
        }
    }

    /// <summary>Applies a description, except for changes since it was requested.</summary>
    public void Described(IEnumerable<SubnetCandidate> subnets)
    {
        lock (_lock)
        {
            _lastEnded = _lastRequested;
            foreach (var subnet in subnets)
            {
                if (subnet.FreeAddresses is not { } free)
                    continue;
                var entry = Entry_NeedsLock(subnet.Id);
                (entry.Described, entry.Taken) = (free, entry.TakenSinceRequest);
                if (!entry.IsRefusedSinceRequest)
                    entry.AtMost = null;
            }
        }
    }

    /// <summary>Records a failed description: the previous estimate stays.</summary>
    public void RecordFailedDescription()
    {
        lock (_lock)
            _lastEnded = _lastRequested;
    }

    /// <summary>Records the start of a call that takes addresses.</summary>
    public void Begin(string subnetId, int addresses)
    {
        lock (_lock)
            Entry_NeedsLock(subnetId).InFlight += addresses;
    }

    /// <summary>Records the end of that call. Addresses that may have been taken count as taken until the next description.</summary>
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

    /// <summary>Records addresses released to the subnet.</summary>
    public void Released(string subnetId, int addresses)
    {
        lock (_lock)
            Entry_NeedsLock(subnetId).Take(-addresses);
    }

    /// <summary>Records that the subnet had fewer free addresses than requested.</summary>
    public void Refused(string subnetId, int addresses)
    {
        lock (_lock)
        {
            var entry = Entry_NeedsLock(subnetId);
            var before = entry.AtMost is { } known && entry.AtMostUntil > time.GetUtcNow() ? known : int.MaxValue;
            (entry.AtMost, entry.AtMostUntil) = (Math.Min(before, addresses - 1), time.GetUtcNow() + PoolLimits.SubnetBackoff);
            entry.IsRefusedSinceRequest = true;
        }
    }

    /// <summary>Free addresses in the last description; null when there is none since the last refusal.</summary>
    public int? DescribedSinceRefusal(string subnetId)
    {
        lock (_lock)
            return _subnets.GetValueOrDefault(subnetId) is { AtMost: null } entry ? entry.Described : null;
    }

    /// <summary>Returns the subnet with its estimated free addresses.</summary>
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

        /// <summary>Addresses taken since the last answered description was requested.</summary>
        public int Taken { get; set; }

        /// <summary>Addresses taken since the last description was requested.</summary>
        public int TakenSinceRequest { get; set; }

        /// <summary>Upper bound from the last refusal; null when a description followed it.</summary>
        public int? AtMost { get; set; }
        public DateTimeOffset AtMostUntil { get; set; }
        public bool IsRefusedSinceRequest { get; set; }

        public void Take(int addresses)
        {
            Taken += addresses;
            TakenSinceRequest += addresses;
            if (AtMost is { } most)
                AtMost = Math.Max(most - addresses, 0);
        }
    }
}
