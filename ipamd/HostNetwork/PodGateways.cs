// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// The MAC addresses that pods' links of the host must have. Each pod has its own in a permanent neighbour entry, which nothing ever
/// resolves again: a link that got another one (udev, a bond or bridge, an operator) drops all that the pod sends. A namespace is
/// entered when its link is new and when its MAC address differs from what it was, not at every look. That needs CAP_SYS_ADMIN, which the
/// chart does not give: without it the address is right that the kernel reported first.
/// </summary>
internal sealed class PodGateways
{
    /// <summary>By link index: what the kernel reported first, which is when the link was made unless this daemon is younger.</summary>
    private readonly ConcurrentDictionary<int, MacAddress> _first = [];

    /// <summary>By link index: what is right, or was there first where the namespace cannot be entered.</summary>
    private readonly Dictionary<int, MacAddress> _right = [];

    /// <summary>How the MAC address is read that a pod knows; replaced in tests.</summary>
    internal Func<string, LinkInfo, MacAddress?> Read { get; init; } = ReadInside;

    /// <summary>The kernel reports a veth. From any thread.</summary>
    public void Reported(RouteNotification.LinkChanged report)
    {
        if (report.Change == RouteChange.Removed)
            _first.TryRemove(report.Link.Index, out _);
        else if (report.Link.Mac is { } mac)
            _first.TryAdd(report.Link.Index, mac);
    }

    /// <returns>By link index: what those links must get that have something else.</returns>
    public IReadOnlyDictionary<int, MacAddress> Different(
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired,
        IReadOnlyList<LinkInfo> links
    )
    {
        Dictionary<int, MacAddress> different = [];
        // The report that a link is gone may have been lost.
        foreach (var gone in _first.Keys.Except(links.Select(link => link.Index)).ToArray())
            _first.TryRemove(gone, out _);
        if (_right.Count > wired.Count)
        {
            var current = wired.Select(item => item.Link.Index).ToHashSet();
            foreach (var gone in _right.Keys.Where(index => !current.Contains(index)).ToArray())
                _right.Remove(gone);
        }

        foreach (var (pod, link) in wired)
        {
            if (pod.Address.AddressFamily != AddressFamily.InterNetwork || link.Mac is not { } present)
                continue;
            var isKnown = _right.TryGetValue(link.Index, out var right);
            if (isKnown && right == present)
                continue;
            // What a pod says decides over its own link only: not an address that another link of the host has.
            var inside =
                pod.NetnsPath.Length > 0
                && Read(pod.NetnsPath, link) is { } read
                && !links.Any(other => other.Index != link.Index && other.Mac == read)
                    ? read
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

    /// <summary>Null where the namespace is gone, cannot be entered, is not at the other end of the link, or has no such entry.</summary>
    private static MacAddress? ReadInside(string path, LinkInfo link)
    {
        try
        {
            using var sandbox = NetworkNamespace.Open(path);
            using var netlink = sandbox.OpenRouteNetlink();
            if (link.PeerIndex is not { } index || netlink.FindLink(index) is not { Kind: "veth" } peer || peer.PeerIndex != link.Index)
                return null;
            return netlink
                .GetNeighbours(AddressFamily.InterNetwork, index)
                .FirstOrDefault(item =>
                    item.State.HasFlag(NeighbourState.Permanent)
                    && item.Address.Equals(PodPath.Gateway(AddressFamily.InterNetwork, index: 0))
                )
                ?.Mac;
        }
        catch (Exception exception) when (exception is NetworkNamespaceException or NetlinkException)
        {
            // Not visible from here, or going away: then what the link had first is all that is known.
            return null;
        }
    }
}
