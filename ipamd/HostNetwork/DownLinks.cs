// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Pods' links that somebody set down. A link that is being wired is down as well: only one that has been up, or has been down for
/// longer than any wiring takes, was set down. As many entries as there are links that are down.
/// </summary>
internal sealed class DownLinks
{
    /// <summary>Many times what the plugin takes from the creation of a link until it is up.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromSeconds(10);

    private Dictionary<int, DateTimeOffset> _since = [];

    /// <summary>When the next may be brought up of those that may not yet; null when there are none.</summary>
    public DateTimeOffset? Due { get; private set; }

    /// <param name="links">All links of the host.</param>
    /// <param name="hasBeenUp">Whether the link with this index was up before.</param>
    /// <param name="now">The time now.</param>
    /// <returns>Indexes of those that may be brought up.</returns>
    public IReadOnlySet<int> Restorable(IEnumerable<LinkInfo> links, Func<int, bool> hasBeenUp, DateTimeOffset now)
    {
        _since = links
            .Where(link => link is { IsUp: false, Kind: "veth" } && link.Group != LinkGroups.Released)
            .ToDictionary(link => link.Index, link => _since.TryGetValue(link.Index, out var at) ? at : now);
        HashSet<int> restorable = [];
        Due = null;
        foreach (var (index, since) in _since)
        {
            if (since + MinimumAge <= now || hasBeenUp(index))
                restorable.Add(index);
            else if (!(Due < since + MinimumAge))
                Due = since + MinimumAge;
        }

        return restorable;
    }
}
