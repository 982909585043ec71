// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace VpcCni.Netlink.Wire;

/// <summary>
/// An attribute. The typed readers throw <see cref="MalformedMessageException"/> if the value does not have the size that the kernel
/// documents.
/// </summary>
internal readonly ref struct Attribute(ushort type, ReadOnlySpan<byte> value)
{
    /// <summary>The type without the NESTED and NET_BYTEORDER bits.</summary>
    public ushort Type { get; } = type;

    public ReadOnlySpan<byte> Value { get; } = value;

    public AttributeReader Nested => new(Value);

    public byte AsByte() => Read<byte>();

    public ushort AsUInt16() => Read<ushort>();

    public uint AsUInt32() => Read<uint>();

    public int AsInt32() => Read<int>();

    /// <summary>Reads a string up to its terminating zero, or to the end if there is none; the kernel writes both.</summary>
    public string AsString()
    {
        int end = Value.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? Value : Value[..end]);
    }

    /// <summary>Reads a link-layer address; null if it does not have the length of an Ethernet address (tunnels, InfiniBand).</summary>
    public MacAddress? AsMac() => Value.Length == MacAddress.Length ? new MacAddress(Value) : null;

    public IPAddress AsAddress() =>
        Value.Length is 4 or 16
            ? new IPAddress(Value)
            : throw new MalformedMessageException($"attribute {Type}: an address of {Value.Length} octets; 4 or 16 expected");

    private T Read<T>()
        where T : unmanaged
    {
        int size = Unsafe.SizeOf<T>();
        if (Value.Length != size)
            throw new MalformedMessageException($"attribute {Type}: {Value.Length} octets; {size} expected");
        return MemoryMarshal.Read<T>(Value);
    }
}

/// <summary>Reads attributes in sequence. Throws <see cref="MalformedMessageException"/> for a length beyond the buffer.</summary>
internal ref struct AttributeReader(ReadOnlySpan<byte> attributes)
{
    private ReadOnlySpan<byte> _rest = attributes;

    public bool TryRead(out Attribute attribute)
    {
        attribute = default;
        // Fewer octets than a header are padding (nla_ok of the kernel).
        if (_rest.Length < AttributeHeader.Size)
            return false;
        var header = MemoryMarshal.Read<AttributeHeader>(_rest);
        if (header.Length < AttributeHeader.Size || header.Length > _rest.Length)
            throw new MalformedMessageException(
                $"attribute {header.Type & Nlm.NLA_TYPE_MASK} has length {header.Length}; {_rest.Length} octets remain"
            );
        attribute = new Attribute((ushort)(header.Type & Nlm.NLA_TYPE_MASK), _rest[AttributeHeader.Size..header.Length]);
        _rest = _rest[Math.Min((header.Length + 3) & ~3, _rest.Length)..];
        return true;
    }
}
