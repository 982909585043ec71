// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// One cluster's API: a store, and the two doors to it. A host puts <see cref="Open"/> on plain HTTP and <see cref="Guarded"/> behind TLS.
/// </summary>
internal sealed class KubeControlPlane : IDisposable
{
    private readonly KubeApiServer _open;
    private readonly KubeApiServer _guarded;

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
        _open = new KubeApiServer(Store, Tokens, Faults, Calls, Watches, time, options with { RequireToken = false });
        _guarded = new KubeApiServer(Store, Tokens, Faults, Calls, Watches, time, options with { RequireToken = true });
    }

    public KubeStore Store { get; }

    public KubeTokens Tokens { get; }

    public KubeFaults Faults { get; } = new();

    public KubeCallLog Calls { get; } = new();

    public WatchHub Watches { get; } = new();

    /// <summary>Without tokens: for plain HTTP.</summary>
    public RequestDelegate Open => _open.HandleAsync;

    /// <summary>Demands a token: for TLS.</summary>
    public RequestDelegate Guarded => _guarded.HandleAsync;

    /// <summary>Closes all watches.</summary>
    public void Dispose() => Watches.Dispose();
}
