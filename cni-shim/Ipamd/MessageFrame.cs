// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Buffers.Binary;
using Grpc.Core;

namespace VpcCni.Shim.Ipamd;

/// <summary>
/// The frame of one message: a flag for compression, the length as a big-endian number of four bytes, the message
/// (grpc/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message). Generated code writes into the frame and reads from it without a copy in between.
/// </summary>
internal static class MessageFrame
{
    public const int HeaderBytes = 5;

    /// <summary>Header and message, uncompressed.</summary>
    public static ReadOnlyMemory<byte> Write<T>(Marshaller<T> marshaller, T message)
    {
        var frame = new FrameWriter();
        marshaller.ContextualSerializer(message, frame);
        return frame.Written;
    }

    /// <param name="marshaller">Of the message.</param>
    /// <param name="message">Without the header.</param>
    public static T Read<T>(Marshaller<T> marshaller, ReadOnlyMemory<byte> message) =>
        marshaller.ContextualDeserializer(new MessageReader(message));

    private sealed class FrameWriter : SerializationContext, IBufferWriter<byte>
    {
        private byte[] _frame = new byte[HeaderBytes];
        private int _length = HeaderBytes;
        private bool _isComplete;

        public ReadOnlyMemory<byte> Written
        {
            get
            {
                if (!_isComplete)
                    throw new InvalidOperationException("the serializer returned without completing the message");
                BinaryPrimitives.WriteInt32BigEndian(_frame.AsSpan(1), _length - HeaderBytes);
                return _frame.AsMemory(0, _length);
            }
        }

        /// <summary>The message is known to be this long, so the frame is allocated once.</summary>
        public override void SetPayloadLength(int payloadLength) => Grow(payloadLength);

        public override IBufferWriter<byte> GetBufferWriter() => this;

        public override void Complete() => _isComplete = true;

        public override void Complete(byte[] payload)
        {
            Grow(payload.Length);
            payload.CopyTo(_frame.AsSpan(_length));
            _length += payload.Length;
            _isComplete = true;
        }

        public void Advance(int count) => _length += count;

        public Memory<byte> GetMemory(int sizeHint = 0)
        {
            if (_frame.Length - _length < Math.Max(sizeHint, 1))
                Grow(Math.Max(sizeHint, _frame.Length));
            return _frame.AsMemory(_length);
        }

        public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

        private void Grow(int by) => Array.Resize(ref _frame, _length + by);
    }

    private sealed class MessageReader(ReadOnlyMemory<byte> message) : DeserializationContext
    {
        public override int PayloadLength => message.Length;

        public override byte[] PayloadAsNewBuffer() => message.ToArray();

        public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => new(message);
    }
}
