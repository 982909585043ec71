// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Observation;

/// <summary>The last known address ranges of the virtual network. Every ADD reads them, so they are in memory. Thread-safe.</summary>
/// <param name="changed">Called after every <see cref="Set"/>, on its thread.</param>
internal sealed class NetworkRanges(Action changed)
{
    private volatile IReadOnlyList<IPNetwork> _current = [];

    public IReadOnlyList<IPNetwork> Current => _current;

    public void Set(IReadOnlyList<IPNetwork> ranges)
    {
        _current = ranges;
        changed();
    }
}
