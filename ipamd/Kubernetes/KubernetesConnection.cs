// SPDX-License-Identifier: Apache-2.0
using k8s;
using k8s.Authentication;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// The client, made when it is first needed and made anew when the authority's file turns out to have changed: the daemon outlives both. Failures come as <see cref="ClusterException"/>.
/// </summary>
internal sealed class KubernetesConnection(ClusterOptions options, string version) : IDisposable
{
    /// <summary>For a request and its answer, and for the headers of a watch.</summary>
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private k8s.Kubernetes? _client;
    private byte[] _authority = [];

    private string AuthorityFile => Path.Combine(options.ServiceAccountPath, "ca.crt");

    public async Task<TResult> CallAsync<TResult>(string operation, Func<IKubernetes, Task<TResult>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call(Client());
        }
        catch (Exception exception)
        {
            if (ClusterErrors.From(operation, exception, cancellationToken) is not { } failure) throw;
            if (failure.Kind == ClusterErrorKind.Unreachable) Reconsider();
            throw failure;
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _client?.Dispose();
            _client = null;
        }
    }

    private k8s.Kubernetes Client()
    {
        lock (_lock) return _client ??= Make_NeedsLock();
    }

    private k8s.Kubernetes Make_NeedsLock()
    {
        var endpoint = options.Endpoint ?? throw new InvalidOperationException("without an endpoint nobody asks");
        var configuration = new KubernetesClientConfiguration { Host = endpoint.AbsoluteUri, HttpClientTimeout = RequestTimeout, UserAgent = $"vpc-cni-ipamd/{version}" };
        // Over plain HTTP anybody on the way could read the token: none is sent.
        if (endpoint.Scheme == Uri.UriSchemeHttps)
        {
            configuration.TokenProvider = new TokenFileAuth(Path.Combine(options.ServiceAccountPath, "token"));
            _authority = File.ReadAllBytes(AuthorityFile);
            var authorities = CertUtils.LoadPemFileCert(AuthorityFile);
            // Without one, whoever has a public certificate would be sent the token.
            if (authorities.Count == 0) throw new InvalidDataException($"{AuthorityFile} holds no certificate");
            configuration.SslCaCerts = authorities;
        }

        return new k8s.Kubernetes(configuration);
    }

    /// <summary>After a failure: a cluster may replace its authority, and kubelet the file.</summary>
    private void Reconsider()
    {
        lock (_lock)
        {
            if (_client is null || _authority.Length == 0) return;
            try
            {
                if (File.ReadAllBytes(AuthorityFile).AsSpan().SequenceEqual(_authority)) return;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Being replaced, or not readable now; the next failure looks again.
                return;
            }

            // Requests under way with it fail, and are made again like all that fail.
            _client.Dispose();
            _client = null;
        }
    }
}
