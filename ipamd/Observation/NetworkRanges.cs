// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Observation;

/// <summary>The last known address ranges of the virtual network. Every ADD reads them, so they are in memory. Thread-safe.</summary>
internal sealed class NetworkRanges
{
    private volatile IReadOnlyList<IPNetwork> _current = [];

    public IReadOnlyList<IPNetwork> Current => _current;

    /// <summary>Called after every <see cref="Set"/>.</summary>
    public Action Changed { get; set; } = () => { };

    public void Set(IReadOnlyList<IPNetwork> ranges)
    {
        _current = ranges;
        Changed();
    }
}
