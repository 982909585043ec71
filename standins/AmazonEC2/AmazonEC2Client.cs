// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.EC2.Model;
using Amazon.Runtime;
using Amazon.Runtime.Internal;

namespace Amazon.EC2;

/// <summary>
/// Client of the EC2 Query API (version 2016-11-15) on the AWSSDK.Core pipeline, which brings credentials, Signature Version 4, retries, clock-skew correction and
/// HTTP. What is EC2's own is here: where the endpoint is, how a request becomes a form and how an answer is read from XML. Thread-safe; one instance per process.
/// </summary>
public class AmazonEC2Client : AmazonServiceClient, IAmazonEC2
{
    /// <summary>Credentials from the SDK's default chain, region from environment, profile or instance metadata.</summary>
    public AmazonEC2Client()
        : base(new AmazonEC2Config())
    {
    }

    public AmazonEC2Client(RegionEndpoint region)
        : base(new AmazonEC2Config { RegionEndpoint = region })
    {
    }

    /// <summary>Credentials from the SDK's default chain.</summary>
    public AmazonEC2Client(AmazonEC2Config config)
        : base(config)
    {
    }

    public AmazonEC2Client(AWSCredentials credentials)
        : this(credentials, new AmazonEC2Config())
    {
    }

    public AmazonEC2Client(AWSCredentials credentials, RegionEndpoint region)
        : this(credentials, new AmazonEC2Config { RegionEndpoint = region })
    {
    }

    public AmazonEC2Client(AWSCredentials credentials, AmazonEC2Config clientConfig)
        : base(credentials, clientConfig)
    {
    }

    protected override IServiceMetadata ServiceMetadata { get; } = new AmazonEC2Metadata();

    public virtual Task<AssignIpv6AddressesResponse> AssignIpv6AddressesAsync(AssignIpv6AddressesRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(AssignIpv6AddressesRequest.Operation, request, cancellationToken);

    public virtual Task<AssignPrivateIpAddressesResponse> AssignPrivateIpAddressesAsync(AssignPrivateIpAddressesRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(AssignPrivateIpAddressesRequest.Operation, request, cancellationToken);

    public virtual Task<AttachNetworkInterfaceResponse> AttachNetworkInterfaceAsync(AttachNetworkInterfaceRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(AttachNetworkInterfaceRequest.Operation, request, cancellationToken);

    public virtual Task<CreateNetworkInterfaceResponse> CreateNetworkInterfaceAsync(CreateNetworkInterfaceRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(CreateNetworkInterfaceRequest.Operation, request, cancellationToken);

    public virtual Task<CreateTagsResponse> CreateTagsAsync(CreateTagsRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(CreateTagsRequest.Operation, request, cancellationToken);

    public virtual Task<DeleteNetworkInterfaceResponse> DeleteNetworkInterfaceAsync(DeleteNetworkInterfaceRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(DeleteNetworkInterfaceRequest.Operation, request, cancellationToken);

    public virtual Task<DescribeInstancesResponse> DescribeInstancesAsync(DescribeInstancesRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(DescribeInstancesRequest.Operation, request, cancellationToken);

    public virtual Task<DescribeInstanceTypesResponse> DescribeInstanceTypesAsync(DescribeInstanceTypesRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(DescribeInstanceTypesRequest.Operation, request, cancellationToken);

    public virtual Task<DescribeNetworkInterfacesResponse> DescribeNetworkInterfacesAsync(DescribeNetworkInterfacesRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(DescribeNetworkInterfacesRequest.Operation, request, cancellationToken);

    public virtual Task<DescribeSubnetsResponse> DescribeSubnetsAsync(DescribeSubnetsRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(DescribeSubnetsRequest.Operation, request, cancellationToken);

    public virtual Task<DetachNetworkInterfaceResponse> DetachNetworkInterfaceAsync(DetachNetworkInterfaceRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(DetachNetworkInterfaceRequest.Operation, request, cancellationToken);

    public virtual Task<ModifyNetworkInterfaceAttributeResponse> ModifyNetworkInterfaceAttributeAsync(ModifyNetworkInterfaceAttributeRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(ModifyNetworkInterfaceAttributeRequest.Operation, request, cancellationToken);

    public virtual Task<UnassignIpv6AddressesResponse> UnassignIpv6AddressesAsync(UnassignIpv6AddressesRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(UnassignIpv6AddressesRequest.Operation, request, cancellationToken);

    public virtual Task<UnassignPrivateIpAddressesResponse> UnassignPrivateIpAddressesAsync(UnassignPrivateIpAddressesRequest request, CancellationToken cancellationToken = default) =>
        CallAsync(UnassignPrivateIpAddressesRequest.Operation, request, cancellationToken);

    /// <summary>The resolvers run between marshalling and signing; the scheme must be known before the endpoint, hence the order.</summary>
    protected override void CustomizeRuntimePipeline(RuntimePipeline pipeline)
    {
        pipeline.AddHandlerAfter<Marshaller>(new AmazonEC2EndpointResolver());
        pipeline.AddHandlerAfter<Marshaller>(new AmazonEC2AuthSchemeHandler());
    }

    private Task<TResponse> CallAsync<TRequest, TResponse>(Ec2Operation<TRequest, TResponse> operation, TRequest request, CancellationToken cancellationToken)
        where TRequest : AmazonEC2Request
        where TResponse : AmazonWebServiceResponse, new()
    {
        ArgumentNullException.ThrowIfNull(request);
        return InvokeAsync<TResponse>(request, new InvokeOptions { RequestMarshaller = operation.Marshaller, ResponseUnmarshaller = operation.Unmarshaller }, cancellationToken);
    }
}
