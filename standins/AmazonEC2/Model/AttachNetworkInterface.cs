// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Attaches a network interface to an instance. Device indexes count per network card; (card 0, index 0) is the primary interface.</summary>
public class AttachNetworkInterfaceRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<AttachNetworkInterfaceRequest, AttachNetworkInterfaceResponse> Operation =
        new("AttachNetworkInterface", (request, writer) => request.Write(writer), AttachNetworkInterfaceResponse.Read);

    public int? DeviceIndex { get; set; }

    public bool? DryRun { get; set; }

    public string? InstanceId { get; set; }

    public int? NetworkCardIndex { get; set; }

    public string? NetworkInterfaceId { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("DeviceIndex", DeviceIndex);
        writer.Add("DryRun", DryRun);
        writer.Add("InstanceId", InstanceId);
        writer.Add("NetworkCardIndex", NetworkCardIndex);
        writer.Add("NetworkInterfaceId", NetworkInterfaceId);
    }
}

/// <summary>The attachment, which is what detaching names.</summary>
public class AttachNetworkInterfaceResponse : AmazonWebServiceResponse
{
    public string? AttachmentId { get; set; }

    public int? NetworkCardIndex { get; set; }

    internal static AttachNetworkInterfaceResponse Read(Ec2Element element) => new()
    {
        AttachmentId = element.String("attachmentId"), NetworkCardIndex = element.Int32("networkCardIndex"),
    };
}

/// <summary>Starts a detachment; the interface becomes <c>available</c> some seconds later.</summary>
public class DetachNetworkInterfaceRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<DetachNetworkInterfaceRequest, DetachNetworkInterfaceResponse> Operation =
        new("DetachNetworkInterface", (request, writer) => request.Write(writer), _ => new DetachNetworkInterfaceResponse());

    public string? AttachmentId { get; set; }

    public bool? DryRun { get; set; }

    public bool? Force { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("AttachmentId", AttachmentId);
        writer.Add("DryRun", DryRun);
        writer.Add("Force", Force);
    }
}

/// <summary>EC2 answers success with nothing else.</summary>
public class DetachNetworkInterfaceResponse : AmazonWebServiceResponse
{
}

/// <summary>Deletes an interface that is not attached.</summary>
public class DeleteNetworkInterfaceRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<DeleteNetworkInterfaceRequest, DeleteNetworkInterfaceResponse> Operation =
        new("DeleteNetworkInterface", (request, writer) => request.Write(writer), _ => new DeleteNetworkInterfaceResponse());

    public bool? DryRun { get; set; }

    public string? NetworkInterfaceId { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("DryRun", DryRun);
        writer.Add("NetworkInterfaceId", NetworkInterfaceId);
    }
}

/// <summary>EC2 answers success with nothing else.</summary>
public class DeleteNetworkInterfaceResponse : AmazonWebServiceResponse
{
}
