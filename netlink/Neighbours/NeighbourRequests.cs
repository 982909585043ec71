// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>Builds requests on neighbours: <c>ip neighbour replace</c> and <c>delete</c>.</summary>
public static class NeighbourRequests
{
    /// <summary>Adds a neighbour or replaces the existing one.</summary>
    public static NetlinkRequest Replace(NeighbourInfo neighbour)
    {
        ArgumentNullException.ThrowIfNull(neighbour);
        LinkRequests.CheckIndex(neighbour.LinkIndex);
        return new NetlinkRequest(
            NeighbourMessage.Change(Rtm.RTM_NEWNEIGH, Nlm.NLM_F_CREATE | Nlm.NLM_F_REPLACE, neighbour),
            () =>
                neighbour.Proxy
                    ? $"ip neighbour replace proxy {neighbour.Address} dev if{neighbour.LinkIndex}"
                    : $"ip neighbour replace {neighbour.Address}{(neighbour.Mac is { } mac ? $" lladdr {mac}" : "")} dev "
                        + $"if{neighbour.LinkIndex} nud {neighbour.State.ToString().ToLowerInvariant()}"
        );
    }

    /// <summary>Removes a neighbour. The kernel returns ENOENT if it does not exist.</summary>
    public static NetlinkRequest Remove(NeighbourInfo neighbour)
    {
        ArgumentNullException.ThrowIfNull(neighbour);
        return Remove(neighbour.LinkIndex, neighbour.Address, neighbour.Proxy);
    }

    /// <inheritdoc cref="Remove(NeighbourInfo)"/>
    public static NetlinkRequest Remove(int linkIndex, IPAddress address, bool proxy = false)
    {
        ArgumentNullException.ThrowIfNull(address);
        LinkRequests.CheckIndex(linkIndex);
        // The kernel ignores the state in a removal; `ip` sends it too.
        return new NetlinkRequest(
            NeighbourMessage.Change(
                Rtm.RTM_DELNEIGH,
                0,
                new NeighbourInfo
                {
                    LinkIndex = linkIndex,
                    Address = address,
                    Proxy = proxy,
                }
            ),
            () => $"ip neighbour delete {(proxy ? "proxy " : "")}{address} dev if{linkIndex}"
        );
    }
}
