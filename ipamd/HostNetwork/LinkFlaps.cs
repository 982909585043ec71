// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Detects links that went down, came up again, or got another MAC address. The kernel removes the IPv4 routes of a link that goes down and
/// reports none of them. A new link that comes up for the first time is being configured and does not count. Holds one entry for each link.
/// Thread-safe.
/// </summary>
internal sealed class LinkFlaps
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, (bool IsUp, MacAddress? Mac)> _known = [];

    /// <summary>Whether the link is, or was, up, so that its configuration is complete.</summary>
    public bool HasBeenUp(int index)
    {
        lock (_lock)
            return _known.ContainsKey(index);
    }

    /// <summary>
    /// Records the links of a sync. Reports from before it that are handled after it only lead to one sync too many.
    /// </summary>
    public void Synced(IEnumerable<LinkInfo> links)
    {
        lock (_lock)
        {
            var all = links.ToDictionary(link => link.Index);
            foreach (var gone in _known.Keys.Where(index => !all.ContainsKey(index)).ToArray())
                _known.Remove(gone);
            // A report may be newer than this read, so only a report marks a known link as up again.
            foreach (var (index, link) in all)
            {
                if (!_known.TryGetValue(index, out var known))
                {
                    if (link.IsUp)
                        _known[index] = (true, link.Mac);
                }
                else if (!link.IsUp)
                {
                    _known[index] = known with { IsUp = false };
                }
            }
        }
    }

    /// <returns>
    /// True when the link was up before and went down, came back, or has another MAC address. Never for a released link.
    /// </returns>
    public bool Concerns(RouteNotification.LinkChanged change)
    {
        var link = change.Link;
        lock (_lock)
        {
            if (change.Change == RouteChange.Removed)
            {
                _known.Remove(link.Index);
                return false;
            }

            var isKnown = _known.TryGetValue(link.Index, out var before);
            if (link.IsUp || isKnown)
                _known[link.Index] = (link.IsUp, link.Mac);
            return isKnown && link.Group != LinkGroups.Released && (before.IsUp != link.IsUp || before.Mac != link.Mac);
        }
    }
}
