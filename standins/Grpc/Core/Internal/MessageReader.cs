// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core.Internal;

/// <summary>Reads the one message of a unary body.</summary>
internal static class MessageReader
{
    /// <summary>More than this is only allocated as the bytes arrive, so that a false length costs its sender more than us. Bytes.</summary>
    private const int FirstAllocation = 64 * 1024;

    /// <summary>
    /// The payload, or null for a body without any message. The body is read to its end. Throws <see cref="RpcException"/>: those of <see cref="MessageFrame.ReadHeader"/>,
    /// INTERNAL for a frame that is cut off, UNIMPLEMENTED for more than one message (statuscodes.md: cardinality violation).
    /// </summary>
    public static async ValueTask<byte[]?> ReadSingleAsync(Stream body, MessageRules rules, CancellationToken cancellationToken)
    {
        var header = new byte[MessageFrame.HeaderSize];
        var got = await body.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, cancellationToken);
        if (got == 0) return null;
        if (got < header.Length) throw CutOff(rules, $"the body ends after {got} of the {header.Length} bytes of a frame header");

        var length = MessageFrame.ReadHeader(header, rules);
        var payload = length == 0 ? [] : new byte[Math.Min(length, FirstAllocation)];
        var filled = 0;
        while (filled < length)
        {
            if (filled == payload.Length) Array.Resize(ref payload, (int)Math.Min(length, payload.Length * 2L));
            var read = await body.ReadAsync(payload.AsMemory(filled), cancellationToken);
            if (read == 0) throw CutOff(rules, $"the body ends after {filled} of the {length} bytes of the message");
            filled += read;
        }

        if (await body.ReadAsync(header.AsMemory(0, 1), cancellationToken) != 0)
            throw new RpcException(new Status(StatusCode.Unimplemented, $"{rules.Who}: more than one message; the method takes exactly one."));
        return payload;
    }

    private static RpcException CutOff(MessageRules rules, string what) => new(new Status(StatusCode.Internal, $"{rules.Who}: {what}."));
}

/// <summary>What a received message may be.</summary>
/// <param name="Who">"request" or "response", for error texts.</param>
/// <param name="MaxSize">Bytes; null = no limit.</param>
/// <param name="Encoding">Value of grpc-encoding.</param>
/// <param name="UnsupportedEncoding">Status for a compressed message: UNIMPLEMENTED at a server, INTERNAL at a client (compression.md).</param>
internal readonly record struct MessageRules(string Who, int? MaxSize, string? Encoding, StatusCode UnsupportedEncoding);
