// SPDX-License-Identifier: Apache-2.0
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// How requests travel to the API server. The client package checks the chain of a certificate but, with a certificate authority of its
/// own, not its host name; it follows redirects, uses proxies of the environment, and reads answers of any length, synchronously and
/// without a deadline. All of that is decided here instead.
/// </summary>
internal static class ApiServerTransport
{
    /// <summary>Bound of a whole answer, and of one event of a watch. etcd takes objects of 1.5 MiB at most.</summary>
    public const int MaxAnswerBytes = 8 * 1024 * 1024;

    /// <summary>Bound of the text that is kept of a refusal.</summary>
    private const int MaxRefusalBytes = 16 * 1024;

    /// <summary>Set on a request whose answer is read line by line, with bounds of its own.</summary>
    public static readonly HttpRequestOptionsKey<bool> IsStreamed = new("vpccni.streamed");

    /// <param name="handler">The client's; changed in place.</param>
    /// <param name="authorities">The only certificate authorities that are trusted; null over plain HTTP.</param>
    public static void Configure(SocketsHttpHandler handler, X509Certificate2Collection? authorities)
    {
        handler.UseProxy = false;
        handler.UseCookies = false;
        handler.AllowAutoRedirect = false;
        handler.ConnectTimeout = TimeSpan.FromSeconds(10);
        handler.ConnectCallback = ConnectAsync;
        handler.MaxConnectionsPerServer = 8;
        // HTTP/2: a peer that vanished is noticed although nothing is sent for minutes.
        handler.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        handler.KeepAlivePingTimeout = TimeSpan.FromSeconds(15);
        handler.KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests;
        if (authorities is null)
            return;
        // The host name and the validity period are checked as for any certificate. Clusters publish no revocation lists.
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(authorities);
        handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
    }

    /// <summary>Connects as the handler does by itself, and with TCP keep-alive: HTTP/1.1 has no pings.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Options are set afterwards: a socket that has some already tries only the first address of a name.
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            socket.NoDelay = true;
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 30);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 10);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Reads an answer into memory, within <see cref="MaxAnswerBytes"/> and the request's deadline, before the client parses it. Of a
    /// refusal it keeps the first <see cref="MaxRefusalBytes"/>: an endless one must not cost the reason.
    /// </summary>
    internal sealed class BoundedAnswers : DelegatingHandler
    {
        /// <exception cref="HttpRequestException">
        /// The answer is longer than the bound (<see cref="HttpRequestError.ConfigurationLimitExceeded"/>), or the connection failed.
        /// </exception>
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            try
            {
                if (!response.IsSuccessStatusCode)
                    await TruncateAsync(response, cancellationToken);
                else if (!request.Options.TryGetValue(IsStreamed, out var isStreamed) || !isStreamed)
                    await response.Content.LoadIntoBufferAsync(MaxAnswerBytes, cancellationToken);
                return response;
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }

        private static async Task TruncateAsync(HttpResponseMessage response, CancellationToken cancellationToken)
        {
            var buffer = new byte[MaxRefusalBytes];
            var whole = response.Content;
            await using var stream = await whole.ReadAsStreamAsync(cancellationToken);
            var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            response.Content = new ByteArrayContent(buffer, 0, length);
            // Closes the connection of an answer that goes on.
            whole.Dispose();
        }
    }
}
