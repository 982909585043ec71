// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Which links went down and came up again. The kernel takes the IPv4 routes of a link that goes down and reports none of them. The first time that a new link comes up says nothing: then it is being
/// wired. As many entries as there are links. From any thread.
/// </summary>
internal sealed class LinkFlaps
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, bool> _isUp = [];

    /// <summary>What a look showed. Reports that came before it and are handled after it do no harm: they lead to one look too many.</summary>
    public void Looked(IEnumerable<LinkInfo> links)
    {
        lock (_lock)
        {
            var all = links.ToDictionary(link => link.Index, link => link.IsUp);
            foreach (var gone in _isUp.Keys.Where(index => !all.ContainsKey(index)).ToArray()) _isUp.Remove(gone);
            // What a report said of a link since, the look may be too old to know: that it came back is for a report to say.
            foreach (var (index, isUp) in all)
            {
                if (!isUp && _isUp.ContainsKey(index)) _isUp[index] = false;
                else if (isUp) _isUp.TryAdd(index, true);
            }
        }
    }

    /// <returns>True when it is up again after it had been up and down.</returns>
    public bool IsBack(RouteNotification.LinkChanged change)
    {
        var index = change.Link.Index;
        lock (_lock)
        {
            if (change.Change == RouteChange.Removed)
            {
                _isUp.Remove(index);
                return false;
            }

            var known = _isUp.TryGetValue(index, out var wasUp);
            if (change.Link.IsUp || known) _isUp[index] = change.Link.IsUp;
            return known && !wasUp && change.Link.IsUp;
        }
    }
}
