// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Operations on the addresses and prefixes of network interfaces.</summary>
internal static class AddressOperations
{
    public static Func<VpcWorld, Action<Ec2Xml>> AssignIpv4(QueryRequest request)
    {
        var id = new EniId(request.Required("NetworkInterfaceId"));
        var requested = new AddressRequest
        {
            AddressCount = request.Number("SecondaryPrivateIpAddressCount") ?? 0,
            Addresses = request.Addresses("PrivateIpAddress"),
            PrefixCount = request.Number("Ipv4PrefixCount") ?? 0,
            Prefixes = request.Networks("Ipv4Prefix"),
        };
        var allowReassignment = request.Flag("AllowReassignment") ?? false;
        return world =>
        {
            var assigned = world.AssignPrivateIpAddresses(id, requested, allowReassignment);
            return xml =>
            {
                xml.Value("networkInterfaceId", id.Value);
                xml.List("assignedPrivateIpAddressesSet", assigned.Addresses, address => xml.Value("privateIpAddress", address));
                xml.List("assignedIpv4PrefixSet", assigned.Prefixes, prefix => xml.Value("ipv4Prefix", prefix.ToString()));
                xml.Value("return", value: true);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> UnassignIpv4(QueryRequest request)
    {
        var id = new EniId(request.Required("NetworkInterfaceId"));
        var addresses = request.Addresses("PrivateIpAddress");
        var prefixes = request.Networks("Ipv4Prefix");
        return world =>
        {
            world.UnassignPrivateIpAddresses(id, addresses, prefixes);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> AssignIpv6(QueryRequest request)
    {
        var id = new EniId(request.Required("NetworkInterfaceId"));
        var requested = new AddressRequest
        {
            AddressCount = request.Number("Ipv6AddressCount") ?? 0,
            Addresses = request.Addresses("Ipv6Addresses"),
            PrefixCount = request.Number("Ipv6PrefixCount") ?? 0,
            Prefixes = request.Networks("Ipv6Prefix"),
        };
        return world =>
        {
            var assigned = world.AssignIpv6Addresses(id, requested);
            return xml =>
            {
                xml.Value("networkInterfaceId", id.Value);
                xml.Values("assignedIpv6Addresses", assigned.Addresses);
                xml.Values("assignedIpv6PrefixSet", assigned.Prefixes);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> UnassignIpv6(QueryRequest request)
    {
        var id = new EniId(request.Required("NetworkInterfaceId"));
        var addresses = request.Addresses("Ipv6Addresses");
        var prefixes = request.Networks("Ipv6Prefix");
        return world =>
        {
            var change = world.UnassignIpv6Addresses(id, addresses, prefixes);
            return xml =>
            {
                xml.Value("networkInterfaceId", id.Value);
                xml.Values("unassignedIpv6Addresses", change.Addresses);
                xml.Values("unassignedIpv6PrefixSet", change.Prefixes);
            };
        };
    }
}
