// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using VpcCni.Netlink;

namespace VpcCni.Shim;

/// <summary>A link named in a result. <see cref="Sandbox"/> is the path of the namespace; empty for a link of the host.</summary>
internal sealed record CniInterface(string Name, string Mac = "", string Sandbox = "", int? Mtu = null)
{
    public string? SocketPath { get; init; }
    public string? PciId { get; init; }
}

/// <summary>An address named in a result; <see cref="Interface"/> is an index into the interfaces.</summary>
internal sealed record CniAddress(IPAddress Address, int PrefixLength, int? Interface = null, string Gateway = "")
{
    public static CniAddress Host(IPAddress address, int? @interface = null) =>
        new(address, IpRanges.Single(address).PrefixLength, @interface);
}

/// <summary>The result of an ADD: ours, or the prevResult that a runtime passes.</summary>
internal sealed record CniResult(IReadOnlyList<CniInterface> Interfaces, IReadOnlyList<CniAddress> Addresses)
{
    /// <summary>From an earlier plugin of the chain; passed on unread.</summary>
    public JsonElement? Routes { get; init; }

    /// <inheritdoc cref="Routes"/>
    public JsonElement? Dns { get; init; }

    /// <summary>Returns this result appended to that of an earlier plugin, as the specification requires of a chained plugin.</summary>
    public CniResult After(CniResult? previous)
    {
        if (previous is null)
            return this;
        var shift = previous.Interfaces.Count;
        return new CniResult(
            [.. previous.Interfaces, .. Interfaces],
            [.. previous.Addresses, .. Addresses.Select(address => address with { Interface = address.Interface + shift })]
        )
        {
            Routes = previous.Routes,
            Dns = previous.Dns,
        };
    }
}
