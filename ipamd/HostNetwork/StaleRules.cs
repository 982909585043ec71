// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Rules of pods that are gone. One look cannot tell them from those of a pod that is being added, so a rule is condemned only when it was stale at every look for a while.
/// </summary>
internal sealed class StaleRules
{
    /// <summary>Longer than the plugin takes from the first rule of a pod to its route.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromSeconds(10);

    private Dictionary<RuleInfo, DateTimeOffset> _since = [];

    /// <param name="stale">All that are stale now; those that are not among them are forgotten.</param>
    /// <param name="now">The time now.</param>
    /// <returns>Those that may be removed.</returns>
    public IReadOnlyList<RuleInfo> Condemn(IReadOnlyList<RuleInfo> stale, DateTimeOffset now)
    {
        var since = stale.Distinct().ToDictionary(rule => rule, rule => _since.TryGetValue(rule, out var at) ? at : now);
        _since = since;
        return [.. since.Where(pair => now - pair.Value >= MinimumAge).Select(pair => pair.Key)];
    }
}
