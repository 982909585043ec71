// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// The MAC addresses that pods' links of the host must have. Each pod has its own in a permanent neighbour entry, which nothing ever
/// resolves again: a link that got another one (udev, a bond or bridge, an operator) drops all that the pod sends. A namespace is
/// entered when its link is new and when its MAC address differs from what it was, not at every look. That needs CAP_SYS_ADMIN, which the
/// chart does not give: without it the address is right that the kernel reported first.
/// </summary>
/// <param name="read">
/// The MAC address that a pod has for its gateway, by the path of its namespace and the host end of its link; null: not known.
/// </param>
internal sealed class PodGateways(Func<string, LinkInfo, MacAddress?> read)
{
    /// <summary>By link index: what the kernel reported first, which is when the link was made unless this daemon is younger.</summary>
    private readonly ConcurrentDictionary<int, MacAddress> _first = [];

    /// <summary>By link index: what is right, or was there first where the namespace cannot be entered.</summary>
    private readonly Dictionary<int, MacAddress> _right = [];

    /// <summary>
    /// Indexes of links that the kernel reported since <see cref="BeginSync"/>: a dump of links may be older than they are.
    /// </summary>
    private readonly ConcurrentDictionary<int, bool> _young = [];

    /// <summary>Call before the links are read that <see cref="Different"/> gets.</summary>
    public void BeginSync() => _young.Clear();

    /// <summary>The kernel reports a veth. From any thread.</summary>
    public void Reported(RouteNotification.LinkChanged report)
    {
        if (report.Change == RouteChange.Removed)
            _first.TryRemove(report.Link.Index, out _);
        else if (report.Link.Mac is { } mac)
        {
            // First, so that a sync between the two does not remove what follows.
            _young[report.Link.Index] = true;
            _first.TryAdd(report.Link.Index, mac);
        }
    }

    /// <returns>By link index: what those links must get that have something else.</returns>
    public IReadOnlyDictionary<int, MacAddress> Different(
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired,
        IReadOnlyList<LinkInfo> links
    )
    {
        Dictionary<int, MacAddress> different = [];
        // The report that a link is gone may have been lost.
        foreach (var gone in _first.Keys.Except(links.Select(link => link.Index)).Except(_young.Keys).ToArray())
            _first.TryRemove(gone, out _);
        if (_right.Count > wired.Count)
        {
            var current = wired.Select(item => item.Link.Index).ToHashSet();
            foreach (var gone in _right.Keys.Where(index => !current.Contains(index)).ToArray())
                _right.Remove(gone);
        }

        foreach (var (pod, link) in wired)
        {
            if (link.Mac is not { } present)
                continue;
            var isKnown = _right.TryGetValue(link.Index, out var right);
            if (isKnown && right == present)
                continue;
            // What a pod says decides over its own link only: not an address that another link of the host has.
            var inside =
                pod.NetnsPath.Length > 0
                && read(pod.NetnsPath, link) is { } seen
                && !links.Any(other => other.Index != link.Index && other.Mac == seen)
                    ? seen
                    : (MacAddress?)null;
            var wanted =
                inside
                ?? (
                    isKnown ? right
                    : _first.TryGetValue(link.Index, out var first) ? first
                    : present
                );
            if (wanted == present)
                _right[link.Index] = present;
            else
                different[link.Index] = wanted;
        }

        return different;
    }
}
