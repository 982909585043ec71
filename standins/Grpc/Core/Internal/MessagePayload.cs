// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace Grpc.Core.Internal;

/// <summary>A received message, without its frame header.</summary>
internal sealed class MessagePayload(ReadOnlySequence<byte> payload) : DeserializationContext
{
    public MessagePayload(byte[] payload)
        : this(new ReadOnlySequence<byte>(payload))
    {
    }

    public override int PayloadLength => checked((int)payload.Length);

    public override byte[] PayloadAsNewBuffer() => payload.ToArray();

    public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => payload;
}
