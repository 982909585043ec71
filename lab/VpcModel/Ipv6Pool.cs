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
/// never assigned. Only the first <see cref="AssignablePrefixes"/> of the others are, singly or as prefixes.
/// </summary>
internal sealed class Ipv6Pool(IPNetwork range, AddressOrder order, Random random)
{
    /// <summary>Number of /80s in a /64 without the first and the last.</summary>
    public const int MaxAssignablePrefixes = (1 << 16) - 2;

    private const int PrefixHostBits = 48;

    /// <summary>Number of draws of a random address, after which the pool searches the /80s in order.</summary>
    private const int MaxDraws = 64;

    private readonly UInt128 _base = Ipv6Number.Of(range.BaseAddress);
    private readonly HashSet<UInt128> _singles = [];
    private readonly Dictionary<int, int> _singlesPerPrefix = [];
    private readonly HashSet<int> _prefixes = [];
    private ulong _nextSingle;
    private int _assignable = MaxAssignablePrefixes;

    /// <summary>Number of assignable /80s, counted from the second of the range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not 0 to <see cref="MaxAssignablePrefixes"/>.</exception>
    public int AssignablePrefixes
    {
        get => _assignable;
        set =>
            _assignable = value is >= 0 and <= MaxAssignablePrefixes
                ? value
                : throw new ArgumentOutOfRangeException(nameof(value), value, $"expected 0 to {MaxAssignablePrefixes}");
    }

    /// <summary>Whether an assignable /80 is not taken as a prefix. An /80 has more addresses than the model could ever assign.</summary>
    public bool HasFreeAddress => _prefixes.Count(IsAssignable) < _assignable;

    public bool TryTake(IPAddress address)
    {
        if (!range.Contains(address))
            return false;
        var number = Ipv6Number.Of(address);
        var prefix = PrefixOf(number);
        if (!IsAssignable(prefix) || _prefixes.Contains(prefix) || !_singles.Add(number))
            return false;
        _singlesPerPrefix[prefix] = _singlesPerPrefix.GetValueOrDefault(prefix) + 1;
        return true;
    }

    /// <summary>Takes a free address; null if every assignable /80 is taken as a prefix.</summary>
    public IPAddress? TakeAny()
    {
        // A random address is free almost always, and the next one of a sequence unless its /80 is a prefix.
        for (var draw = 0; draw < MaxDraws && _assignable > 0; draw++)
        {
            var address =
                order == AddressOrder.Sequential ? AddressAt(1, ++_nextSingle) : AddressAt(1 + random.Next(_assignable), RandomHost());
            if (TryTake(address))
                return address;
        }

        if (!HasFreeAddress)
            return null;
        var prefix = Enumerable.Range(1, _assignable).First(number => !_prefixes.Contains(number));
        while (true)
        {
            var address = AddressAt(prefix, RandomHost());
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

    /// <summary>Takes a free /80; null if there is none.</summary>
    public IPNetwork? TakeAnyPrefix()
    {
        // A sequential pool starts at the second /80, because it takes single addresses from the first.
        var start = order == AddressOrder.Scattered && _assignable > 0 ? random.Next(_assignable) : 1;
        for (var step = 0; step < _assignable; step++)
        {
            var prefix = 1 + (start + step) % _assignable;
            if (Take(prefix))
                return new IPNetwork(AddressAt(prefix, 0), 80);
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

    private bool Take(int prefix) => IsAssignable(prefix) && !_singlesPerPrefix.ContainsKey(prefix) && _prefixes.Add(prefix);

    private bool IsAssignable(int prefix) => prefix >= 1 && prefix <= _assignable;

    private ulong RandomHost() => (ulong)random.NextInt64(1L << PrefixHostBits);

    private IPAddress AddressAt(int prefix, ulong host) => Ipv6Number.ToAddress(_base + ((UInt128)prefix << PrefixHostBits) + host);

    private int PrefixOf(UInt128 number) => (int)(uint)((number - _base) >> PrefixHostBits);
}
