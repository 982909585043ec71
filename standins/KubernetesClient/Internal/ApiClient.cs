// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using k8s.Authentication;
using k8s.Autorest;
using k8s.Exceptions;
using k8s.Models;

namespace k8s.Internal;

/// <summary>Requests and answers of the API server over HTTP, each bounded in time and size.</summary>
internal sealed class ApiClient : IDisposable
{
    /// <summary>Of a whole answer, and of one event of a watch. etcd takes objects of 1.5 MiB at most; lists come in pages.</summary>
    internal const int MaxAnswerBytes = 8 * 1024 * 1024;

    /// <summary>Of the text that is kept of a refusal.</summary>
    private const int MaxRefusalBytes = 16 * 1024;

    private readonly HttpClient _http;
    private readonly ITokenProvider? _tokens;
    private readonly string? _token;
    private readonly TimeSpan _timeout;

    public ApiClient(KubernetesClientConfiguration config)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (!Uri.TryCreate(config.Host, UriKind.Absolute, out var host) || host.Scheme is not ("http" or "https")) throw new KubeConfigException($"Host '{config.Host}' is not the URL of a server");
        BaseUri = host.AbsoluteUri.EndsWith('/') ? host : new Uri(host.AbsoluteUri + "/");
        (_tokens, _token, _timeout) = (config.TokenProvider, config.AccessToken, config.HttpClientTimeout);
        _http = new HttpClient(Handler(config.SslCaCerts)) { BaseAddress = BaseUri, Timeout = Timeout.InfiniteTimeSpan };
        if (config.UserAgent is { Length: > 0 } agent) _http.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", agent);
    }

    public Uri BaseUri { get; }

    public async Task<T> GetAsync<T>(ResourcePath path, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        => await AnswerAsync(() => new HttpRequestMessage(HttpMethod.Get, path.ToString()), type, cancellationToken);

    public async Task<T> PostAsync<T>(ResourcePath path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        => await AnswerAsync(() => Request(HttpMethod.Post, path, JsonSerializer.SerializeToUtf8Bytes(body, type), "application/json"), type, cancellationToken);

    public async Task<T> PatchAsync<T>(ResourcePath path, V1Patch body, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        => await AnswerAsync(() => Request(HttpMethod.Patch, path, Encoding.UTF8.GetBytes(body.Text), body.MediaType), type, cancellationToken);

    /// <summary>Opens a watch and yields its events until the server ends it. The timeout covers the time until its headers are there; the caller bounds the rest by the token.</summary>
    public async IAsyncEnumerable<(WatchEventType Type, T Item)> WatchAsync<T>(
        ResourcePath path, JsonTypeInfo<T> type, Action<Exception>? onError, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
        {
            limit.CancelAfter(_timeout);
            response = await SendAsync(() => new HttpRequestMessage(HttpMethod.Get, path.With("watch", true).ToString()), limit.Token);
        }

        using (response)
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            using var lines = new LineReader(stream, MaxAnswerBytes);
            while (await lines.ReadAsync(cancellationToken) is { } line)
            {
                cancellationToken.ThrowIfCancellationRequested();
                (WatchEventType Type, T Item)? received = null;
                try
                {
                    received = WatchLine.Parse(line.Span, type);
                }
                catch (Exception exception) when (exception is JsonException or KubernetesException)
                {
                    onError?.Invoke(exception);
                }

                if (received is { } change) yield return change;
            }
        }
    }

    public void Dispose() => _http.Dispose();

    private static HttpRequestMessage Request(HttpMethod method, ResourcePath path, byte[] body, string mediaType)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue(mediaType);
        return new HttpRequestMessage(method, path.ToString()) { Content = content };
    }

    private async Task<T> AnswerAsync<T>(Func<HttpRequestMessage> request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_timeout);
        using var response = await SendAsync(request, limit.Token);
        await using var body = new BoundedStream(await response.Content.ReadAsStreamAsync(limit.Token), MaxAnswerBytes);
        return await JsonSerializer.DeserializeAsync(body, type, limit.Token) ?? throw new JsonException("the server answered null");
    }

    /// <summary>The response as soon as its headers are there, if they mean success.</summary>
    private async Task<HttpResponseMessage> SendAsync(Func<HttpRequestMessage> make, CancellationToken cancellationToken)
    {
        using var request = make();
        request.Version = HttpVersion.Version20;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionOrLower;
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        if (_tokens is not null) request.Headers.Authorization = await _tokens.GetAuthenticationHeaderAsync(cancellationToken);
        else if (_token is { Length: > 0 }) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.IsSuccessStatusCode) return response;
        using (response)
        {
            var content = await ReadExcerptAsync(response, cancellationToken);
            throw new HttpOperationException($"{request.Method} {request.RequestUri}: HTTP {(int)response.StatusCode} {response.ReasonPhrase}: {content}")
            {
                Request = new HttpRequestMessageWrapper(request, null), Response = new HttpResponseMessageWrapper(response, content),
            };
        }
    }

    private static async Task<string> ReadExcerptAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var buffer = new byte[MaxRefusalBytes];
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return Encoding.UTF8.GetString(buffer, 0, length);
    }

    private static SocketsHttpHandler Handler(X509Certificate2Collection? authorities)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            ConnectCallback = ConnectAsync,
            MaxConnectionsPerServer = 8,
            // HTTP/2: a peer that is gone without a word is noticed although nothing is sent for minutes.
            KeepAlivePingDelay = TimeSpan.FromSeconds(30),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(15),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        };
        if (authorities is not null)
        {
            // These and no others, and nobody when there are none; names and dates are checked as ever. Clusters publish no revocation.
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.AddRange(authorities);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }

        return handler;
    }

    /// <summary>As the handler does it, and with TCP's own probes: HTTP/1.1 has no pings.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Options afterwards: a socket with options of its own is given up after the first address of a name that does not answer.
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
}
