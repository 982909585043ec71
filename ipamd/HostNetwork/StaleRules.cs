// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Rules that nothing needs. One look cannot tell them from those of a pod that is being deleted by a plugin that releases first, so a rule
/// is condemned only when it was stale at every look for a while: a short one when it is there because the reconciler itself put it back
/// while a pod was being deleted.
/// </summary>
internal sealed class StaleRules
{
    /// <summary>Longer than any plugin takes from the release of an address to the end of its teardown.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromSeconds(10);

    /// <summary>Of what the reconciler put back.</summary>
    public static readonly TimeSpan MinimumAgeOfRepaired = TimeSpan.FromSeconds(1);

    /// <summary>Longer than a DEL takes that was under way when its pod was repaired.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(2);

    private readonly Dictionary<IPAddress, DateTimeOffset> _repaired = [];
    private Dictionary<RuleInfo, DateTimeOffset> _since = [];

    /// <summary>When the next may be removed of those that may not yet; null when there are none.</summary>
    public DateTimeOffset? Due { get; private set; }

    /// <summary>
    /// The pods of these addresses were repaired, or are gone without a teardown. As many are remembered as the node has pods.
    /// </summary>
    public void Repaired(IEnumerable<IPAddress> addresses, DateTimeOffset now)
    {
        foreach (var forgotten in _repaired.Where(pair => now - pair.Value > Memory).Select(pair => pair.Key).ToArray())
            _repaired.Remove(forgotten);
        foreach (var address in addresses)
            _repaired[address] = now;
    }

    /// <param name="stale">All that are stale now; those that are not among them are forgotten.</param>
    /// <param name="now">The time now.</param>
    /// <returns>Those that may be removed.</returns>
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
