// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>One change of the kernel's network state, as a value.</summary>
internal abstract record HostChange
{
    private HostChange() { }

    /// <summary>Errors that count as success: the change was made before, or its object is gone.</summary>
    public IReadOnlyList<Errno> Tolerated { get; init; } = [];

    /// <summary>The same change, with more errors that count as success.</summary>
    public HostChange Tolerating(params Errno[] errnos) => this with { Tolerated = [.. Tolerated, .. errnos] };

    /// <summary>The equivalent <c>ip</c> command.</summary>
    public string Description => ToRequest().Description;

    /// <summary>The change for the wire.</summary>
    public NetlinkRequest ToRequest()
    {
        var request = this switch
        {
            SetMtu(var link, var mtu) => LinkRequests.SetMtu(link, mtu),
            SetUp(var link) => LinkRequests.SetUp(link, up: true),
            SetMac(var link, var mac) => LinkRequests.SetMac(link, mac),
            AddAddress(var link, var address, var length) => AddressRequests.Add(
                link,
                address,
                length,
                new AddressOptions { NoPrefixRoute = true }
            ),
            RemoveAddress(var link, var address, var length) => AddressRequests.Remove(link, address, length),
            AddRoute(var route) => RouteRequests.Add(route),
            ReplaceRoute(var route) => RouteRequests.Replace(route),
            RemoveRoute(var route) => RouteRequests.Remove(route),
            AddRule(var rule) => RuleRequests.Add(rule),
            RemoveRule(var rule) => RuleRequests.Remove(rule),
            _ => throw new InvalidOperationException($"unnamed change {GetType().Name}"),
        };
        return Tolerated.Count == 0 ? request : request.Tolerating([.. Tolerated]);
    }

    /// <param name="Link">Index of the link.</param>
    /// <param name="Mtu">Bytes.</param>
    internal sealed record SetMtu(int Link, int Mtu) : HostChange;

    internal sealed record SetUp(int Link) : HostChange;

    internal sealed record SetMac(int Link, MacAddress Mac) : HostChange;

    /// <summary>Without a prefix route.</summary>
    internal sealed record AddAddress(int Link, IPAddress Address, int PrefixLength) : HostChange;

    internal sealed record RemoveAddress(int Link, IPAddress Address, int PrefixLength) : HostChange;

    internal sealed record AddRoute(RouteInfo Route) : HostChange;

    internal sealed record ReplaceRoute(RouteInfo Route) : HostChange;

    internal sealed record RemoveRoute(RouteInfo Route) : HostChange;

    internal sealed record AddRule(RuleInfo Rule) : HostChange;

    internal sealed record RemoveRule(RuleInfo Rule) : HostChange;
}
