// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>State and properties of a link: IFF_* of linux/if.h, with the kernel's numbers.</summary>
[Flags]
public enum LinkFlags
{
    None = 0,

    /// <summary>IFF_UP: administratively up.</summary>
    Up = 0x1,
    Broadcast = 0x2,
    Debug = 0x4,
    Loopback = 0x8,
    PointToPoint = 0x10,

    /// <summary>IFF_RUNNING: operationally up.</summary>
    Running = 0x40,
    NoArp = 0x80,
    Promiscuous = 0x100,
    AllMulticast = 0x200,

    /// <summary>IFF_MASTER: a bond master.</summary>
    Master = 0x400,

    /// <summary>IFF_SLAVE: a member of a bond.</summary>
    Slave = 0x800,
    Multicast = 0x1000,
    Dynamic = 0x8000,

    /// <summary>IFF_LOWER_UP: the lower layer is up (carrier detected).</summary>
    LowerUp = 0x10000,
    Dormant = 0x20000,
}
