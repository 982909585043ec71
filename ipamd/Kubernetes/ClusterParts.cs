// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>The parts that talk to the API server, put together.</summary>
internal sealed class ClusterParts : IDisposable
{
    private readonly KubernetesConnection _connection;

    public ClusterParts(ClusterOptions options, string version, NodeConditions conditions, PoolSignal signal, TimeProvider time, Random random, ILoggerFactory loggers)
    {
        _connection = new KubernetesConnection(options, version);
        Link = new ClusterLink(time, loggers.CreateLogger<ClusterLink>());
        var node = new NodeWatch(options.NodeName, conditions, signal, loggers.CreateLogger<NodeWatch>());
        const string watchOfNode = "watch of the node";
        Link.Add(
            watchOfNode,
            new ObjectWatch<NodeFacts>(new KubernetesNodes(_connection, time), options.NodeName, node.Told, failure => Link.Failed(watchOfNode, failure), time, random).RunAsync);
    }

    public ClusterLink Link { get; }

    public void Dispose() => _connection.Dispose();
}
