// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// Describes a veth pair to create. The kernel sets name, MAC, MTU and namespace of both ends as it creates them, so no end is ever visible
/// without them.
/// </summary>
public sealed record VethSpec
{
    /// <summary>At most 15 characters.</summary>
    public required string Name { get; init; }

    /// <summary>MAC address; the kernel generates one if null.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>In octets; 1500 if null.</summary>
    public int? Mtu { get; init; }
    public bool Up { get; init; }

    /// <summary>At most 15 characters; must be unused in the peer's namespace.</summary>
    public required string PeerName { get; init; }

    /// <summary>Namespace of the peer; that of the link if null.</summary>
    public NetworkNamespace? PeerNamespace { get; init; }
    public MacAddress? PeerMac { get; init; }
    public int? PeerMtu { get; init; }

    /// <summary>
    /// Sets the peer up. The kernel cannot do this while it creates the pair (ENOTCONN), so a second request follows, on a socket opened in
    /// <see cref="PeerNamespace"/>. A caller that has a socket there saves one by sending <see cref="LinkRequests.SetUp(string, bool)"/>
    /// first in its own batch.
    /// </summary>
    public bool PeerUp { get; init; }
}
