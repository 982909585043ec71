// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Xml;
using Amazon;
using Amazon.EC2;
using Amazon.Runtime;
using Amazon.RuntimeDependencies;
using Amazon.SecurityToken;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Creates the node's EC2 client: endpoint, credentials, connections. <see cref="Ec2Caller"/> does the retries.</summary>
internal static class Ec2ClientFactory
{
    /// <summary>Largest answer; a page of network interfaces is a few MiB at most.</summary>
    private const long MaxAnswerBytes = 32 * 1024 * 1024;

    /// <param name="options">Endpoint, time limit, credentials.</param>
    /// <param name="region">Region of EC2 and STS.</param>
    /// <param name="profile">Profile of the shared files; null for none.</param>
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
    /// Registers the STS client, which web identity (IAM roles for service accounts) and a profile's role need, and which the SDK otherwise
    /// looks up by name at run time, where native compilation has removed it. A web identity call is not signed: the token in the request
    /// is the proof. The SDK does not pass on the credentials that assume a profile's role. The endpoint is AWS_ENDPOINT_URL_STS, else the
    /// region's.
    /// </summary>
    private static void RegisterTokenService(AwsCloudOptions options, string region, SharedProfile? profile) =>
        GlobalRuntimeDependencyRegistry.Instance.RegisterSecurityTokenServiceClient(_ => new AmazonSecurityTokenServiceClient(
            profile?.RoleSource ?? new AnonymousAWSCredentials(),
            new AmazonSecurityTokenServiceConfig
            {
                RegionEndpoint = RegionEndpoint.GetBySystemName(region),
                MaxErrorRetry = 1,
                // The SDK calls STS without a cancellation token, and every EC2 call waits for the answer.
                HttpClientFactory = new NodeHttpClientFactory(options.HttpTimeout, options.HttpTimeout / 2),
                ClientAppId = "vpc-cni",
            }
        ));

    /// <summary>
    /// Creates one connection pool for the client's life. Idle connections are closed before a server or NAT is likely to close them, so
    /// that calls seldom meet a dead one; all are renewed every five minutes to follow DNS. Proxies of the environment are used, as in
    /// every AWS program; answers are not decompressed and redirects not followed.
    /// </summary>
    /// <param name="timeout">Time limit of a call; connecting gets half of it.</param>
    /// <param name="limit">The client's own limit, for callers without one.</param>
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

        /// <summary>Null: the SDK keeps one HttpClient per EC2 client and disposes both together.</summary>
        public override string? GetConfigUniqueString(IClientConfig clientConfig) => null;
    }

    /// <summary>
    /// Reads the answer into memory, bounded in size and under the call's deadline, and rejects a success that is not EC2's. The SDK would
    /// parse it synchronously, and would read a well-formed page of another server (a captive portal) as an answer without any element: a
    /// node without interfaces.
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
                            + "check which server answers at the endpoint"
                    );
            }

            body.Position = 0;
        }
    }
}
