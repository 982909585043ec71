// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>
/// Creates a network interface in a subnet. With the same <see cref="ClientToken"/> and the same parameters a repeated call answers the interface of the first one; a token that is
/// not set is made up, so that at least the SDK's own retries create nothing twice.
/// </summary>
public class CreateNetworkInterfaceRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<CreateNetworkInterfaceRequest, CreateNetworkInterfaceResponse> Operation =
        new("CreateNetworkInterface", (request, writer) => request.Write(writer), CreateNetworkInterfaceResponse.Read);

    /// <summary>At most 64 ASCII characters.</summary>
    public string? ClientToken { get; set; }

    public ConnectionTrackingSpecificationRequest? ConnectionTrackingSpecification { get; set; }

    public string? Description { get; set; }

    public bool? DryRun { get; set; }

    public bool? EnablePrimaryIpv6 { get; set; }

    /// <summary>Ids of security groups; the VPC's default group if null.</summary>
    public List<string>? Groups { get; set; }

    public NetworkInterfaceCreationType? InterfaceType { get; set; }

    public int? Ipv4PrefixCount { get; set; }

    public List<Ipv4PrefixSpecificationRequest>? Ipv4Prefixes { get; set; }

    public int? Ipv6AddressCount { get; set; }

    public List<InstanceIpv6Address>? Ipv6Addresses { get; set; }

    public int? Ipv6PrefixCount { get; set; }

    public List<Ipv6PrefixSpecificationRequest>? Ipv6Prefixes { get; set; }

    public string? PrivateIpAddress { get; set; }

    public List<PrivateIpAddressSpecification>? PrivateIpAddresses { get; set; }

    public int? SecondaryPrivateIpAddressCount { get; set; }

    public string? SubnetId { get; set; }

    public List<TagSpecification>? TagSpecifications { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("ClientToken", ClientToken ?? Guid.NewGuid().ToString());
        writer.AddObject("ConnectionTrackingSpecification", ConnectionTrackingSpecification, (item, nested) => item.Write(nested));
        writer.Add("Description", Description);
        writer.Add("DryRun", DryRun);
        writer.Add("EnablePrimaryIpv6", EnablePrimaryIpv6);
        writer.AddList("SecurityGroupId", Groups);
        writer.Add("InterfaceType", InterfaceType);
        writer.Add("Ipv4PrefixCount", Ipv4PrefixCount);
        writer.AddList("Ipv4Prefix", Ipv4Prefixes, (item, nested) => item.Write(nested));
        writer.Add("Ipv6AddressCount", Ipv6AddressCount);
        writer.AddList("Ipv6Addresses", Ipv6Addresses, (item, nested) => item.Write(nested));
        writer.Add("Ipv6PrefixCount", Ipv6PrefixCount);
        writer.AddList("Ipv6Prefix", Ipv6Prefixes, (item, nested) => item.Write(nested));
        writer.Add("PrivateIpAddress", PrivateIpAddress);
        writer.AddList("PrivateIpAddresses", PrivateIpAddresses, (item, nested) => item.Write(nested));
        writer.Add("SecondaryPrivateIpAddressCount", SecondaryPrivateIpAddressCount);
        writer.Add("SubnetId", SubnetId);
        writer.AddList("TagSpecification", TagSpecifications, (item, nested) => item.Write(nested));
    }
}

/// <summary>The interface created, usually still <c>pending</c>.</summary>
public class CreateNetworkInterfaceResponse : AmazonWebServiceResponse
{
    public string? ClientToken { get; set; }

    public NetworkInterface? NetworkInterface { get; set; }

    internal static CreateNetworkInterfaceResponse Read(Ec2Element element) => new()
    {
        ClientToken = element.String("clientToken"), NetworkInterface = element.Object("networkInterface", NetworkInterface.Read),
    };
}
