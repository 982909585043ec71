// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace VpcCni.Netlink.Wire;

/// <summary>A message in a datagram.</summary>
internal readonly ref struct Message(MessageHeader header, ReadOnlySpan<byte> payload)
{
    public MessageHeader Header { get; } = header;

    /// <summary>The octets after the header.</summary>
    public ReadOnlySpan<byte> Payload { get; } = payload;

    /// <summary>Reads the fixed structure at the start of the payload. <paramref name="attributes"/> reads what follows it.</summary>
    public T Read<T>(out AttributeReader attributes)
        where T : unmanaged
    {
        int size = Unsafe.SizeOf<T>();
        if (Payload.Length < size)
            throw new MalformedMessageException($"message of type {Header.Type}: {Payload.Length} octets, at least {size} expected");
        int start = Math.Min((size + 3) & ~3, Payload.Length);
        attributes = new AttributeReader(Payload[start..]);
        return MemoryMarshal.Read<T>(Payload);
    }
}

/// <summary>
/// Reads the messages of a datagram in sequence. Throws <see cref="MalformedMessageException"/> for a length beyond the datagram.
/// </summary>
internal ref struct MessageReader(ReadOnlySpan<byte> datagram)
{
    private ReadOnlySpan<byte> _rest = datagram;

    public bool TryRead(out Message message)
    {
        message = default;
        if (_rest.IsEmpty)
            return false;
        if (_rest.Length < MessageHeader.Size)
            throw new MalformedMessageException($"{_rest.Length} octets after the last message are too few for a header");
        var header = MemoryMarshal.Read<MessageHeader>(_rest);
        if (header.Length < MessageHeader.Size || header.Length > (uint)_rest.Length)
            throw new MalformedMessageException($"message of type {header.Type} has length {header.Length}; {_rest.Length} octets remain");
        int length = (int)header.Length;
        message = new Message(header, _rest[MessageHeader.Size..length]);
        // The last message may lack its padding.
        _rest = _rest[Math.Min((length + 3) & ~3, _rest.Length)..];
        return true;
    }
}
