// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace Grpc.Core;

/// <summary>The payload of one received message, as a marshaller reads it.</summary>
public abstract class DeserializationContext
{
    /// <summary>Bytes.</summary>
    public abstract int PayloadLength { get; }

    /// <summary>A copy, owned by the caller.</summary>
    public virtual byte[] PayloadAsNewBuffer() => throw new NotSupportedException("This context does not offer it.");

    /// <summary>The payload itself; valid until the deserializer returns.</summary>
    public virtual ReadOnlySequence<byte> PayloadAsReadOnlySequence() => throw new NotSupportedException("This context does not offer it.");
}
