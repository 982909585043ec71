// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>What the cluster is told of, and what it tells about.</summary>
/// <param name="Conditions">What the node object says.</param>
/// <param name="Signal">Raised when that changes.</param>
/// <param name="EniConfig">Told the node's ENIConfig; null without custom networking, and then none is looked for.</param>
internal sealed record ClusterSubjects(NodeConditions Conditions, PoolSignal Signal, EniConfigSource? EniConfig);

/// <summary>The parts that talk to the API server, put together.</summary>
internal sealed class ClusterParts : IDisposable
{
    private readonly KubernetesConnection _connection;

    public ClusterParts(ClusterOptions options, string version, ClusterSubjects pool, TimeProvider time, Random random, ILoggerFactory loggers)
    {
        _connection = new KubernetesConnection(options, version);
        Link = new ClusterLink(time, loggers.CreateLogger<ClusterLink>());
        const string watchOfNode = "watch of the node", watchOfEniConfig = "watch of the ENIConfig";
        EniConfigWatch? eniConfig = null;
        if (pool.EniConfig is { } source)
        {
            eniConfig = new EniConfigWatch(
                new KubernetesEniConfigs(_connection, time), source, options, failure => Link.Failed(watchOfEniConfig, failure), time, random, loggers.CreateLogger<EniConfigWatch>());
            Link.Add(watchOfEniConfig, eniConfig.RunAsync);
        }

        var node = new NodeWatch(options.NodeName, pool.Conditions, pool.Signal, loggers.CreateLogger<NodeWatch>())
        {
            Seen = facts => eniConfig?.Seen(facts), Absent = reason => eniConfig?.NodeUnknown(reason),
        };
        void NodeFailed(ClusterException? failure)
        {
            Link.Failed(watchOfNode, failure);
            if (failure is not null) eniConfig?.NodeUnknown(failure.Message);
        }

        Link.Add(watchOfNode, new ObjectWatch<NodeFacts>(new KubernetesNodes(_connection, time), options.NodeName, node.Told, NodeFailed, time, random).RunAsync);
    }

    public ClusterLink Link { get; }

    public void Dispose() => _connection.Dispose();
}
