// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;

namespace Amazon.EC2.Model;

/// <summary>An IPv4 address of a network interface.</summary>
public class NetworkInterfacePrivateIpAddress
{
    public NetworkInterfaceAssociation? Association { get; set; }

    public bool? Primary { get; set; }

    public string? PrivateDnsName { get; set; }

    public string? PrivateIpAddress { get; set; }

    internal static NetworkInterfacePrivateIpAddress Read(Ec2Element element) => new()
    {
        Association = element.Object("association", NetworkInterfaceAssociation.Read),
        Primary = element.Boolean("primary"),
        PrivateDnsName = element.String("privateDnsName"),
        PrivateIpAddress = element.String("privateIpAddress"),
    };
}

/// <summary>An IPv6 address of a network interface.</summary>
public class NetworkInterfaceIpv6Address
{
    public string? Ipv6Address { get; set; }

    public bool? IsPrimaryIpv6 { get; set; }

    internal static NetworkInterfaceIpv6Address Read(Ec2Element element) => new() { Ipv6Address = element.String("ipv6Address"), IsPrimaryIpv6 = element.Boolean("isPrimaryIpv6") };
}

/// <summary>A /28 of a network interface, in CIDR notation.</summary>
public class Ipv4PrefixSpecification
{
    public string? Ipv4Prefix { get; set; }

    internal static Ipv4PrefixSpecification Read(Ec2Element element) => new() { Ipv4Prefix = element.String("ipv4Prefix") };
}

/// <summary>A /80 of a network interface, in CIDR notation.</summary>
public class Ipv6PrefixSpecification
{
    public string? Ipv6Prefix { get; set; }

    internal static Ipv6PrefixSpecification Read(Ec2Element element) => new() { Ipv6Prefix = element.String("ipv6Prefix") };
}

/// <summary>A /28 asked for by name.</summary>
public class Ipv4PrefixSpecificationRequest
{
    public string? Ipv4Prefix { get; set; }

    internal void Write(Ec2QueryWriter writer) => writer.Add("Ipv4Prefix", Ipv4Prefix);
}

/// <summary>A /80 asked for by name.</summary>
public class Ipv6PrefixSpecificationRequest
{
    public string? Ipv6Prefix { get; set; }

    internal void Write(Ec2QueryWriter writer) => writer.Add("Ipv6Prefix", Ipv6Prefix);
}

/// <summary>An IPv4 address asked for by name.</summary>
public class PrivateIpAddressSpecification
{
    public bool? Primary { get; set; }

    public string? PrivateIpAddress { get; set; }

    internal void Write(Ec2QueryWriter writer)
    {
        writer.Add("Primary", Primary);
        writer.Add("PrivateIpAddress", PrivateIpAddress);
    }
}

/// <summary>An IPv6 address, asked for by name or described on an instance.</summary>
public class InstanceIpv6Address
{
    public string? Ipv6Address { get; set; }

    public bool? IsPrimaryIpv6 { get; set; }

    internal static InstanceIpv6Address Read(Ec2Element element) => new() { Ipv6Address = element.String("ipv6Address"), IsPrimaryIpv6 = element.Boolean("isPrimaryIpv6") };

    internal void Write(Ec2QueryWriter writer)
    {
        writer.Add("Ipv6Address", Ipv6Address);
        writer.Add("IsPrimaryIpv6", IsPrimaryIpv6);
    }
}

/// <summary>An IPv4 address that an assign call added.</summary>
public class AssignedPrivateIpAddress
{
    public string? PrivateIpAddress { get; set; }

    internal static AssignedPrivateIpAddress Read(Ec2Element element) => new() { PrivateIpAddress = element.String("privateIpAddress") };
}
