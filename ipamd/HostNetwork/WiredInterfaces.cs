// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The interfaces that were wired and not removed since. Thread-safe.</summary>
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

    /// <returns>Interfaces that had the same route table until now, and were not removed.</returns>
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

    /// <summary>Whether this is still the desired state of the interface.</summary>
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

    /// <summary>Whether the link is that of a secondary interface, which is configured by the daemon alone.</summary>
    public bool HasSecondaryLink(int linkIndex)
    {
        lock (_lock)
            return _wired.Values.Any(item => item.LinkIndex == linkIndex && !item.Wiring.IsPrimary);
    }

    /// <summary>Whether the link is that of an interface: by index, or by MAC address when it came back with another index.</summary>
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
