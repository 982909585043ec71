// SPDX-License-Identifier: Apache-2.0
using k8s.Internal;

namespace k8s;

/// <summary>The API server, by groups of operations.</summary>
public interface IKubernetes : IDisposable
{
    Uri BaseUri { get; }

    /// <summary>Nodes, pods, events.</summary>
    ICoreV1Operations CoreV1 { get; }

    /// <summary>Resources that a CustomResourceDefinition defines, as JSON.</summary>
    ICustomObjectsOperations CustomObjects { get; }
}

/// <summary>A client. It is safe for several threads, keeps connections alive, and is meant to live as long as the process.</summary>
public class Kubernetes : IKubernetes, ICoreV1Operations, ICustomObjectsOperations
{
    private readonly ApiClient _api;

    /// <exception cref="Exceptions.KubeConfigException">The configuration names no server.</exception>
    public Kubernetes(KubernetesClientConfiguration config) => _api = new ApiClient(config);

    public Uri BaseUri => _api.BaseUri;

    public ICoreV1Operations CoreV1 => this;

    public ICustomObjectsOperations CustomObjects => this;

    ApiClient ICoreV1Operations.Api => _api;

    ApiClient ICustomObjectsOperations.Api => _api;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (disposing) _api.Dispose();
    }
}
