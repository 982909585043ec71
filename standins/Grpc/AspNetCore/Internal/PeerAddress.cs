// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>The client's address as a gRPC URI (grpc/doc/naming.md).</summary>
internal static class PeerAddress
{
    public static string Of(HttpContext context)
    {
        var connection = context.Connection;
        if (connection.RemoteIpAddress is { } address)
        {
            if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
            return address.AddressFamily == AddressFamily.InterNetwork ? $"ipv4:{address}:{connection.RemotePort}" : $"ipv6:[{address}]:{connection.RemotePort}";
        }

        // A Unix client is seldom bound to a path; the socket it came through says more than nothing.
        return context.Features.Get<IConnectionSocketFeature>()?.Socket is { AddressFamily: AddressFamily.Unix } socket ? $"unix:{socket.LocalEndPoint}" : "unknown";
    }
}
