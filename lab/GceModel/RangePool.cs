// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.GceModel;

/// <summary>
/// The addresses of a subnetwork's primary or secondary range, of which aligned ranges of any length are taken. It picks the lowest free
/// range. GCE reserves the first two and the last two addresses of a primary range and none of a secondary range
/// (https://cloud.google.com/vpc/docs/subnets#unusable-ip-addresses-in-every-subnet).
/// </summary>
internal sealed class RangePool
{
    private readonly IPNetwork _range;

    /// <summary>Taken ranges: length by first address, without overlaps.</summary>
    private readonly SortedDictionary<long, long> _taken = [];

    public RangePool(IPNetwork range, bool isPrimary)
    {
        _range = range;
        if (!isPrimary)
            return;
        var first = (long)Ipv4.Number(range.BaseAddress);
        _taken.Add(first, 2);
        _taken.Add(first + Ipv4.Size(range) - 2, 2);
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

    public void Release(IPNetwork range)
    {
        if (!_taken.Remove(Ipv4.Number(range.BaseAddress)))
            throw new InvalidOperationException($"{range} is not taken");
    }
}
