// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace VpcCni.Netlink.Wire;

/// <summary>
/// Writes a netlink message into a buffer of the caller, usually on the stack: header, family header, attributes, nested attributes. Pads
/// everything to 4 octets with zeros. Throws <see cref="ArgumentException"/> if the message exceeds the buffer.
/// </summary>
internal ref struct MessageWriter
{
    /// <summary>
    /// Bound of a message in octets. The largest request without next hops, a veth pair, has less than 200; each next hop adds 16 to 36.
    /// </summary>
    public const int MaxLength = 4096;

    private readonly Span<byte> _buffer;
    private int _length;

    public MessageWriter(Span<byte> buffer, ushort type, ushort flags)
    {
        _buffer = buffer;
        Append(new MessageHeader { Type = type, Flags = (ushort)(flags | Nlm.NLM_F_REQUEST) });
    }

    public readonly int Length => _length;

    /// <summary>Appends a fixed structure.</summary>
    public void Append<T>(T value)
        where T : unmanaged => MemoryMarshal.Write(Reserve(Unsafe.SizeOf<T>()), in value);

    public void Attribute(ushort type, scoped ReadOnlySpan<byte> value) => value.CopyTo(Value(type, value.Length));

    public void Attribute(ushort type, byte value) => Value(type, sizeof(byte))[0] = value;

    public void Attribute(ushort type, ushort value) => MemoryMarshal.Write(Value(type, sizeof(ushort)), in value);

    public void Attribute(ushort type, uint value) => MemoryMarshal.Write(Value(type, sizeof(uint)), in value);

    public void Attribute(ushort type, int value) => MemoryMarshal.Write(Value(type, sizeof(int)), in value);

    public void Attribute(ushort type, MacAddress value) => value.CopyTo(Value(type, MacAddress.Length));

    public void Attribute(ushort type, IPAddress value)
    {
        var octets = Value(type, value.AddressFamily == IpFamily.V4 ? 4 : 16);
        if (!value.TryWriteBytes(octets, out _))
            throw new ArgumentException($"{value} does not fit {octets.Length} octets", nameof(value));
    }

    /// <summary>Writes a name with its terminating zero (NLA_NUL_STRING).</summary>
    public void Name(ushort type, string value)
    {
        int count = Encoding.UTF8.GetByteCount(value);
        Encoding.UTF8.GetBytes(value, Value(type, count + 1));
    }

    /// <summary>
    /// Opens an attribute that contains everything written until <see cref="EndNested"/> is called with the returned start.
    /// </summary>
    public int BeginNested(ushort type)
    {
        int start = _length;
        Append(new AttributeHeader { Type = type });
        return start;
    }

    public readonly void EndNested(int start)
    {
        ushort length = checked((ushort)(_length - start));
        MemoryMarshal.Write(_buffer[start..], in length);
    }

    /// <summary>Returns the complete message.</summary>
    public readonly byte[] ToArray()
    {
        uint length = (uint)_length;
        MemoryMarshal.Write(_buffer, in length);
        return _buffer[.._length].ToArray();
    }

    private Span<byte> Value(ushort type, int length)
    {
        Append(new AttributeHeader { Length = checked((ushort)(AttributeHeader.Size + length)), Type = type });
        return Reserve(length);
    }

    private Span<byte> Reserve(int length)
    {
        int padded = (length + 3) & ~3;
        if (padded > _buffer.Length - _length)
            throw new ArgumentException($"the message would exceed {_buffer.Length} octets");
        var span = _buffer.Slice(_length, padded);
        span.Clear();
        _length += padded;
        return span[..length];
    }
}
