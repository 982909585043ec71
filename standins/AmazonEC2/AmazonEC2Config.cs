// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;
using Amazon.Runtime.Endpoints;
using Amazon.Runtime.Internal;
using Amazon.Util.Internal;

namespace Amazon.EC2;

/// <summary>
/// Configuration of <see cref="AmazonEC2Client"/>. Everything but the service's own names comes from <see cref="ClientConfig"/>; a custom endpoint is
/// <see cref="ClientConfig.ServiceURL"/> together with <see cref="ClientConfig.AuthenticationRegion"/>.
/// </summary>
public class AmazonEC2Config : ClientConfig
{
    /// <summary>The SDKs' shared defaults by mode (docs.aws.amazon.com/sdkref/latest/guide/feature-smart-config-defaults.html).</summary>
    private static readonly DefaultConfiguration[] Defaults =
    [
        Mode(DefaultConfigurationMode.Standard, milliseconds: 3100),
        Mode(DefaultConfigurationMode.InRegion, milliseconds: 1100),
        Mode(DefaultConfigurationMode.CrossRegion, milliseconds: 3100),
        Mode(DefaultConfigurationMode.Mobile, milliseconds: 30000),
    ];

    private static readonly string CachedUserAgent = InternalSDKUtils.BuildUserAgentString("EC2", typeof(AmazonEC2Config).Assembly.GetName().Version?.ToString(3) ?? "0.0.0");

    public AmazonEC2Config()
        : base(new DefaultConfigurationProvider(Defaults))
    {
        base.ServiceId = ServiceId;
        AuthenticationServiceName = "ec2";
        EndpointProvider = new AmazonEC2EndpointProvider();
    }

    public static new string ServiceId => "EC2";

    public override string RegionEndpointServiceName => "ec2";

    /// <summary>The <c>Version</c> parameter of every request.</summary>
    public override string ServiceVersion => "2016-11-15";

    public override string UserAgent => CachedUserAgent;

    public override Endpoint DetermineServiceOperationEndpoint(ServiceOperationEndpointParameters parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return EndpointProvider.ResolveEndpoint(AmazonEC2EndpointResolver.Parameters(this, parameters.AlternateEndpoint));
    }

    private static DefaultConfiguration Mode(DefaultConfigurationMode name, int milliseconds) => new()
    {
        Name = name,
        RetryMode = RequestRetryMode.Standard,
        ConnectTimeout = TimeSpan.FromMilliseconds(milliseconds),
        TlsNegotiationTimeout = TimeSpan.FromMilliseconds(milliseconds),
    };
}
