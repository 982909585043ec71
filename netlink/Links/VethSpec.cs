// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// A veth pair to be made. Everything is set as the pair appears: no moment in which an end is in the wrong namespace or has the wrong MAC
/// or MTU.
/// </summary>
public sealed record VethSpec
{
    /// <summary>At most 15 characters.</summary>
    public required string Name { get; init; }

    /// <summary>Null: the kernel makes one up.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>Octets; null: 1500.</summary>
    public int? Mtu { get; init; }
    public bool Up { get; init; }

    /// <summary>At most 15 characters; only has to be free in the peer's namespace.</summary>
    public required string PeerName { get; init; }

    /// <summary>Where the peer appears; null: beside the link.</summary>
    public NetworkNamespace? PeerNamespace { get; init; }
    public MacAddress? PeerMac { get; init; }
    public int? PeerMtu { get; init; }

    /// <summary>
    /// The kernel cannot do this while it makes the pair (ENOTCONN: the ends do not know each other yet), so it is done right after,
    /// through a socket opened for the purpose in <see cref="PeerNamespace"/>. Who opens one there anyway is faster with
    /// <see cref="LinkRequests.SetUp(string, bool)"/> at the head of a batch of its own.
    /// </summary>
    public bool PeerUp { get; init; }
}
