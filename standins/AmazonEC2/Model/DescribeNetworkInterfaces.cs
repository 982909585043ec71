// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Describes network interfaces. Paged (5 to 1,000 a page) when <see cref="MaxResults"/> is set, which cannot be combined with ids.</summary>
public class DescribeNetworkInterfacesRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResponse> Operation =
        new("DescribeNetworkInterfaces", (request, writer) => request.Write(writer), DescribeNetworkInterfacesResponse.Read);

    public bool? DryRun { get; set; }

    public List<Filter>? Filters { get; set; }

    public int? MaxResults { get; set; }

    public List<string>? NetworkInterfaceIds { get; set; }

    public string? NextToken { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("DryRun", DryRun);
        writer.AddList("Filter", Filters, (filter, nested) => filter.Write(nested));
        writer.Add("MaxResults", MaxResults);
        writer.AddList("NetworkInterfaceId", NetworkInterfaceIds);
        writer.Add("NextToken", NextToken);
    }
}

/// <summary>One page; null lists are empty, a null or empty <see cref="NextToken"/> is the end.</summary>
public class DescribeNetworkInterfacesResponse : AmazonWebServiceResponse
{
    public List<NetworkInterface>? NetworkInterfaces { get; set; }

    public string? NextToken { get; set; }

    internal static DescribeNetworkInterfacesResponse Read(Ec2Element element) => new()
    {
        NetworkInterfaces = element.List("networkInterfaceSet", NetworkInterface.Read), NextToken = element.String("nextToken"),
    };
}
