// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Which links went down, came up again, or got another MAC address. The kernel takes the IPv4 routes of a link that goes down and reports
/// none of them. The first time that a new link comes up says nothing: then it is being wired. As many entries as there are links. From any
/// thread.
/// </summary>
internal sealed class LinkFlaps
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, (bool IsUp, MacAddress? Mac)> _known = [];

    /// <summary>It is, or was, up: its wiring is over.</summary>
    public bool HasBeenUp(int index)
    {
        lock (_lock)
            return _known.ContainsKey(index);
    }

    /// <summary>
    /// What a look showed. Reports that came before it and are handled after it do no harm: they lead to one look too many.
    /// </summary>
    public void Looked(IEnumerable<LinkInfo> links)
    {
        lock (_lock)
        {
            var all = links.ToDictionary(link => link.Index);
            foreach (var gone in _known.Keys.Where(index => !all.ContainsKey(index)).ToArray())
                _known.Remove(gone);
            // What a report said of a link since, the look may be too old to know: that it came back is for a report to say.
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
    /// True when it was up before and went down, came back, or has another MAC address now. A link that a DEL let go goes down for ever.
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
