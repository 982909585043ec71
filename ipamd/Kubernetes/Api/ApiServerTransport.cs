// SPDX-License-Identifier: Apache-2.0
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// HTTP transport to the API server. With a private certificate authority, the client package checks a certificate's chain but not its host
/// name. It also follows redirects, uses proxies of the environment, and reads responses of any length, synchronously and without a
/// deadline. This class replaces all of that.
/// </summary>
internal static class ApiServerTransport
{
    /// <summary>Maximum length of a response, and of one event of a watch. etcd stores objects of at most 1.5 MiB.</summary>
    public const int MaxResponseBytes = 8 * 1024 * 1024;

    /// <summary>Maximum length that is kept of an error response.</summary>
    private const int MaxErrorBytes = 16 * 1024;

    /// <summary>Marks a request whose response is read line by line, with bounds of its own.</summary>
    public static readonly HttpRequestOptionsKey<bool> IsStreamed = new("vpccni.streamed");

    /// <param name="handler">Handler of the client; changed in place.</param>
    /// <param name="authorities">The only trusted certificate authorities; null over plain HTTP.</param>
    public static void Configure(SocketsHttpHandler handler, X509Certificate2Collection? authorities)
    {
        handler.UseProxy = false;
        handler.UseCookies = false;
        handler.AllowAutoRedirect = false;
        handler.ConnectTimeout = TimeSpan.FromSeconds(10);
        handler.ConnectCallback = ConnectAsync;
        handler.MaxConnectionsPerServer = 8;
        // HTTP/2 pings detect a vanished peer on a connection without traffic.
        handler.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        handler.KeepAlivePingTimeout = TimeSpan.FromSeconds(15);
        handler.KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests;
        if (authorities is null)
            return;
        // Host name and validity period are checked by default. Clusters publish no revocation lists.
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(authorities);
        handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
    }

    /// <summary>Connects like the handler's default, with TCP keep-alive, because HTTP/1.1 has no pings.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Options are set after connecting: a socket with options tries only the first address of a name.
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
    /// Buffers a response, within <see cref="MaxResponseBytes"/> and the request's deadline, before the client parses it. Of an error
    /// response it keeps the first <see cref="MaxErrorBytes"/>, so that an endless one does not hide the status.
    /// </summary>
    internal sealed class BoundedResponses : DelegatingHandler
    {
        /// <exception cref="HttpRequestException">
        /// The response is longer than the bound (<see cref="HttpRequestError.ConfigurationLimitExceeded"/>), or the connection failed.
        /// </exception>
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            try
            {
                if (!response.IsSuccessStatusCode)
                    await TruncateAsync(response, cancellationToken);
                else if (!request.Options.TryGetValue(IsStreamed, out var isStreamed) || !isStreamed)
                    await response.Content.LoadIntoBufferAsync(MaxResponseBytes, cancellationToken);
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
            var buffer = new byte[MaxErrorBytes];
            var whole = response.Content;
            await using var stream = await whole.ReadAsStreamAsync(cancellationToken);
            var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            response.Content = new ByteArrayContent(buffer, 0, length);
            // Closes the connection of a response that goes on.
            whole.Dispose();
        }
    }
}
