// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// A cluster's API: a store and two servers on it. A host serves <see cref="Insecure"/> over plain HTTP and <see cref="Secure"/> over TLS.
/// </summary>
internal sealed class KubeControlPlane : IDisposable
{
    private readonly KubeApiServer _insecure;
    private readonly KubeApiServer _secure;

    public KubeControlPlane(
        TimeProvider time,
        Random storeRandom,
        Random tokenRandom,
        KubeStoreOptions? store = null,
        KubeApiOptions? api = null
    )
    {
        Store = new KubeStore(time, storeRandom, store);
        AmazonDefinitions.Install(Store);
        Tokens = new KubeTokens(tokenRandom);
        var options = api ?? new KubeApiOptions();
        _insecure = new KubeApiServer(Store, Tokens, Faults, Calls, Watches, time, options with { RequireToken = false });
        _secure = new KubeApiServer(Store, Tokens, Faults, Calls, Watches, time, options with { RequireToken = true });
    }

    public KubeStore Store { get; }

    public KubeTokens Tokens { get; }

    public KubeFaults Faults { get; } = new();

    public KubeCallLog Calls { get; } = new();

    public WatchHub Watches { get; } = new();

    /// <summary>The API without authentication, for plain HTTP.</summary>
    public RequestDelegate Insecure => _insecure.HandleAsync;

    /// <summary>The API that requires a token, for TLS.</summary>
    public RequestDelegate Secure => _secure.HandleAsync;

    /// <summary>Closes all watches.</summary>
    public void Dispose() => Watches.Dispose();
}
