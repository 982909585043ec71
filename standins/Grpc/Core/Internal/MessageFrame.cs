// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace Grpc.Core.Internal;

/// <summary>
/// The frame of every message: one byte (1 = compressed), four bytes length, big endian, then the payload. Source: grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message".
/// </summary>
internal static class MessageFrame
{
    public const int HeaderSize = 5;

    /// <summary>Default of both sides' MaxReceiveMessageSize: 4 MiB, as in every gRPC implementation.</summary>
    public const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    public static void WriteHeader(Span<byte> header, int payloadLength)
    {
        header[0] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(header[1..], (uint)payloadLength);
    }

    /// <summary>
    /// Length of the payload that follows. Throws <see cref="RpcException"/>: RESOURCE_EXHAUSTED beyond <paramref name="maxMessageSize"/> (null = no limit), INTERNAL
    /// for a bad flag or a compressed message without an encoding, <paramref name="unsupportedEncoding"/> for one whose encoding is not supported (we support none).
    /// </summary>
    public static int ReadHeader(ReadOnlySpan<byte> header, int? maxMessageSize, string? grpcEncoding, StatusCode unsupportedEncoding, string who)
    {
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (header[0] > 1) throw new RpcException(new Status(StatusCode.Internal, $"{who}: the message starts with flag {header[0]}; expected 0 (plain) or 1 (compressed)."));
        if (header[0] == 1)
        {
            if (string.IsNullOrEmpty(grpcEncoding) || string.Equals(grpcEncoding, "identity", StringComparison.Ordinal))
                throw new RpcException(new Status(StatusCode.Internal, $"{who}: the compressed flag is set, but grpc-encoding is '{grpcEncoding ?? "(absent)"}'."));
            throw new RpcException(new Status(unsupportedEncoding, $"{who}: grpc-encoding '{grpcEncoding}' is not supported. Supported: identity."));
        }

        if (maxMessageSize is { } max && length > max) throw new RpcException(new Status(StatusCode.ResourceExhausted, $"{who}: the message has {length} bytes; the limit is {max}."));
        if (length > int.MaxValue - HeaderSize) throw new RpcException(new Status(StatusCode.ResourceExhausted, $"{who}: the message has {length} bytes; that does not fit memory."));
        return (int)length;
    }
}
