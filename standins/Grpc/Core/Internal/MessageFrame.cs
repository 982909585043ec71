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
    /// Length of the payload that follows. Throws <see cref="RpcException"/>: RESOURCE_EXHAUSTED beyond the size limit, INTERNAL for a bad flag or a compressed message
    /// without an encoding, and the status of the rules for one with an encoding, because none is supported.
    /// </summary>
    public static int ReadHeader(ReadOnlySpan<byte> header, MessageRules rules)
    {
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (header[0] > 1) throw Refused(StatusCode.Internal, rules, $"the message starts with flag {header[0]}; expected 0 (plain) or 1 (compressed).");
        if (header[0] == 1)
        {
            if (string.IsNullOrEmpty(rules.Encoding) || string.Equals(rules.Encoding, WireNames.Identity, StringComparison.Ordinal))
                throw Refused(StatusCode.Internal, rules, $"the compressed flag is set, but grpc-encoding is '{rules.Encoding ?? "(absent)"}'.");
            throw Refused(rules.UnsupportedEncoding, rules, $"grpc-encoding '{rules.Encoding}' is not supported. Supported: {WireNames.Identity}.");
        }

        if (rules.MaxSize is { } max && length > max) throw Refused(StatusCode.ResourceExhausted, rules, $"the message has {length} bytes; the limit is {max}.");
        if (length > Array.MaxLength) throw Refused(StatusCode.ResourceExhausted, rules, $"the message has {length} bytes; that does not fit memory.");
        return (int)length;
    }

    private static RpcException Refused(StatusCode code, MessageRules rules, string why) => new(new Status(code, $"{rules.Who}: {why}"));
}
