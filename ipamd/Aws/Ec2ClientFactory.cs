// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Xml;
using Amazon;
using Amazon.EC2;
using Amazon.Runtime;
using Amazon.RuntimeDependencies;
using Amazon.SecurityToken;

namespace VpcCni.Ipamd.Aws;

/// <summary>Makes the EC2 client of the node: endpoint, credentials, connections. Retries are <see cref="Ec2Caller"/>'s.</summary>
internal static class Ec2ClientFactory
{
    /// <summary>A page of network interfaces is a few MiB at most.</summary>
    private const long MaxAnswerBytes = 32 * 1024 * 1024;

    public static IAmazonEC2 Create(AwsCloudOptions options, string region)
    {
        RegisterTokenService();
        var config = new AmazonEC2Config
        {
            MaxErrorRetry = 0,
            MaxStaleConnectionRetries = 0,
            RetryMode = RequestRetryMode.Standard,
            HttpClientFactory = new NodeHttpClientFactory(options.HttpTimeout),
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

        return options.Credentials is { } credentials ? new AmazonEC2Client(credentials, config) : new AmazonEC2Client(config);
    }

    /// <summary>
    /// Web identity (IAM roles for service accounts) needs the STS client, which the SDK otherwise looks up by name at run time, where a native binary has dropped it. Its call is not
    /// signed: the token in the request is the proof.
    /// </summary>
    private static void RegisterTokenService() => GlobalRuntimeDependencyRegistry.Instance.RegisterSecurityTokenServiceClient(context =>
        new AmazonSecurityTokenServiceClient(new AnonymousAWSCredentials(), context.SecurityTokenServiceClientContextData.Region));

    /// <summary>
    /// One pool of connections for the client's life. Idle ones are closed before a server or NAT in between is likely to, so that a call seldom meets a dead one; all are
    /// renewed every five minutes to follow DNS. Proxies of the environment are used, as by every AWS program; answers are not unpacked and redirects not followed.
    /// </summary>
    private sealed class NodeHttpClientFactory(TimeSpan timeout) : HttpClientFactory
    {
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => new(new WholeBodyHandler(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = timeout / 2,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(15),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            MaxConnectionsPerServer = 8,
        })) { Timeout = Timeout.InfiniteTimeSpan };

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => true;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;

        /// <summary>Null: the SDK keeps one HttpClient for each EC2 client and disposes both together.</summary>
        public override string? GetConfigUniqueString(IClientConfig clientConfig) => null;
    }

    /// <summary>
    /// Reads the answer into memory, within a bound and under the call's deadline, and refuses a success that is not EC2's. The SDK would parse it synchronously, and read a well-formed page of
    /// somebody else (a captive portal) as an answer in which everything is absent: a node without interfaces.
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
                if (response.StatusCode == HttpStatusCode.OK) RequireResponse(await response.Content.ReadAsStreamAsync(cancellationToken));
                return response;
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }

        /// <exception cref="XmlException">The document's element is not one of EC2's, which are named after the operation: DescribeSubnetsResponse.</exception>
        private static void RequireResponse(Stream body)
        {
            using (var reader = XmlReader.Create(body, Strict))
            {
                if (reader.MoveToContent() != XmlNodeType.Element || !reader.LocalName.EndsWith("Response", StringComparison.Ordinal))
                    throw new XmlException($"the answer is a document '{reader.LocalName}', expected one whose name ends with 'Response'; check what answers at the EC2 endpoint");
            }

            body.Position = 0;
        }
    }
}
