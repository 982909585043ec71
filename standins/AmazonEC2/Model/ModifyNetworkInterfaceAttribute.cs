// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Sets one attribute of a network interface: EC2 refuses a request that sets several. Idempotent.</summary>
public class ModifyNetworkInterfaceAttributeRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<ModifyNetworkInterfaceAttributeRequest, ModifyNetworkInterfaceAttributeResponse> Operation =
        new("ModifyNetworkInterfaceAttribute", (request, writer) => request.Write(writer), _ => new ModifyNetworkInterfaceAttributeResponse());

    public NetworkInterfaceAttachmentChanges? Attachment { get; set; }

    public ConnectionTrackingSpecificationRequest? ConnectionTrackingSpecification { get; set; }

    public string? Description { get; set; }

    public bool? DryRun { get; set; }

    public List<string>? Groups { get; set; }

    public string? NetworkInterfaceId { get; set; }

    public bool? SourceDestCheck { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.AddObject("Attachment", Attachment, (item, nested) => item.Write(nested));
        writer.AddObject("ConnectionTrackingSpecification", ConnectionTrackingSpecification, (item, nested) => item.Write(nested));

        // EC2 wraps scalar attributes here in a structure of one member.
        writer.Add("Description.Value", Description);
        writer.Add("DryRun", DryRun);
        writer.AddList("SecurityGroupId", Groups);
        writer.Add("NetworkInterfaceId", NetworkInterfaceId);
        writer.Add("SourceDestCheck.Value", SourceDestCheck);
    }
}

/// <summary>Whether the interface is deleted together with its instance.</summary>
public class NetworkInterfaceAttachmentChanges
{
    public string? AttachmentId { get; set; }

    public bool? DeleteOnTermination { get; set; }

    internal void Write(Ec2QueryWriter writer)
    {
        writer.Add("AttachmentId", AttachmentId);
        writer.Add("DeleteOnTermination", DeleteOnTermination);
    }
}

/// <summary>EC2 answers success with nothing else.</summary>
public class ModifyNetworkInterfaceAttributeResponse : AmazonWebServiceResponse
{
}
