// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Observation;

/// <summary>Decides how the links of interfaces for pods are configured.</summary>
/// <param name="Mtu">AWS_VPC_ENI_MTU, bytes.</param>
/// <param name="Families">The families of the pods.</param>
internal sealed record WiringPolicy(int Mtu, PodFamilies Families)
{
    public InterfaceWiring Of(CloudInterface item) =>
        new()
        {
            Mac = item.Mac,
            Slot = item.Slot,
            PrimaryAddress = item.PrimaryAddress,
            SubnetRange = item.SubnetRange,
            Mtu = Mtu,
            // Not by its blocks: a cloud may give an interface an IPv6 address in a subnet that assigns them, and an IPv4 node must not
            // forward IPv6 for that. Pods of an earlier mode count by their own addresses.
            CarriesIpv6 = Families.Contains(IpFamily.V6),
        };
}
