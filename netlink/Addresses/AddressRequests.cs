// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>Optional attributes of a new address.</summary>
public sealed record AddressOptions
{
    public AddressScope Scope { get; init; }

    /// <summary>IFA_F_NOPREFIXROUTE: adds no route for the subnet of the address.</summary>
    public bool NoPrefixRoute { get; init; }

    /// <summary>
    /// IFA_F_NODAD: skips duplicate address detection, so that the address is usable at once. IPv6 only; ignored for IPv4.
    /// </summary>
    public bool NoDad { get; init; }

    /// <summary>Broadcast address; IPv4 only.</summary>
    public IPAddress? Broadcast { get; init; }
}

/// <summary>Builds requests on addresses: <c>ip address add</c>, <c>replace</c> and <c>delete</c>.</summary>
public static class AddressRequests
{
    /// <summary>Adds an address. The kernel returns EEXIST if the link has it.</summary>
    public static NetlinkRequest Add(int linkIndex, IPAddress address, int prefixLength, AddressOptions? options = null) =>
        Build("add", Rtm.RTM_NEWADDR, Nlm.NLM_F_CREATE | Nlm.NLM_F_EXCL, linkIndex, address, prefixLength, options);

    /// <summary>Adds an address, or updates the options of an existing one.</summary>
    public static NetlinkRequest Replace(int linkIndex, IPAddress address, int prefixLength, AddressOptions? options = null) =>
        Build("replace", Rtm.RTM_NEWADDR, Nlm.NLM_F_CREATE | Nlm.NLM_F_REPLACE, linkIndex, address, prefixLength, options);

    /// <summary>Removes an address. The kernel returns EADDRNOTAVAIL if the link does not have it with this prefix length.</summary>
    public static NetlinkRequest Remove(int linkIndex, IPAddress address, int prefixLength) =>
        Build("delete", Rtm.RTM_DELADDR, 0, linkIndex, address, prefixLength, options: null);

    private static NetlinkRequest Build(
        string verb,
        ushort type,
        ushort flags,
        int linkIndex,
        IPAddress address,
        int prefixLength,
        AddressOptions? options
    )
    {
        ArgumentNullException.ThrowIfNull(address);
        LinkRequests.CheckIndex(linkIndex);
        if (prefixLength < 0 || prefixLength > IpFamily.Bits(address.AddressFamily))
            throw new ArgumentOutOfRangeException(
                nameof(prefixLength),
                prefixLength,
                $"prefix length of {address}: 0 to {IpFamily.Bits(address.AddressFamily)} expected"
            );
        return new NetlinkRequest(
            AddressMessage.Change(type, flags, linkIndex, address, prefixLength, options ?? new AddressOptions()),
            () => Describe(verb, linkIndex, address, prefixLength, options)
        );
    }

    private static string Describe(string verb, int linkIndex, IPAddress address, int prefixLength, AddressOptions? options)
    {
        string text = $"ip address {verb} {address}/{prefixLength} dev if{linkIndex}";
        if (options is null)
            return text;
        if (options.Broadcast is { } broadcast)
            text += $" broadcast {broadcast}";
        if (options.Scope != AddressScope.Global)
            text += $" scope {(int)options.Scope}";
        if (options.NoPrefixRoute)
            text += " noprefixroute";
        return options.NoDad ? text + " nodad" : text;
    }
}
