// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Interop;

/// <summary>Length and sender of one received datagram.</summary>
/// <param name="Length">Length of the datagram in octets; more than the buffer's length if the datagram was truncated.</param>
/// <param name="SenderPortId">Port of the sender. 0 is the kernel; messages of any other sender must be ignored.</param>
internal readonly record struct Datagram(int Length, uint SenderPortId);

/// <summary>
/// Exchanges datagrams with the kernel. Tests replace the socket by a script, to produce answers that a kernel rarely gives. Failures are
/// <see cref="NetlinkException"/>s.
/// </summary>
internal interface INetlinkTransport : IDisposable
{
    /// <summary>The port that the kernel assigned to this socket (nl_pid). The kernel repeats it in every answer.</summary>
    uint PortId { get; }

    /// <summary>Sends one datagram of one or more messages. The kernel has processed all of them when the method returns.</summary>
    void Send(ReadOnlySpan<byte> messages);

    /// <summary>
    /// Receives one datagram. Fails with ETIMEDOUT after the receive timeout, and with ENOBUFS if the kernel dropped a message for this
    /// socket.
    /// </summary>
    Datagram Receive(Span<byte> buffer);

    /// <summary>Receives one datagram if one is queued; does not wait.</summary>
    bool TryReceive(Span<byte> buffer, out Datagram datagram);
}
