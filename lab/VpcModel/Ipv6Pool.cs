// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>Converts IPv6 addresses to numbers and back.</summary>
internal static class Ipv6Number
{
    public static UInt128 Of(IPAddress address)
    {
        Span<byte> octets = stackalloc byte[16];
        if (!address.TryWriteBytes(octets, out var written) || written != 16)
            throw new ArgumentException($"not an IPv6 address: {address}", nameof(address));
        return BinaryPrimitives.ReadUInt128BigEndian(octets);
    }

    public static IPAddress ToAddress(UInt128 number)
    {
        Span<byte> octets = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(octets, number);
        return new IPAddress(octets);
    }
}

/// <summary>
/// The taken addresses and /80 prefixes of a subnet's IPv6 /64. The first and the last /80 contain the subnet's reserved addresses and are
/// never assigned.
/// </summary>
internal sealed class Ipv6Pool(IPNetwork range, AddressOrder order, Random random)
{
    private const int PrefixHostBits = 48;
    private const int PrefixCount = 1 << 16;

    private readonly UInt128 _base = Ipv6Number.Of(range.BaseAddress);
    private readonly HashSet<UInt128> _singles = [];
    private readonly Dictionary<int, int> _singlesPerPrefix = [];
    private readonly HashSet<int> _prefixes = [];
    private ulong _nextSingle;

    public bool Contains(IPAddress address) => range.Contains(address);

    public bool TryTake(IPAddress address)
    {
        if (!range.Contains(address))
            return false;
        var number = Ipv6Number.Of(address);
        var prefix = PrefixOf(number);
        if (prefix is 0 or PrefixCount - 1 || _prefixes.Contains(prefix) || !_singles.Add(number))
            return false;
        _singlesPerPrefix[prefix] = _singlesPerPrefix.GetValueOrDefault(prefix) + 1;
        return true;
    }

    public IPAddress TakeAny()
    {
        for (var draw = 0; ; draw++)
        {
            // With 2^64 addresses, a collision is rare and needs one more draw. A sequential pool gives up its sequence after PrefixCount
            // collisions, because the /80 that contains it may be taken as a prefix.
            var host =
                order == AddressOrder.Sequential && draw < PrefixCount
                    ? (UInt128.One << PrefixHostBits) + ++_nextSingle
                    : (UInt128)(ulong)random.NextInt64(long.MinValue, long.MaxValue);
            var address = Ipv6Number.ToAddress(_base + host);
            if (TryTake(address))
                return address;
        }
    }

    public void Release(IPAddress address)
    {
        var number = Ipv6Number.Of(address);
        if (!_singles.Remove(number))
            throw new InvalidOperationException($"{address} is not taken");
        var prefix = PrefixOf(number);
        if (--_singlesPerPrefix[prefix] == 0)
            _singlesPerPrefix.Remove(prefix);
    }

    public IPNetwork? TakeAnyPrefix()
    {
        var start = order == AddressOrder.Scattered ? random.Next(PrefixCount) : 2;
        for (var step = 0; step < PrefixCount; step++)
        {
            var prefix = (start + step) % PrefixCount;
            if (Take(prefix))
                return new IPNetwork(Ipv6Number.ToAddress(_base + ((UInt128)prefix << PrefixHostBits)), 80);
        }

        return null;
    }

    public bool TryTakePrefix(IPNetwork prefix) =>
        prefix.PrefixLength == 80 && range.Contains(prefix.BaseAddress) && Take(PrefixOf(Ipv6Number.Of(prefix.BaseAddress)));

    public void ReleasePrefix(IPNetwork prefix)
    {
        if (!_prefixes.Remove(PrefixOf(Ipv6Number.Of(prefix.BaseAddress))))
            throw new InvalidOperationException($"{prefix} is not taken");
    }

    private bool Take(int prefix) =>
        prefix is not 0 and not (PrefixCount - 1) && !_singlesPerPrefix.ContainsKey(prefix) && _prefixes.Add(prefix);

    private int PrefixOf(UInt128 number) => (int)(uint)((number - _base) >> PrefixHostBits);
}
