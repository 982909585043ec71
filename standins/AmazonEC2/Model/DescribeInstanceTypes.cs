// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Describes instance types. Paged (5 to 100 a page) when <see cref="MaxResults"/> is set, which cannot be combined with names.</summary>
public class DescribeInstanceTypesRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<DescribeInstanceTypesRequest, DescribeInstanceTypesResponse> Operation =
        new("DescribeInstanceTypes", (request, writer) => request.Write(writer), DescribeInstanceTypesResponse.Read);

    public bool? DryRun { get; set; }

    public List<Filter>? Filters { get; set; }

    public List<string>? InstanceTypes { get; set; }

    public int? MaxResults { get; set; }

    public string? NextToken { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("DryRun", DryRun);
        writer.AddList("Filter", Filters, (filter, nested) => filter.Write(nested));
        writer.AddList("InstanceType", InstanceTypes);
        writer.Add("MaxResults", MaxResults);
        writer.Add("NextToken", NextToken);
    }
}

/// <summary>One page; null lists are empty, a null or empty <see cref="NextToken"/> is the end.</summary>
public class DescribeInstanceTypesResponse : AmazonWebServiceResponse
{
    public List<InstanceTypeInfo>? InstanceTypes { get; set; }

    public string? NextToken { get; set; }

    internal static DescribeInstanceTypesResponse Read(Ec2Element element) => new()
    {
        InstanceTypes = element.List("instanceTypeSet", InstanceTypeInfo.Read), NextToken = element.String("nextToken"),
    };
}

/// <summary>An instance type, as far as its network is concerned.</summary>
public class InstanceTypeInfo
{
    public bool? BareMetal { get; set; }

    public bool? CurrentGeneration { get; set; }

    public InstanceTypeHypervisor? Hypervisor { get; set; }

    public InstanceType? InstanceType { get; set; }

    public NetworkInfo? NetworkInfo { get; set; }

    internal static InstanceTypeInfo Read(Ec2Element element) => new()
    {
        BareMetal = element.Boolean("bareMetal"),
        CurrentGeneration = element.Boolean("currentGeneration"),
        Hypervisor = element.String("hypervisor")!,
        InstanceType = element.String("instanceType")!,
        NetworkInfo = element.Object("networkInfo", NetworkInfo.Read),
    };
}

/// <summary>How many interfaces and addresses an instance type carries.</summary>
public class NetworkInfo
{
    public int? DefaultNetworkCardIndex { get; set; }

    public bool? EfaSupported { get; set; }

    public int? Ipv4AddressesPerInterface { get; set; }

    public int? Ipv6AddressesPerInterface { get; set; }

    public bool? Ipv6Supported { get; set; }

    public int? MaximumNetworkCards { get; set; }

    /// <summary>On all network cards together.</summary>
    public int? MaximumNetworkInterfaces { get; set; }

    public List<NetworkCardInfo>? NetworkCards { get; set; }

    public string? NetworkPerformance { get; set; }

    internal static NetworkInfo Read(Ec2Element element) => new()
    {
        DefaultNetworkCardIndex = element.Int32("defaultNetworkCardIndex"),
        EfaSupported = element.Boolean("efaSupported"),
        Ipv4AddressesPerInterface = element.Int32("ipv4AddressesPerInterface"),
        Ipv6AddressesPerInterface = element.Int32("ipv6AddressesPerInterface"),
        Ipv6Supported = element.Boolean("ipv6Supported"),
        MaximumNetworkCards = element.Int32("maximumNetworkCards"),
        MaximumNetworkInterfaces = element.Int32("maximumNetworkInterfaces"),
        NetworkCards = element.List("networkCards", NetworkCardInfo.Read),
        NetworkPerformance = element.String("networkPerformance"),
    };
}

/// <summary>One network card of an instance type.</summary>
public class NetworkCardInfo
{
    public int? MaximumNetworkInterfaces { get; set; }

    public int? NetworkCardIndex { get; set; }

    public string? NetworkPerformance { get; set; }

    internal static NetworkCardInfo Read(Ec2Element element) => new()
    {
        MaximumNetworkInterfaces = element.Int32("maximumNetworkInterfaces"),
        NetworkCardIndex = element.Int32("networkCardIndex"),
        NetworkPerformance = element.String("networkPerformance"),
    };
}
