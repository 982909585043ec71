// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Serialization.Metadata;
using k8s;
using k8s.Autorest;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// Creates and shares the client of the API server. It creates the client on first use, and again after the certificate authority's file
/// changed, because the daemon may outlive the authority. Failures are <see cref="ClusterException"/>. Thread-safe.
/// </summary>
internal sealed class KubernetesConnection(ClusterOptions options, string version, TimeProvider time) : IDisposable
{
    private readonly Lock _lock = new();
    private ApiClient? _client;
    private byte[] _authority = [];

    /// <summary>Deadline of a request with its response, and of the headers of a watch.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(10);

    private string AuthorityFile => Path.Combine(options.ServiceAccountPath, "ca.crt");

    public Task<TResult> CallAsync<TResult>(string operation, Func<IKubernetes, Task<TResult>> call, CancellationToken cancellationToken) =>
        GuardAsync(operation, client => call(client.Kubernetes), cancellationToken);

    /// <summary>
    /// Runs a watch until the server ends it; the package has none for native code. Calls <paramref name="received"/> for each event, in
    /// order. A line that is not an event, or that reports an error, ends the watch with an exception.
    /// </summary>
    /// <param name="operation">Description for error messages.</param>
    /// <param name="path">Path and query of the resource, relative to the server.</param>
    /// <param name="received">Called with the type of the event and the object.</param>
    /// <param name="duration">Maximum duration of the watch.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public Task WatchAsync<T>(
        string operation,
        string path,
        Action<WatchEventType, T> received,
        TimeSpan duration,
        CancellationToken cancellationToken
    ) =>
        GuardAsync(
            operation,
            async client =>
            {
                using var limit = new CancellationTokenSource(duration, time);
                using var ended = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
                using var response = await OpenAsync(client, path, ended.Token);
                await using var stream = await response.Content.ReadAsStreamAsync(ended.Token);
                await foreach (var line in Lines.ReadAsync(stream, ApiServerTransport.MaxResponseBytes, ended.Token))
                {
                    var (type, item) = WatchLine.Parse(line.Span, client.TypeOf<T>());
                    received(type, item);
                }

                return true;
            },
            cancellationToken
        );

    public void Dispose()
    {
        lock (_lock)
        {
            _client?.Dispose();
            _client = null;
        }
    }

    private async Task<TResult> GuardAsync<TResult>(
        string operation,
        Func<ApiClient, Task<TResult>> call,
        CancellationToken cancellationToken
    )
    {
        try
        {
            return await call(Client());
        }
        catch (Exception exception)
        {
            if (ClusterErrors.From(operation, exception, cancellationToken) is not { } failure)
                throw;
            if (failure.Kind == ClusterErrorKind.Unreachable)
                DiscardIfAuthorityChanged();
            throw failure;
        }
    }

    /// <summary>Returns a successful response once its headers have arrived.</summary>
    private async Task<HttpResponseMessage> OpenAsync(ApiClient client, string path, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(RequestTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(client.Kubernetes.BaseUri, path))
        {
            Version = HttpVersion.Version20,
        };
        request.Options.Set(ApiServerTransport.IsStreamed, true);
        if (client.Kubernetes.Credentials is { } credentials)
            await credentials.ProcessHttpRequestAsync(request, either.Token);
        var response = await client.Kubernetes.HttpClient.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
        if (response.IsSuccessStatusCode)
            return response;
        using (response)
        {
            var refusal = await response.Content.ReadAsStringAsync(either.Token);
            throw new HttpOperationException { Response = new HttpResponseMessageWrapper(response, refusal) };
        }
    }

    private ApiClient Client()
    {
        lock (_lock)
            return _client ??= Make_NeedsLock();
    }

    private ApiClient Make_NeedsLock()
    {
        var endpoint = options.Endpoint ?? throw new InvalidOperationException("no endpoint is configured");
        var configuration = new KubernetesClientConfiguration
        {
            Host = endpoint.AbsoluteUri,
            HttpClientTimeout = RequestTimeout,
            UserAgent = $"vpc-cni-ipamd/{version}",
        };
        X509Certificate2Collection? authorities = null;
        // The token is not sent over plain HTTP, where anyone on the path could read it.
        if (endpoint.Scheme == Uri.UriSchemeHttps)
        {
            configuration.TokenProvider = new ServiceAccountToken(Path.Combine(options.ServiceAccountPath, "token"));
            _authority = File.ReadAllBytes(AuthorityFile);
            authorities = [];
            authorities.ImportFromPem(Encoding.UTF8.GetString(_authority));
            // Without any, the handler would accept every public certificate, and send the token to its owner.
            if (authorities.Count == 0)
                throw new InvalidDataException($"{AuthorityFile} has no certificate");
        }

        // The authorities are not set as SslCaCerts, because the package would then check certificates itself, and it ignores the host
        // name.
        configuration.FirstMessageHandlerSetup = handler => ApiServerTransport.Configure(handler, authorities);
        ApiServerJson.Apply(configuration.JsonSerializerOptions);
        return new ApiClient(new k8s.Kubernetes(configuration, new ApiServerTransport.BoundedResponses()), configuration);
    }

    /// <summary>
    /// Discards the client if its certificate authority's file has changed, as it does when a cluster replaces its authority. Called after
    /// a failure.
    /// </summary>
    private void DiscardIfAuthorityChanged()
    {
        lock (_lock)
        {
            if (_client is null || _authority.Length == 0)
                return;
            try
            {
                if (File.ReadAllBytes(AuthorityFile).AsSpan().SequenceEqual(_authority))
                    return;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // The file is being replaced or is unreadable; the next failure checks again.
                return;
            }

            // Requests in flight fail and are retried.
            _client.Dispose();
            _client = null;
        }
    }

    private sealed record ApiClient(k8s.Kubernetes Kubernetes, KubernetesClientConfiguration Configuration) : IDisposable
    {
        public JsonTypeInfo<T> TypeOf<T>() => (JsonTypeInfo<T>)Configuration.JsonSerializerOptions.GetTypeInfo(typeof(T));

        public void Dispose() => Kubernetes.Dispose();
    }
}
