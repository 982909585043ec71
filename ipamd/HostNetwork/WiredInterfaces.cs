// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The interfaces that were wired and not removed since. From any thread.</summary>
internal sealed class WiredInterfaces
{
    private readonly Lock _lock = new();
    private readonly Dictionary<MacAddress, (InterfaceWiring Wiring, int LinkIndex)> _wired = [];

    public IReadOnlyList<InterfaceWiring> All
    {
        get
        {
            lock (_lock)
                return [.. _wired.Values.Select(item => item.Wiring).OrderBy(item => item.RouteTable)];
        }
    }

    /// <returns>Those that had its route table until now: their interface is gone, and nobody said so.</returns>
    public IReadOnlyList<InterfaceWiring> Add(InterfaceWiring wiring, int linkIndex)
    {
        var mac = MacAddress.Parse(wiring.Mac);
        lock (_lock)
        {
            InterfaceWiring[] superseded =
            [
                .. _wired
                    .Where(item => item.Value.Wiring.RouteTable == wiring.RouteTable && item.Key != mac)
                    .Select(item => item.Value.Wiring),
            ];
            foreach (var earlier in superseded)
                _wired.Remove(MacAddress.Parse(earlier.Mac));
            _wired[mac] = (wiring, linkIndex);
            return superseded;
        }
    }

    public void Remove(IPAddress primaryAddress)
    {
        lock (_lock)
        {
            foreach (
                var gone in _wired.Where(item => item.Value.Wiring.PrimaryAddress.Equals(primaryAddress)).Select(item => item.Key).ToArray()
            )
                _wired.Remove(gone);
        }
    }

    /// <summary>Whether exactly this is still what the interface must look like.</summary>
    public bool Contains(InterfaceWiring wiring)
    {
        lock (_lock)
            return _wired.TryGetValue(MacAddress.Parse(wiring.Mac), out var now) && now.Wiring == wiring;
    }

    public bool HasLink(int linkIndex)
    {
        lock (_lock)
            return _wired.Values.Any(item => item.LinkIndex == linkIndex);
    }

    /// <summary>Of an interface other than the primary one: all that is on it is ours to say.</summary>
    public bool HasSecondaryLink(int linkIndex)
    {
        lock (_lock)
            return _wired.Values.Any(item => item.LinkIndex == linkIndex && !item.Wiring.IsPrimary);
    }

    /// <summary>By its index, or by the address that tells whose link it is after it came back under another index.</summary>
    public bool HasLink(LinkInfo link)
    {
        lock (_lock)
            return _wired.Any(item => item.Value.LinkIndex == link.Index || item.Key == link.Mac);
    }

    public bool HasTable(int table)
    {
        lock (_lock)
            return _wired.Values.Any(item => item.Wiring.RouteTable == table);
    }
}
