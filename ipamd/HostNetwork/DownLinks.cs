// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Pods' links that another program set down. A link that the plugin is configuring is down, too: a link counts as set down when it has
/// been up, or is down for longer than the plugin takes. Holds one entry for each link that is down.
/// </summary>
internal sealed class DownLinks
{
    /// <summary>Many times what the plugin takes from creating a link until it is up.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromSeconds(10);

    private Dictionary<int, DateTimeOffset> _since = [];

    /// <summary>When the next link may be set up; null when none is waiting.</summary>
    public DateTimeOffset? Due { get; private set; }

    /// <param name="links">All links of the host.</param>
    /// <param name="hasBeenUp">Whether the link with this index was up before.</param>
    /// <param name="now">The time now.</param>
    /// <returns>Indexes of the links to set up.</returns>
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
