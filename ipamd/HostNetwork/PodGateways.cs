// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Determines the MAC addresses that the host ends of pods' links must have. Each pod has that of its link in a permanent neighbour entry,
/// which is never resolved again: a link that got another one (from udev, a bond or bridge, an operator) drops what the pod sends. A
/// namespace is entered only when its link is new or its MAC address has changed. That needs CAP_SYS_ADMIN, which the chart does not grant:
/// without it the address is desired that the kernel reported first.
/// </summary>
/// <param name="read">
/// The MAC address that a pod has for its gateway, by the path of its namespace and the host end of its link; null: not known.
/// </param>
internal sealed class PodGateways(Func<string, LinkInfo, MacAddress?> read)
{
    /// <summary>
    /// By link index: the address that the kernel reported first, at the link's creation unless this daemon started later.
    /// </summary>
    private readonly ConcurrentDictionary<int, MacAddress> _first = [];

    /// <summary>By link index: the desired address, or the first one where the namespace cannot be entered.</summary>
    private readonly Dictionary<int, MacAddress> _right = [];

    /// <summary>
    /// Indexes of links that the kernel reported since <see cref="BeginSync"/>: a dump of links may be older than they are.
    /// </summary>
    private readonly ConcurrentDictionary<int, bool> _young = [];

    /// <summary>Call before the links are read that <see cref="Different"/> gets.</summary>
    public void BeginSync() => _young.Clear();

    /// <summary>Handles the kernel's report on a veth. Thread-safe.</summary>
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

    /// <returns>By link index: the desired addresses of links with another one.</returns>
    public IReadOnlyDictionary<int, MacAddress> Different(
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired,
        IReadOnlyList<LinkInfo> links
    )
    {
        Dictionary<int, MacAddress> different = [];
        // The report of a removal may have been lost.
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
            // A pod's entry decides on its own link only, and never gives it the address of another link of the host.
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
