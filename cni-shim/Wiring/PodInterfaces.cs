// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;

namespace VpcCni.Shim.Wiring;

/// <summary>Reads the interfaces of a pod from the daemon's reply.</summary>
internal static class PodInterfaces
{
    /// <summary>Reads and checks the daemon's reply, which becomes routes and rules of the host.</summary>
    /// <exception cref="CniException">The reply is invalid, or needs something that this plugin does not support.</exception>
    public static IReadOnlyList<PodInterface> FromReply(AddNetworkReply reply, Invocation invocation, NetworkConfig config)
    {
        if (!reply.Success)
            throw new CniException(
                CniErrorCode.TryAgainLater,
                "ipamd has no address for the pod and gives no reason: look at the daemon's log",
                "AddNetwork answered Success=false"
            );
        if (reply.PodVlanId != 0)
            throw new CniException(
                CniErrorCode.NotSupported,
                $"ipamd gave the pod a branch network interface (VLAN {reply.PodVlanId}), which this plugin does not wire: security "
                    + "groups for pods need the plugin of aws-node"
            );
        if (reply.IPAllocationMetadata.Count is 0 or > Limits.InterfacesPerPod)
            throw InvalidReply($"{reply.IPAllocationMetadata.Count} addresses");

        var interfaces = new PodInterface[reply.IPAllocationMetadata.Count];
        for (var index = 0; index < interfaces.Length; index++)
        {
            var allocation = reply.IPAllocationMetadata[index];
            var addresses = AddressesOf(allocation);
            interfaces[index] = new PodInterface(
                index,
                PodLinkNames.InPod(invocation.InterfaceName, index),
                PodLinkNames.Host(config.VethPrefix, invocation.LinkKey, index),
                addresses,
                EgressOf(allocation)
            )
            {
                // Only the first interface has default routes.
                HasNodeLocalAddress = index == 0 && config.HasNodeLocalAddress(addresses),
            };
        }
        return interfaces;
    }

    /// <summary>Returns the addresses of an allocation in a reply to ADD or DEL.</summary>
    public static IReadOnlyList<IPAddress> AddressesOf(IPAllocationMetadata allocation)
    {
        var addresses = new List<IPAddress>(1);
        Add(allocation.IPv4Addr, IpFamily.V4);
        Add(allocation.IPv6Addr, IpFamily.V6);
        return addresses.Count > 0 ? addresses : throw InvalidReply("an allocation without an address");

        void Add(string text, AddressFamily family)
        {
            if (text.Length == 0)
                return;
            if (!IPAddress.TryParse(text, out var address) || address.AddressFamily != family || !IsUnicast(address))
                throw InvalidReply($"the address '{Invocation.Printable(text)}'");
            addresses.Add(address);
        }
    }

    /// <summary>
    /// Returns the egress of an allocation. Daemons before multi-card support send the device number only.
    /// </summary>
    private static Egress EgressOf(IPAllocationMetadata allocation)
    {
        if (allocation.RouteTableId < 0 || allocation.DeviceNumber < 0)
            throw InvalidReply($"table {allocation.RouteTableId}, device {allocation.DeviceNumber}");
        return allocation.RouteTableId != RouteTable.Unspecified
            ? Egress.ByTable(allocation.RouteTableId)
            : Egress.OfSlot(new Slot(NetworkCard: 0, allocation.DeviceNumber));
    }

    /// <summary>Whether a pod can have the address: a host route for another one could take the node off the network.</summary>
    private static bool IsUnicast(IPAddress address) =>
        !IPAddress.IsLoopback(address)
        && !address.Equals(IPAddress.Any)
        && !address.Equals(IPAddress.IPv6Any)
        && !address.IsIPv6Multicast
        && !address.IsIPv6LinkLocal
        && !address.IsIPv4MappedToIPv6
        && !NodeLocalAddresses.Contains(address)
        && !(address.AddressFamily == IpFamily.V4 && address.GetAddressBytes()[0] is 0 or >= 224);

    private static CniException InvalidReply(string what) =>
        new(CniErrorCode.IpamdFailed, $"ipamd answered with {what}, which cannot be wired: are daemon and plugin of the same release?");
}

/// <summary>What was made for a <see cref="PodInterface"/>.</summary>
/// <param name="Interface">What was asked for.</param>
/// <param name="HostMac">MAC address of the host end.</param>
/// <param name="PodMac">MAC address of the pod's end.</param>
/// <param name="NodeLocal">The node-local address; null if none was asked for.</param>
internal sealed record WiredInterface(PodInterface Interface, MacAddress HostMac, MacAddress PodMac, IPAddress? NodeLocal);
