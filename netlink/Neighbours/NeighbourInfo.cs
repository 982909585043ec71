// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Netlink;

/// <summary>State of a neighbour: NUD_* of linux/neighbour.h.</summary>
[Flags]
public enum NeighbourState
{
    None = 0,
    Incomplete = 0x01,
    Reachable = 0x02,
    Stale = 0x04,
    Delay = 0x08,
    Probe = 0x10,
    Failed = 0x20,

    /// <summary>NUD_NOARP: valid without resolution.</summary>
    NoArp = 0x40,

    /// <summary>NUD_PERMANENT: added by a user; neither resolved nor expired.</summary>
    Permanent = 0x80,
}

/// <summary>An entry of the ARP or neighbour table (<c>ip neighbour show</c>).</summary>
public sealed record NeighbourInfo
{
    public required int LinkIndex { get; init; }
    public required IPAddress Address { get; init; }
    public MacAddress? Mac { get; init; }
    public NeighbourState State { get; init; } = NeighbourState.Permanent;

    /// <summary>NTF_PROXY: the host answers requests for the address. Such an entry has neither MAC nor state.</summary>
    public bool Proxy { get; init; }
}
