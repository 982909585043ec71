// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace VpcCni.UnixSockets;

/// <summary>
/// Who is at the other end of a Unix socket, vouched for by the kernel: the process that connected, as it was at that moment. Not part of the official package: this file
/// uses ASP.NET Core only, and moves to its caller when the package replaces this folder. Source: unix(7), SO_PEERCRED; struct ucred.
/// </summary>
/// <param name="ProcessId">0 when the process lives in a pid namespace that ours cannot see.</param>
/// <param name="UserId">Effective user id, in our user namespace.</param>
/// <param name="GroupId">Effective group id, in our user namespace.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct PeerCredentials(int ProcessId, uint UserId, uint GroupId)
{
    private const int SOL_SOCKET = 1;
    private const int SO_PEERCRED = 17;
    private const int UcredSize = 12;

    public bool IsRoot => UserId == 0;

    /// <summary>Null when the request did not come over a Unix socket.</summary>
    public static PeerCredentials? FromHttpContext(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Features.Get<IConnectionSocketFeature>() is { Socket: { AddressFamily: AddressFamily.Unix } socket } ? FromSocket(socket) : null;
    }

    /// <summary>Throws SocketException with the kernel's reason.</summary>
    public static PeerCredentials FromSocket(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        Span<byte> ucred = stackalloc byte[UcredSize];
        var size = socket.GetRawSocketOption(SOL_SOCKET, SO_PEERCRED, ucred);
        if (size != UcredSize) throw new InvalidOperationException($"SO_PEERCRED returned {size} bytes; struct ucred has {UcredSize}.");
        return new PeerCredentials(MemoryMarshal.Read<int>(ucred), MemoryMarshal.Read<uint>(ucred[4..]), MemoryMarshal.Read<uint>(ucred[8..]));
    }
}
