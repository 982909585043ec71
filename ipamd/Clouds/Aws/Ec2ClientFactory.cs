// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Xml;
using Amazon;
using Amazon.EC2;
using Amazon.Runtime;
using Amazon.RuntimeDependencies;
using Amazon.SecurityToken;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Makes the EC2 client of the node: endpoint, credentials, connections. Retries are <see cref="Ec2Caller"/>'s.</summary>
internal static class Ec2ClientFactory
{
    /// <summary>A page of network interfaces is a few MiB at most.</summary>
    private const long MaxAnswerBytes = 32 * 1024 * 1024;

    /// <param name="options">Endpoint, time limit, credentials.</param>
    /// <param name="region">Of EC2 and of STS.</param>
    /// <param name="profile">Of the shared files; null: none.</param>
    public static IAmazonEC2 Create(AwsCloudOptions options, string region, SharedProfile? profile)
    {
        RegisterTokenService(options, region, profile);
        var config = new AmazonEC2Config
        {
            MaxErrorRetry = 0,
            MaxStaleConnectionRetries = 0,
            RetryMode = RequestRetryMode.Standard,
            HttpClientFactory = new NodeHttpClientFactory(options.HttpTimeout, Timeout.InfiniteTimeSpan),
            ClientAppId = "vpc-cni",
        };
        if (options.Endpoint is { } endpoint)
        {
            config.ServiceURL = endpoint.ToString();
            config.AuthenticationRegion = region;
        }
        else
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        }

        return new AmazonEC2Client(options.Credentials ?? new ChainCredentials(), config);
    }

    /// <summary>
    /// Web identity (IAM roles for service accounts) and a profile's role need the STS client, which the SDK otherwise looks up by name
    /// at run time, where a native binary has dropped it. A call with a web identity is not signed: the token in the request is the
    /// proof. The SDK does not pass on what a profile's role is assumed with. The endpoint is AWS_ENDPOINT_URL_STS, else the region's.
    /// </summary>
    private static void RegisterTokenService(AwsCloudOptions options, string region, SharedProfile? profile) =>
        GlobalRuntimeDependencyRegistry.Instance.RegisterSecurityTokenServiceClient(_ => new AmazonSecurityTokenServiceClient(
            profile?.RoleSource ?? new AnonymousAWSCredentials(),
            new AmazonSecurityTokenServiceConfig
            {
                RegionEndpoint = RegionEndpoint.GetBySystemName(region),
                MaxErrorRetry = 1,
                // The SDK asks without a token of cancellation, and every call of EC2 waits for its answer.
                HttpClientFactory = new NodeHttpClientFactory(options.HttpTimeout, options.HttpTimeout / 2),
                ClientAppId = "vpc-cni",
            }
        ));

    /// <summary>
    /// One pool of connections for the client's life. Idle ones are closed before a server or NAT in between is likely to, so that a call
    /// seldom meets a dead one; all are renewed every five minutes to follow DNS. Proxies of the environment are used, as by every AWS
    /// program; answers are not unpacked and redirects not followed.
    /// </summary>
    /// <param name="timeout">Of a call; a connection gets half of it.</param>
    /// <param name="limit">The client's own, where the caller has none.</param>
    private sealed class NodeHttpClientFactory(TimeSpan timeout, TimeSpan limit) : HttpClientFactory
    {
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) =>
            new(
                new WholeBodyHandler(
                    new SocketsHttpHandler
                    {
                        AllowAutoRedirect = false,
                        UseCookies = false,
                        ConnectTimeout = timeout / 2,
                        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(15),
                        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
                        MaxConnectionsPerServer = 8,
                    }
                )
            )
            {
                Timeout = limit,
            };

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => true;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;

        /// <summary>Null: the SDK keeps one HttpClient for each EC2 client and disposes both together.</summary>
        public override string? GetConfigUniqueString(IClientConfig clientConfig) => null;
    }

    /// <summary>
    /// Reads the answer into memory, within a bound and under the call's deadline, and refuses a success that is not EC2's. The SDK would
    /// parse it synchronously, and read a well-formed page of somebody else (a captive portal) as an answer in which everything is absent:
    /// a node without interfaces.
    /// </summary>
    private sealed class WholeBodyHandler(HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        private static readonly XmlReaderSettings Strict = new() { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null };

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            try
            {
                await response.Content.LoadIntoBufferAsync(MaxAnswerBytes, cancellationToken);
                if (response.StatusCode == HttpStatusCode.OK)
                    RequireResponse(await response.Content.ReadAsStreamAsync(cancellationToken));
                return response;
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }

        /// <exception cref="XmlException">The document's element is not one of EC2's or STS's, which are named after the operation:
        /// DescribeSubnetsResponse.</exception>
        private static void RequireResponse(Stream body)
        {
            using (var reader = XmlReader.Create(body, Strict))
            {
                if (reader.MoveToContent() != XmlNodeType.Element || !reader.LocalName.EndsWith("Response", StringComparison.Ordinal))
                    throw new XmlException(
                        $"the answer is a document '{reader.LocalName}', expected one whose name ends with 'Response'; "
                            + "check what answers at the endpoint"
                    );
            }

            body.Position = 0;
        }
    }
}
