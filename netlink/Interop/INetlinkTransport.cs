// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Interop;

/// <summary>One datagram's worth of what was received.</summary>
/// <param name="Length">Octets of the datagram; more than the buffer holds if it was cut off.</param>
/// <param name="SenderPortId">0 is the kernel; anything else is another process and must not be believed.</param>
internal readonly record struct Datagram(int Length, uint SenderPortId);

/// <summary>
/// Datagrams to and from the kernel: a socket in production, a script in tests of what the kernel rarely does. Failures are
/// <see cref="NetlinkException"/>s.
/// </summary>
internal interface INetlinkTransport : IDisposable
{
    /// <summary>The address that the kernel gave to our end; it repeats it in every answer.</summary>
    uint PortId { get; }

    /// <summary>Sends one datagram, of one or many messages; the kernel has handled all of them when this returns.</summary>
    void Send(ReadOnlySpan<byte> messages);

    /// <summary>Receives one datagram. After the receive timeout: ETIMEDOUT. ENOBUFS: the kernel had to drop something for us.</summary>
    Datagram Receive(Span<byte> buffer);

    /// <summary>Receives one datagram if there is one.</summary>
    bool TryReceive(Span<byte> buffer, out Datagram datagram);
}
