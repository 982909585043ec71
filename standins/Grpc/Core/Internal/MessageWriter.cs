// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace Grpc.Core.Internal;

/// <summary>
/// Serializes one message into one buffer, frame header in front, so that header and payload leave in a single write. The buffer is plain memory, not rented: a
/// request body can still be read by the HTTP stack after a call was given up.
/// </summary>
internal sealed class MessageWriter(int? maxMessageSize) : SerializationContext, IBufferWriter<byte>
{
    private const int DefaultCapacity = 256;

    private byte[] _buffer = [];
    private int _end = MessageFrame.HeaderSize;
    private int? _announced;
    private bool _complete;

    public ReadOnlyMemory<byte> Payload => Checked().AsMemory(MessageFrame.HeaderSize, _end - MessageFrame.HeaderSize);

    /// <summary>Header and payload.</summary>
    public ReadOnlyMemory<byte> Frame
    {
        get
        {
            MessageFrame.WriteHeader(Checked(), _end - MessageFrame.HeaderSize);
            return _buffer.AsMemory(0, _end);
        }
    }

    public override void SetPayloadLength(int payloadLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(payloadLength);
        CheckLimit(payloadLength);
        _announced = payloadLength;
        EnsureCapacity(payloadLength);
    }

    public override IBufferWriter<byte> GetBufferWriter() => this;

    public override void Complete(byte[] payload)
    {
        CheckLimit(payload.Length);
        EnsureCapacity(payload.Length);
        payload.CopyTo(_buffer, _end);
        _end += payload.Length;
        Complete();
    }

    public override void Complete()
    {
        if (_complete) throw new InvalidOperationException("The serializer completed the message twice.");
        var length = _end - MessageFrame.HeaderSize;
        if (_announced is { } announced && announced != length) throw new InvalidOperationException($"The serializer announced {announced} bytes and wrote {length}.");
        CheckLimit(length);
        EnsureCapacity(0);
        _complete = true;
    }

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _buffer.Length - _end);
        _end += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        EnsureCapacity(Math.Max(sizeHint, 1));
        return _buffer.AsMemory(_end);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    private byte[] Checked() => _complete ? _buffer : throw new InvalidOperationException("The serializer did not complete the message.");

    private void CheckLimit(int length)
    {
        if (maxMessageSize is { } max && length > max) throw new RpcException(new Status(StatusCode.ResourceExhausted, $"The message to send has {length} bytes; the limit is {max}."));
    }

    private void EnsureCapacity(int more)
    {
        var wanted = _end + more;
        if (wanted <= _buffer.Length) return;
        Array.Resize(ref _buffer, _announced is not null ? wanted : Math.Max(wanted, Math.Max(DefaultCapacity, _buffer.Length * 2)));
    }
}
