// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace Grpc.Core;

/// <summary>Where a marshaller writes a message: either <see cref="Complete(byte[])"/> once, or <see cref="SetPayloadLength"/>, <see cref="GetBufferWriter"/> and <see cref="Complete()"/>.</summary>
public abstract class SerializationContext
{
    public virtual void Complete(byte[] payload) => throw new NotSupportedException("This context does not offer it.");

    public virtual IBufferWriter<byte> GetBufferWriter() => throw new NotSupportedException("This context does not offer it.");

    public virtual void SetPayloadLength(int payloadLength) => throw new NotSupportedException("This context does not offer it.");

    public virtual void Complete() => throw new NotSupportedException("This context does not offer it.");
}
