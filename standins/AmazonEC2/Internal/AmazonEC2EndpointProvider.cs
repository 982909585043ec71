// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;
using Amazon.Runtime.Endpoints;

namespace Amazon.EC2.Internal;

/// <summary>
/// Where EC2 is: a custom endpoint as given, else <c>ec2[-fips].REGION.SUFFIX</c> with the DNS suffix of the region's partition (docs.aws.amazon.com/general/latest/gr/ec2-service.html).
/// </summary>
internal sealed class AmazonEC2EndpointProvider : IEndpointProvider
{
    public const string Region = "Region";
    public const string UseDualStack = "UseDualStack";
    public const string UseFips = "UseFIPS";
    public const string CustomEndpoint = "Endpoint";

    public Endpoint ResolveEndpoint(EndpointParameters parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var fips = parameters[UseFips] is true;
        var dualStack = parameters[UseDualStack] is true;
        if (parameters[CustomEndpoint] is string { Length: > 0 } custom)
        {
            if (fips) throw new AmazonClientException("Invalid Configuration: FIPS and custom endpoint are not supported");
            if (dualStack) throw new AmazonClientException("Invalid Configuration: Dualstack and custom endpoint are not supported");
            return new Endpoint(custom);
        }

        if (parameters[Region] is not string { Length: > 0 } region)
            throw new AmazonClientException("Invalid Configuration: Missing Region. Set AmazonEC2Config.RegionEndpoint, or ServiceURL together with AuthenticationRegion.");

        var suffix = RegionEndpoint.GetBySystemName(region).PartitionDnsSuffix;
        if (dualStack) suffix = suffix.EndsWith(".cn", StringComparison.Ordinal) ? "api.amazonwebservices.com.cn" : "api.aws";

        // The FIPS endpoints of GovCloud have no suffix in their name.
        var service = fips && !region.StartsWith("us-gov-", StringComparison.Ordinal) ? "ec2-fips" : "ec2";
        return new Endpoint($"https://{service}.{region}.{suffix}");
    }
}
