// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net;
using System.Numerics;

namespace VpcCni.Lab.VpcModel;

/// <summary>Converts IPv4 addresses to numbers and back.</summary>
internal static class Ipv4Number
{
    public static uint Of(IPAddress address)
    {
        Span<byte> octets = stackalloc byte[4];
        if (!address.TryWriteBytes(octets, out var written) || written != 4)
            throw new ArgumentException($"not an IPv4 address: {address}", nameof(address));
        return BinaryPrimitives.ReadUInt32BigEndian(octets);
    }

    public static IPAddress ToAddress(uint number)
    {
        Span<byte> octets = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(octets, number);
        return new IPAddress(octets);
    }
}

/// <summary>
/// The addresses of a subnet's IPv4 range, as a bitmap. EC2 reserves the first four (network, router, DNS, future use) and the last
/// (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html), so the first and the last /28 are never prefixes.
/// </summary>
internal sealed class Ipv4Pool
{
    /// <summary>Number of addresses in a /28.</summary>
    public const int PrefixSize = 16;
    private const int WordBits = 64;

    private readonly uint _base;
    private readonly int _size;
    private readonly ulong[] _used;
    private readonly AddressOrder _order;
    private readonly Random _random;

    public Ipv4Pool(IPNetwork range, AddressOrder order, Random random)
    {
        _base = Ipv4Number.Of(range.BaseAddress);
        _size = 1 << (32 - range.PrefixLength);
        _used = new ulong[(_size + WordBits - 1) / WordBits];
        _order = order;
        _random = random;
        Free = _size;
        if (_size % WordBits != 0)
            _used[^1] = ulong.MaxValue << (_size % WordBits);
        foreach (var offset in (ReadOnlySpan<int>)[0, 1, 2, 3, _size - 1])
            Mark(offset);
    }

    /// <summary>Number of free addresses: AvailableIpAddressCount.</summary>
    public int Free { get; private set; }

    public bool Contains(IPAddress address) => OffsetOf(address) is not null;

    public bool IsFree(IPAddress address) => OffsetOf(address) is { } offset && !IsUsed(offset);

    /// <summary>Takes an address; false if it is outside the subnet, reserved or taken.</summary>
    public bool TryTake(IPAddress address)
    {
        if (OffsetOf(address) is not { } offset || IsUsed(offset))
            return false;
        Mark(offset);
        return true;
    }

    /// <summary>Takes a free address; null if there is none.</summary>
    public IPAddress? TakeAny()
    {
        if (Free == 0)
            return null;
        var start = _order == AddressOrder.Scattered ? _random.Next(_size) : 0;
        var offset = FirstFree(start) ?? FirstFree(0);
        Mark(offset!.Value);
        return Ipv4Number.ToAddress(_base + (uint)offset.Value);
    }

    public void Release(IPAddress address)
    {
        if (OffsetOf(address) is not { } offset || !IsUsed(offset))
            throw new InvalidOperationException($"{address} is not taken");
        Unmark(offset);
    }

    /// <summary>Takes a free /28; null if no aligned /28 is free.</summary>
    public IPNetwork? TakeAnyPrefix()
    {
        var blocks = _size / PrefixSize;
        var start = _order == AddressOrder.Scattered ? _random.Next(blocks) : 0;
        for (var step = 0; step < blocks; step++)
        {
            var block = (start + step) % blocks;
            if (!IsBlockFree(block))
                continue;
            MarkBlock(block);
            return new IPNetwork(Ipv4Number.ToAddress(_base + (uint)(block * PrefixSize)), 28);
        }

        return null;
    }

    public bool TryTakePrefix(IPNetwork prefix)
    {
        if (prefix.PrefixLength != 28 || OffsetOf(prefix.BaseAddress) is not { } offset || !IsBlockFree(offset / PrefixSize))
            return false;
        MarkBlock(offset / PrefixSize);
        return true;
    }

    public void ReleasePrefix(IPNetwork prefix)
    {
        var offset = OffsetOf(prefix.BaseAddress) ?? throw new InvalidOperationException($"{prefix} is not in this subnet");
        for (var i = 0; i < PrefixSize; i++)
            Unmark(offset + i);
    }

    /// <summary>Number of free aligned /28s.</summary>
    public int FreePrefixes => Enumerable.Range(0, _size / PrefixSize).Count(IsBlockFree);

    private int? OffsetOf(IPAddress address)
    {
        if (address.AddressFamily != System.Net.Sockets.AddressFamily.InterNetwork)
            return null;
        var number = Ipv4Number.Of(address);
        return number >= _base && number - _base < (uint)_size ? (int)(number - _base) : null;
    }

    private bool IsUsed(int offset) => (_used[offset / WordBits] >> (offset % WordBits) & 1) != 0;

    private bool IsBlockFree(int block)
    {
        var offset = block * PrefixSize;
        return (_used[offset / WordBits] >> (offset % WordBits) & 0xffff) == 0;
    }

    private void MarkBlock(int block)
    {
        for (var i = 0; i < PrefixSize; i++)
            Mark(block * PrefixSize + i);
    }

    private void Mark(int offset)
    {
        _used[offset / WordBits] |= 1UL << (offset % WordBits);
        Free--;
    }

    private void Unmark(int offset)
    {
        _used[offset / WordBits] &= ~(1UL << (offset % WordBits));
        Free++;
    }

    private int? FirstFree(int start)
    {
        for (var word = start / WordBits; word < _used.Length; word++)
        {
            var free = ~_used[word];
            if (word == start / WordBits)
                free &= ulong.MaxValue << (start % WordBits);
            if (free != 0)
                return word * WordBits + BitOperations.TrailingZeroCount(free);
        }

        return null;
    }
}
