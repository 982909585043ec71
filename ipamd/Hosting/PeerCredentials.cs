// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections.Features;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Credentials of the process at the other end of a Unix socket, as recorded by the kernel when it connected. Source: unix(7), SO_PEERCRED;
/// struct ucred.
/// </summary>
/// <param name="ProcessId">Process id; 0 if the process is in a PID namespace that this process cannot see.</param>
/// <param name="UserId">Effective user id, in this process's user namespace.</param>
/// <param name="GroupId">Effective group id, in this process's user namespace.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct PeerCredentials(int ProcessId, uint UserId, uint GroupId)
{
    private const int SOL_SOCKET = 1;
    private const int SO_PEERCRED = 17;
    private const int UcredSize = 12;

    public bool IsRoot => UserId == 0;

    /// <summary>Returns null if the request did not come over a Unix socket.</summary>
    public static PeerCredentials? FromHttpContext(HttpContext context)
    {
        return context.Features.Get<IConnectionSocketFeature>() is { Socket: { AddressFamily: AddressFamily.Unix } socket }
            ? FromSocket(socket)
            : null;
    }

    /// <exception cref="SocketException">The kernel returned an error; see its error code.</exception>
    public static PeerCredentials FromSocket(Socket socket)
    {
        Span<byte> ucred = stackalloc byte[UcredSize];
        var size = socket.GetRawSocketOption(SOL_SOCKET, SO_PEERCRED, ucred);
        if (size != UcredSize)
            throw new InvalidOperationException($"SO_PEERCRED returned {size} bytes; struct ucred has {UcredSize}.");
        return new PeerCredentials(
            MemoryMarshal.Read<int>(ucred),
            MemoryMarshal.Read<uint>(ucred[4..]),
            MemoryMarshal.Read<uint>(ucred[8..])
        );
    }
}
