// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Tracks rules that are not needed. One sync cannot distinguish them from rules of a pod whose plugin releases the address first, so a
/// rule expires when it was stale at every sync for a while: for a shorter one when the reconciler itself restored it during a pod's
/// deletion.
/// </summary>
internal sealed class StaleRules
{
    /// <summary>Longer than a plugin takes from the release of an address to the end of its teardown.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromSeconds(10);

    /// <summary>The age for rules that the reconciler restored.</summary>
    public static readonly TimeSpan MinimumAgeOfRepaired = TimeSpan.FromSeconds(1);

    /// <summary>Longer than a DEL that ran when its pod was repaired.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(2);

    private readonly Dictionary<IPAddress, DateTimeOffset> _repaired = [];
    private Dictionary<RuleInfo, DateTimeOffset> _since = [];

    /// <summary>When the next rule expires; null when none is waiting.</summary>
    public DateTimeOffset? Due { get; private set; }

    /// <summary>
    /// Records addresses whose pods were repaired, or ended without a teardown. Holds one entry for each address.
    /// </summary>
    public void Repaired(IEnumerable<IPAddress> addresses, DateTimeOffset now)
    {
        foreach (var forgotten in _repaired.Where(pair => now - pair.Value > Memory).Select(pair => pair.Key).ToArray())
            _repaired.Remove(forgotten);
        foreach (var address in addresses)
            _repaired[address] = now;
    }

    /// <param name="stale">All stale rules; the age of others is reset.</param>
    /// <param name="now">The time now.</param>
    /// <returns>The rules to remove.</returns>
    public IReadOnlyList<RuleInfo> SelectExpired(IReadOnlyList<RuleInfo> stale, DateTimeOffset now)
    {
        _since = stale.Distinct().ToDictionary(rule => rule, rule => _since.TryGetValue(rule, out var at) ? at : now);
        DateTimeOffset[] later = [.. _since.Select(pair => pair.Value + Age(pair.Key)).Where(due => due > now)];
        Due = later.Length == 0 ? null : later.Min();
        return [.. _since.Where(pair => pair.Value + Age(pair.Key) <= now).Select(pair => pair.Key)];
    }

    private TimeSpan Age(RuleInfo rule) =>
        (rule.Destination ?? rule.Source) is { } host && _repaired.ContainsKey(host.BaseAddress) ? MinimumAgeOfRepaired : MinimumAge;
}
