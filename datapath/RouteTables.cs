// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Datapath;

/// <summary>
/// Numbers of route tables. They are those of the AWS VPC CNI and of amazon-ec2-net-utils.
/// </summary>
public static class RouteTables
{
    /// <summary>RT_TABLE_MAIN (linux/rtnetlink.h).</summary>
    public const int Main = RouteTable.Main;

    private const int FirstOfCards = 10_000;
    private const int PerCard = 100;
    private const int FirstOfVlans = 100;

    /// <summary>
    /// The table of the network interface in a slot: main for the primary interface, device + 1 on the first network card,
    /// 10000 + device + 100 * card on the others.
    /// </summary>
    public static int Of(Slot slot) =>
        slot switch
        {
            { IsPrimary: true } => Main,
            { NetworkCard: 0 } => slot.DeviceIndex + 1,
            _ => FirstOfCards + slot.DeviceIndex + (PerCard * slot.NetworkCard),
        };

    /// <summary>The table of a branch interface: VLAN id + 100.</summary>
    public static int OfVlan(int vlanId) => FirstOfVlans + vlanId;
}
