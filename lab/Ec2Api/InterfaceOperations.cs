// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Operations on network interfaces and their attachments.</summary>
internal static class InterfaceOperations
{
    public static Func<VpcWorld, Action<Ec2Xml>> Create(QueryRequest request)
    {
        // A client passes the primary address as PrivateIpAddress, or as the item of PrivateIpAddresses that is marked primary.
        var items = request
            .Structures("PrivateIpAddresses")
            .Select(item => (Address: item.Address("PrivateIpAddress"), Primary: item.Flag("Primary") ?? false))
            .ToArray();
        var primary = request.Address("PrivateIpAddress");
        var marked = items.Where(item => item.Primary).Select(item => item.Address).ToArray();
        if (marked.Length > 1 || marked.Length == 1 && primary is not null)
            throw Ec2Faults.BadCombination("Only one primary private IP address can be specified");
        var requested = new CreateInterfaceRequest
        {
            Subnet = new SubnetId(request.Required("SubnetId")),
            Description = request.Text("Description") ?? "",
            Groups = [.. request.List("SecurityGroupId").Select(id => new SecurityGroupId(id))],
            PrimaryAddress = primary ?? marked.FirstOrDefault(),
            Ipv4 = new AddressRequest
            {
                AddressCount = request.Number("SecondaryPrivateIpAddressCount") ?? 0,
                Addresses =
                [
                    .. items
                        .Where(item => !item.Primary)
                        .Select(item => item.Address ?? throw Ec2Faults.Missing("privateIpAddresses.privateIpAddress")),
                ],
                PrefixCount = request.Number("Ipv4PrefixCount") ?? 0,
                Prefixes = [.. request.Structures("Ipv4Prefix").Select(item => Prefix(item.Required("Ipv4Prefix")))],
            },
            Ipv6 = Ipv6(request),
            EnablePrimaryIpv6 = request.Flag("EnablePrimaryIpv6") ?? false,
            Tags = request.TagSpecification("network-interface"),
            ClientToken = request.Text("ClientToken") is { Length: > 0 } token ? token : null,
            InterfaceType = request.Text("InterfaceType") ?? "interface",
            ConnectionTracking = Tracking(request),
        };
        return world =>
        {
            var eni = world.CreateNetworkInterface(requested);
            var view = InterfaceView.Create(world, eni);
            return xml =>
            {
                xml.Element("networkInterface", () => view.Write(xml));
                if (requested.ClientToken is { } clientToken)
                    xml.Value("clientToken", clientToken);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Delete(QueryRequest request)
    {
        var id = new EniId(request.Required("NetworkInterfaceId"));
        return world =>
        {
            world.DeleteNetworkInterface(id);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Describe(QueryRequest request)
    {
        // The lab has no service-managed interfaces, so there is nothing to include.
        _ = request.Flag("IncludeManagedResources");
        var query = request.Query("NetworkInterfaceId");
        return world =>
        {
            var page = world.DescribeNetworkInterfaces(query);
            var views = page.Items.Select(eni => InterfaceView.Create(world, eni)).ToArray();
            return xml =>
            {
                xml.List("networkInterfaceSet", views, view => view.Write(xml));
                xml.NextToken(page.NextToken);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Modify(QueryRequest request)
    {
        var attachment = request.Structure("Attachment");
        var attachmentId = attachment.Text("AttachmentId");
        var deleteOnTermination = attachment.Flag("DeleteOnTermination");
        if (deleteOnTermination is not null && attachmentId is null)
            throw Ec2Faults.Missing("attachment.attachmentId");
        var groups = request.List("SecurityGroupId");
        var change = new ModifyInterfaceRequest
        {
            Interface = new EniId(request.Required("NetworkInterfaceId")),
            Description = request.Structure("Description").Text("Value"),
            Groups = groups.Count > 0 ? [.. groups.Select(id => new SecurityGroupId(id))] : null,
            SourceDestCheck = request.Structure("SourceDestCheck").Flag("Value"),
            EnablePrimaryIpv6 = request.Flag("EnablePrimaryIpv6"),
            ConnectionTracking = Tracking(request),
            DeleteOnTermination = deleteOnTermination is { } delete ? (new AttachmentId(attachmentId!), delete) : null,
        };
        return world =>
        {
            world.ModifyNetworkInterfaceAttribute(change);
            return Ec2Operations.ReturnTrue;
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Attach(QueryRequest request)
    {
        var requested = new AttachInterfaceRequest(
            new EniId(request.Required("NetworkInterfaceId")),
            new InstanceId(request.Required("InstanceId")),
            request.Number("DeviceIndex") ?? throw Ec2Faults.Missing("deviceIndex"),
            request.Number("NetworkCardIndex") ?? 0
        );
        return world =>
        {
            var attachment = world.AttachNetworkInterface(requested);
            return xml =>
            {
                xml.Value("attachmentId", attachment.Id.Value);
                xml.Value("networkCardIndex", attachment.NetworkCard);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Detach(QueryRequest request)
    {
        var id = new AttachmentId(request.Required("AttachmentId"));
        var force = request.Flag("Force") ?? false;
        return world =>
        {
            world.DetachNetworkInterface(id, force);
            return Ec2Operations.ReturnTrue;
        };
    }

    /// <summary>
    /// Reads the IPv6 addresses or prefixes; null if no parameter mentions them. A count of 0 is a value: it overrides what the subnet
    /// assigns.
    /// </summary>
    private static AddressRequest? Ipv6(QueryRequest request)
    {
        var (addressCount, prefixCount) = (request.Number("Ipv6AddressCount"), request.Number("Ipv6PrefixCount"));
        var requested = new AddressRequest
        {
            AddressCount = addressCount ?? 0,
            Addresses =
            [
                .. request
                    .Structures("Ipv6Addresses")
                    .Select(item => item.Address("Ipv6Address") ?? throw Ec2Faults.Missing("ipv6Addresses.ipv6Address")),
            ],
            PrefixCount = prefixCount ?? 0,
            Prefixes = [.. request.Structures("Ipv6Prefix").Select(item => Prefix(item.Required("Ipv6Prefix")))],
        };
        return addressCount is null && prefixCount is null && requested.Slots == 0 ? null : requested;
    }

    /// <summary>Reads the timeouts of connection tracking; null if there are none.</summary>
    private static ConnectionTracking? Tracking(QueryRequest request)
    {
        var specification = request.Structure("ConnectionTrackingSpecification");
        var tracking = new ConnectionTracking(
            specification.Number("TcpEstablishedTimeout"),
            specification.Number("UdpStreamTimeout"),
            specification.Number("UdpTimeout")
        );
        return tracking == new ConnectionTracking(null, null, null) ? null : tracking;
    }

    private static IPNetwork Prefix(string text) =>
        IPNetwork.TryParse(text, out var prefix) ? prefix : throw Ec2Faults.BadValue($"invalid value for parameter prefix: {text}");
}
