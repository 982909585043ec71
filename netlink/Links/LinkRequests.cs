// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Builds requests on links: <c>ip link add</c>, <c>set</c> and <c>delete</c>. Names that the kernel would reject, such as those longer
/// than 15 characters, are <see cref="ArgumentException"/>s.
/// </summary>
public static class LinkRequests
{
    // Characters that dev_valid_name (net/core/dev.c) rejects.
    private static readonly SearchValues<char> ForbiddenInNames = SearchValues.Create("/: \t\n\v\f\r\0");

    /// <summary>Creates a veth pair. The kernel returns EEXIST if either name exists.</summary>
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

    /// <summary>Creates an 802.1Q link on another link. Branch ENIs of a trunk ENI use such links.</summary>
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

    /// <summary>Deletes a link. The kernel returns ENODEV if it does not exist. Deleting one end of a veth pair deletes both.</summary>
    public static NetlinkRequest Delete(string name)
    {
        CheckName(name);
        return new NetlinkRequest(LinkMessage.Delete(name), () => $"ip link delete {name}");
    }

    /// <inheritdoc cref="Delete(string)"/>
    public static NetlinkRequest Delete(int index) => new(LinkMessage.Delete(CheckIndex(index)), () => $"ip link delete if{index}");

    /// <summary>
    /// Deletes the links of a group. The kernel returns ENODEV if the group is empty, and EOPNOTSUPP if one of its links cannot be deleted;
    /// then it deletes none. A batch costs little more than one link, because the kernel waits for readers of its tables (RCU) once per
    /// request, and that wait is most of the time.
    /// </summary>
    public static NetlinkRequest DeleteGroup(int group) =>
        group != 0
            ? new(LinkMessage.DeleteGroup(group), () => $"ip link delete group {group}")
            : throw new ArgumentOutOfRangeException(nameof(group), group, "group 0 is the default group, which contains every link");

    public static NetlinkRequest SetGroup(int index, int group) =>
        new(LinkMessage.Set(CheckIndex(index), Ifla.IFLA_GROUP, group), () => $"ip link set if{index} group {group}");

    public static NetlinkRequest SetUp(int index, bool up) =>
        new(LinkMessage.SetUp(CheckIndex(index), up), () => $"ip link set if{index} {(up ? "up" : "down")}");

    public static NetlinkRequest SetUp(string name, bool up)
    {
        CheckName(name);
        return new NetlinkRequest(LinkMessage.SetUp(name, up), () => $"ip link set {name} {(up ? "up" : "down")}");
    }

    /// <param name="mtu">In octets.</param>
    public static NetlinkRequest SetMtu(int index, int mtu) =>
        new(LinkMessage.Set(CheckIndex(index), Ifla.IFLA_MTU, mtu), () => $"ip link set if{index} mtu {mtu}");

    public static NetlinkRequest SetMac(int index, MacAddress mac) =>
        new(LinkMessage.SetMac(CheckIndex(index), mac), () => $"ip link set if{index} address {mac}");

    /// <summary>Renames a link. Before Linux 6.2 the kernel returns EBUSY for most links that are up.</summary>
    public static NetlinkRequest Rename(int index, string name)
    {
        CheckName(name);
        return new NetlinkRequest(LinkMessage.Rename(CheckIndex(index), name), () => $"ip link set if{index} name {name}");
    }

    /// <summary>Makes the link a member of a bridge or bond; 0 ends the membership.</summary>
    public static NetlinkRequest SetMaster(int index, int masterIndex) =>
        new(
            LinkMessage.Set(CheckIndex(index), Ifla.IFLA_MASTER, masterIndex),
            () => masterIndex == 0 ? $"ip link set if{index} nomaster" : $"ip link set if{index} master if{masterIndex}"
        );

    /// <summary>
    /// Moves a link to another namespace. The link arrives down, without addresses and routes; its index changes if it is in use there.
    /// </summary>
    public static NetlinkRequest MoveToNamespace(int index, NetworkNamespace ns)
    {
        ArgumentNullException.ThrowIfNull(ns);
        var message = LinkMessage.MoveToNamespace(CheckIndex(index), out int namespaceOffset);
        return new NetlinkRequest(message, () => $"ip link set if{index} netns {ns}") { Target = ns, TargetOffset = namespaceOffset };
    }

    internal static void CheckName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length >= Ifla.IFNAMSIZ || name is "." or ".." || name.AsSpan().ContainsAny(ForbiddenInNames))
            throw new ArgumentException(
                $"'{name}' is not a valid link name: expected 1 to {Ifla.IFNAMSIZ - 1} characters without '/', ':' and space",
                nameof(name)
            );
    }

    internal static int CheckIndex(int index) =>
        index > 0 ? index : throw new ArgumentOutOfRangeException(nameof(index), index, "a link index must be positive");

    private static NetlinkRequest Create(string kind, string name, MacAddress? mac, int? mtu, bool up)
    {
        CheckName(name);
        return new NetlinkRequest(
            LinkMessage.Create(kind, name, mac, mtu, up),
            () => $"ip link add {name}{Options(mac, mtu, up)} type {kind}"
        );
    }

    // For example: ip link add eni1 mtu 9001 address .. up type veth peer name eth0 netns .. address .. mtu 9001
    private static string Describe(VethSpec spec)
    {
        // Leaves out PeerUp, which takes a second request; `ip` fails with ENOTCONN as well.
        string peerNamespace = spec.PeerNamespace is null ? "" : $" netns {spec.PeerNamespace}";
        return $"ip link add {spec.Name}{Options(spec.Mac, spec.Mtu, spec.Up)} type veth peer name "
            + $"{spec.PeerName}{peerNamespace}{Options(spec.PeerMac, spec.PeerMtu, up: false)}";
    }

    private static string Options(MacAddress? mac, int? mtu, bool up) =>
        $"{(mtu is null ? "" : $" mtu {mtu}")}{(mac is null ? "" : $" address {mac}")}{(up ? " up" : "")}";
}
