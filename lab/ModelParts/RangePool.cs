// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.ModelParts;

/// <summary>
/// The addresses of a range, of which aligned ranges of any length are taken. It picks the lowest free range. Not thread-safe.
/// </summary>
public sealed class RangePool
{
    private readonly IPNetwork _range;

    /// <summary>Taken ranges: length by first address, without overlaps.</summary>
    private readonly SortedDictionary<long, long> _taken = [];

    /// <param name="range">An IPv4 range.</param>
    /// <param name="reservedFirst">Number of addresses at its start that the cloud reserves.</param>
    /// <param name="reservedLast">Number of addresses at its end that the cloud reserves.</param>
    public RangePool(IPNetwork range, int reservedFirst, int reservedLast)
    {
        _range = range;
        var first = (long)Ipv4.Number(range.BaseAddress);
        if (reservedFirst > 0)
            _taken.Add(first, reservedFirst);
        if (reservedLast > 0)
            _taken.Add(first + Ipv4.Size(range) - reservedLast, reservedLast);
    }

    /// <summary>Number of free addresses.</summary>
    public long Free => Ipv4.Size(_range) - _taken.Values.Sum();

    /// <summary>Takes a range; false if it is not within the pool or not free.</summary>
    public bool TryTake(IPNetwork range)
    {
        if (!Ipv4.Within(range, _range))
            return false;
        var first = (long)Ipv4.Number(range.BaseAddress);
        var end = first + Ipv4.Size(range);
        if (_taken.Any(taken => taken.Key < end && first < taken.Key + taken.Value))
            return false;
        _taken.Add(first, end - first);
        return true;
    }

    /// <summary>Takes the lowest free aligned range of a length; null if there is none.</summary>
    public IPNetwork? TakeAny(int prefixLength)
    {
        if (prefixLength < _range.PrefixLength)
            return null;
        var size = 1L << (32 - prefixLength);
        var candidate = (long)Ipv4.Number(_range.BaseAddress);
        foreach (var (first, length) in _taken)
        {
            if (candidate + size <= first)
                break;
            candidate = Math.Max(candidate, (first + length + size - 1) / size * size);
        }

        if (candidate + size > Ipv4.Number(_range.BaseAddress) + Ipv4.Size(_range))
            return null;
        _taken.Add(candidate, size);
        return new IPNetwork(Ipv4.Address((uint)candidate), prefixLength);
    }

    /// <exception cref="InvalidOperationException">The range is not taken.</exception>
    public void Release(IPNetwork range)
    {
        if (!_taken.Remove(Ipv4.Number(range.BaseAddress)))
            throw new InvalidOperationException($"{range} is not taken");
    }
}
