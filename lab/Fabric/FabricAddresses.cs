// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Fixed addresses of the fabric. All are outside every VPC range that <see cref="Problem"/> accepts.
/// </summary>
internal static class FabricAddresses
{
    /// <summary>Default MTU of links, in octets: jumbo frames, as within a VPC of AWS.</summary>
    public const int Mtu = 9001;

    /// <summary>Address of the instance metadata service, the same on EC2, GCE and Azure.</summary>
    public static readonly IPAddress Imds = IPAddress.Parse("169.254.169.254");

    /// <summary>
    /// Address at which nodes reach the cloud's API. It is link-local, so that no VPC range can contain it.
    /// </summary>
    public static readonly IPAddress CloudApi = IPAddress.Parse("169.254.169.252");

    /// <summary>Address at which nodes reach the Kubernetes API; link-local for the same reason.</summary>
    public static readonly IPAddress KubernetesApi = IPAddress.Parse("169.254.169.251");

    /// <summary>Network of the internet host (TEST-NET-3, RFC 5737): .1 is the router, .10 the host.</summary>
    public static readonly IPNetwork Internet = IPNetwork.Parse("203.0.113.0/24");

    public static readonly IPAddress InternetHost = IPAddress.Parse("203.0.113.10");

    /// <summary>IPv6 network of the internet host (documentation range, RFC 3849): ::1 is the router, ::10 the host.</summary>
    public static readonly IPNetwork Internet6 = IPNetwork.Parse("2001:db8:ffff::/64");

    public static readonly IPAddress InternetHost6 = IPAddress.Parse("2001:db8:ffff::10");

    /// <summary>Network of the on-premises host, as behind a VPN or Direct Connect: .1 is the router, .10 the host.</summary>
    public static readonly IPNetwork OnPremises = IPNetwork.Parse("198.18.0.0/24");

    public static readonly IPAddress OnPremisesHost = IPAddress.Parse("198.18.0.10");

    /// <summary>IPv6 network of the on-premises host (unique local, RFC 4193): ::1 is the router, ::10 the host.</summary>
    public static readonly IPNetwork OnPremises6 = IPNetwork.Parse("fd98:18::/64");

    public static readonly IPAddress OnPremisesHost6 = IPAddress.Parse("fd98:18::10");

    /// <summary>The on-premises networks of both families.</summary>
    public static IReadOnlyList<IPNetwork> OnPremisesNetworks => [OnPremises, OnPremises6];

    public static IPAddress InternetHostOf(AddressFamily family) => family == IpFamily.V6 ? InternetHost6 : InternetHost;

    public static IPAddress OnPremisesHostOf(AddressFamily family) => family == IpFamily.V6 ? OnPremisesHost6 : OnPremisesHost;

    /// <summary>
    /// Address that the VPC's router has on every link, besides the gateway of the subnet. aws-node routes through it what secondary ENIs
    /// send.
    /// </summary>
    public static readonly IPAddress LinkLocalRouter = IPAddress.Parse("fe80:ec2::1");

    /// <summary>Gateway of a subnet: its base address plus one.</summary>
    public static IPAddress Gateway(IPNetwork subnet) => Offset(subnet.BaseAddress, 1);

    /// <summary>
    /// The router's link-local address in an IPv6 subnet, which its advertisements come from: <c>fe80::ec2:x:y</c> with the second half of
    /// the subnet's /64.
    /// </summary>
    public static IPAddress LinkLocalGateway(IPNetwork subnet)
    {
        var bytes = new byte[16];
        (bytes[0], bytes[1]) = (0xfe, 0x80);
        (bytes[10], bytes[11]) = (0x0e, 0xc2);
        subnet.BaseAddress.GetAddressBytes().AsSpan(4, 4).CopyTo(bytes.AsSpan(12));
        return new IPAddress(bytes);
    }

    /// <summary>The link-local address that a host derives from its MAC (modified EUI-64; RFC 4291, appendix A).</summary>
    public static IPAddress LinkLocal(MacAddress mac)
    {
        var octets = mac.ToByteArray();
        byte[] identifier = [(byte)(octets[0] ^ 0x02), octets[1], octets[2], 0xff, 0xfe, octets[3], octets[4], octets[5]];
        return new IPAddress([0xfe, 0x80, 0, 0, 0, 0, 0, 0, .. identifier]);
    }

    public static bool IsIpv6(IPNetwork network) => network.BaseAddress.AddressFamily == IpFamily.V6;

    /// <summary>Describes what is wrong with a VPC range; null if the fabric supports it.</summary>
    public static string? Problem(IPNetwork range)
    {
        IPNetwork[] reserved = IsIpv6(range)
            ? [Internet6, OnPremises6, IPNetwork.Parse("fe80::/10"), IPNetwork.Parse("ff00::/8"), IPNetwork.Parse("::/8")]
            : [Internet, OnPremises, IPNetwork.Parse("169.254.0.0/16"), IPNetwork.Parse("127.0.0.0/8")];
        foreach (var taken in reserved)
        {
            if (taken.Contains(range.BaseAddress) || range.Contains(taken.BaseAddress))
                return $"VPC range {range} overlaps {taken}, which the lab reserves";
        }

        return null;
    }

    private static IPAddress Offset(IPAddress address, byte by)
    {
        var bytes = address.GetAddressBytes();
        bytes[^1] += by; // the base address of a network of two or more addresses is even, so this cannot carry
        return new IPAddress(bytes);
    }
}
