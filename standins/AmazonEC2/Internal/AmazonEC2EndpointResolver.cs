// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;
using Amazon.Runtime.Endpoints;
using Amazon.Runtime.Internal;
using Amazon.Util;

namespace Amazon.EC2.Internal;

/// <summary>Pipeline step that turns the client's configuration into the endpoint and signing region of one request.</summary>
internal sealed class AmazonEC2EndpointResolver : BaseEndpointResolver
{
    public static EndpointParameters Parameters(IClientConfig config, RegionEndpoint? alternate)
    {
        var region = alternate?.SystemName ?? config.RegionEndpoint?.SystemName;
        if (region is null && config.ServiceURL is { Length: > 0 } url)
            region = config.AuthenticationRegion is { Length: > 0 } named ? named : AWSSDKUtils.DetermineRegion(url);
        return new EndpointParameters
        {
            [AmazonEC2EndpointProvider.Region] = region,
            [AmazonEC2EndpointProvider.UseDualStack] = config.UseDualstackEndpoint,
            [AmazonEC2EndpointProvider.UseFips] = config.UseFIPSEndpoint,
            [AmazonEC2EndpointProvider.CustomEndpoint] = config.ServiceURL,
        };
    }

    protected override EndpointParameters MapEndpointsParameters(IRequestContext requestContext) =>
        Parameters(requestContext.ClientConfig, requestContext.Request.AlternateEndpoint);

    protected override void ServiceSpecificHandler(IExecutionContext executionContext, EndpointParameters parameters) => InjectHostPrefix(executionContext.RequestContext);
}
