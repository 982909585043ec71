// SPDX-License-Identifier: Apache-2.0
using Amazon;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;
using Amazon.Runtime.Endpoints;
using Xunit;

namespace VpcCni.Standins.Tests.AmazonEC2;

/// <summary>Where requests go (the table of docs.aws.amazon.com/general/latest/gr/ec2-service.html).</summary>
public sealed class EndpointTests
{
    [Theory]
    [InlineData("us-east-1", false, false, "https://ec2.us-east-1.amazonaws.com")]
    [InlineData("eu-south-2", false, false, "https://ec2.eu-south-2.amazonaws.com")]
    [InlineData("cn-north-1", false, false, "https://ec2.cn-north-1.amazonaws.com.cn")]
    [InlineData("us-gov-west-1", false, false, "https://ec2.us-gov-west-1.amazonaws.com")]
    [InlineData("us-gov-west-1", true, false, "https://ec2.us-gov-west-1.amazonaws.com")]
    [InlineData("us-east-1", true, false, "https://ec2-fips.us-east-1.amazonaws.com")]
    [InlineData("us-east-1", false, true, "https://ec2.us-east-1.api.aws")]
    [InlineData("cn-north-1", false, true, "https://ec2.cn-north-1.api.amazonwebservices.com.cn")]
    [InlineData("xx-future-7", false, false, "https://ec2.xx-future-7.amazonaws.com")]
    public void Region_gives_the_endpoint(string region, bool fips, bool dualStack, string expected)
    {
        var config = new AmazonEC2Config { RegionEndpoint = RegionEndpoint.GetBySystemName(region), UseFIPSEndpoint = fips, UseDualstackEndpoint = dualStack };

        Assert.Equal(expected, Resolve(config).TrimEnd('/'));
    }

    [Fact]
    public void Service_url_wins() => Assert.Equal("http://127.0.0.1:5000/", Resolve(new AmazonEC2Config { ServiceURL = "http://127.0.0.1:5000", AuthenticationRegion = "eu-west-1" }));

    [Fact]
    public void Service_url_with_fips_is_refused() =>
        Assert.Throws<AmazonClientException>(() => Resolve(new AmazonEC2Config { ServiceURL = "http://127.0.0.1:5000", AuthenticationRegion = "eu-west-1", UseFIPSEndpoint = true }));

    [Fact]
    public void Names_of_the_service_are_those_that_the_sdk_expects()
    {
        var config = new AmazonEC2Config();

        Assert.Equal(("2016-11-15", "ec2", "ec2", "EC2"), (config.ServiceVersion, config.RegionEndpointServiceName, config.AuthenticationServiceName, AmazonEC2Config.ServiceId));
        Assert.Equal(RequestRetryMode.Standard, config.RetryMode);
    }

    private static string Resolve(AmazonEC2Config config) => config.DetermineServiceOperationEndpoint(new ServiceOperationEndpointParameters(new DescribeSubnetsRequest())).URL;
}
