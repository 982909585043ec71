// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Requests on links: <c>ip link add</c>, <c>set</c> and <c>delete</c>. Names longer than 15 characters are an
/// <see cref="ArgumentException"/>.
/// </summary>
public static class LinkRequests
{
    // dev_valid_name in net/core/dev.c.
    private static readonly SearchValues<char> NotInNames = SearchValues.Create("/: \t\n\v\f\r\0");

    /// <summary>EEXIST if either name is taken.</summary>
    public static NetlinkRequest CreateVeth(VethSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        CheckName(spec.Name);
        CheckName(spec.PeerName);
        var message = LinkMessage.CreateVeth(spec, out int namespaceOffset);
        return new NetlinkRequest(message, () => Describe(spec))
        {
            Target = spec.PeerNamespace,
            TargetOffset = namespaceOffset,
            FollowUp = spec.PeerUp ? SetUp(spec.PeerName, up: true) : null,
        };
    }

    public static NetlinkRequest CreateDummy(string name, MacAddress? mac = null, int? mtu = null, bool up = false) =>
        Create("dummy", name, mac, mtu, up);

    public static NetlinkRequest CreateBridge(string name, MacAddress? mac = null, int? mtu = null, bool up = false) =>
        Create("bridge", name, mac, mtu, up);

    /// <summary>An 802.1Q link on top of another: how branch ENIs of a trunk arrive.</summary>
    public static NetlinkRequest CreateVlan(
        string name,
        int parentIndex,
        int vlanId,
        MacAddress? mac = null,
        int? mtu = null,
        bool up = false
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vlanId, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vlanId, 4094);
        CheckName(name);
        return new NetlinkRequest(
            LinkMessage.Create("vlan", name, mac, mtu, up, parentIndex, vlanId),
            () => $"ip link add link if{parentIndex} name {name}{Options(mac, mtu, up)} type vlan id {vlanId}"
        );
    }

    /// <summary>ENODEV if there is none. Deleting one end of a veth pair deletes both.</summary>
    public static NetlinkRequest Delete(string name)
    {
        CheckName(name);
        return new NetlinkRequest(LinkMessage.Delete(name), () => $"ip link delete {name}");
    }

    /// <inheritdoc cref="Delete(string)"/>
    public static NetlinkRequest Delete(int index) => new(LinkMessage.Delete(CheckIndex(index)), () => $"ip link delete if{index}");

    /// <summary>
    /// ENODEV if the group is empty; EOPNOTSUPP, and none is deleted, if one of its links cannot be. Many links deleted in one request cost
    /// little more than one: the kernel's waits for readers of its tables, most of the time of a deletion, happen once for all.
    /// </summary>
    public static NetlinkRequest DeleteGroup(int group) =>
        group != 0
            ? new(LinkMessage.DeleteGroup(group), () => $"ip link delete group {group}")
            : throw new ArgumentOutOfRangeException(nameof(group), group, "every link is in group 0 until it is put in another");

    public static NetlinkRequest SetGroup(int index, int group) =>
        new(LinkMessage.Set(CheckIndex(index), Ifla.IFLA_GROUP, group), () => $"ip link set if{index} group {group}");

    public static NetlinkRequest SetUp(int index, bool up) =>
        new(LinkMessage.SetUp(CheckIndex(index), up), () => $"ip link set if{index} {(up ? "up" : "down")}");

    public static NetlinkRequest SetUp(string name, bool up)
    {
        CheckName(name);
        return new NetlinkRequest(LinkMessage.SetUp(name, up), () => $"ip link set {name} {(up ? "up" : "down")}");
    }

    /// <param name="mtu">Octets.</param>
    public static NetlinkRequest SetMtu(int index, int mtu) =>
        new(LinkMessage.Set(CheckIndex(index), Ifla.IFLA_MTU, mtu), () => $"ip link set if{index} mtu {mtu}");

    public static NetlinkRequest SetMac(int index, MacAddress mac) =>
        new(LinkMessage.SetMac(CheckIndex(index), mac), () => $"ip link set if{index} address {mac}");

    /// <summary>Many drivers rename links that are up since Linux 6.2 only; before, EBUSY.</summary>
    public static NetlinkRequest Rename(int index, string name)
    {
        CheckName(name);
        return new NetlinkRequest(LinkMessage.Rename(CheckIndex(index), name), () => $"ip link set if{index} name {name}");
    }

    /// <summary>Makes the link a member of a bridge or bond; 0 ends its membership.</summary>
    public static NetlinkRequest SetMaster(int index, int masterIndex) =>
        new(
            LinkMessage.Set(CheckIndex(index), Ifla.IFLA_MASTER, masterIndex),
            () => masterIndex == 0 ? $"ip link set if{index} nomaster" : $"ip link set if{index} master if{masterIndex}"
        );

    /// <summary>The link arrives down, without addresses and routes, and its index may change if it is taken there.</summary>
    public static NetlinkRequest MoveToNamespace(int index, NetworkNamespace ns)
    {
        ArgumentNullException.ThrowIfNull(ns);
        var message = LinkMessage.MoveToNamespace(CheckIndex(index), out int namespaceOffset);
        return new NetlinkRequest(message, () => $"ip link set if{index} netns {ns}") { Target = ns, TargetOffset = namespaceOffset };
    }

    internal static void CheckName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length >= Ifla.IFNAMSIZ || name is "." or ".." || name.AsSpan().ContainsAny(NotInNames))
            throw new ArgumentException(
                $"'{name}' is no name for a link: 1 to {Ifla.IFNAMSIZ - 1} characters without '/', ':' and space expected",
                nameof(name)
            );
    }

    internal static int CheckIndex(int index) =>
        index > 0 ? index : throw new ArgumentOutOfRangeException(nameof(index), index, "a link's index is a positive number");

    private static NetlinkRequest Create(string kind, string name, MacAddress? mac, int? mtu, bool up)
    {
        CheckName(name);
        return new NetlinkRequest(
            LinkMessage.Create(kind, name, mac, mtu, up),
            () => $"ip link add {name}{Options(mac, mtu, up)} type {kind}"
        );
    }

    // ip link add eni1 mtu 9001 address .. up type veth peer name eth0 netns .. address .. mtu 9001
    private static string Describe(VethSpec spec)
    {
        // A peer that has to be up takes a second command: 'ip', too, fails with ENOTCONN otherwise.
        string peerNamespace = spec.PeerNamespace is null ? "" : $" netns {spec.PeerNamespace}";
        return $"ip link add {spec.Name}{Options(spec.Mac, spec.Mtu, spec.Up)} type veth peer name "
            + $"{spec.PeerName}{peerNamespace}{Options(spec.PeerMac, spec.PeerMtu, up: false)}";
    }

    private static string Options(MacAddress? mac, int? mtu, bool up) =>
        $"{(mtu is null ? "" : $" mtu {mtu}")}{(mac is null ? "" : $" address {mac}")}{(up ? " up" : "")}";
}
