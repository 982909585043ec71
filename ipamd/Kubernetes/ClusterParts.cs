// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Kubernetes.Api;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Placement;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>What the tasks at the API server read and update.</summary>
/// <param name="Conditions">Receives the state of the node object.</param>
/// <param name="Signal">Raised when that state changes.</param>
/// <param name="EniConfig">Receives the node's ENIConfig; null without custom networking.</param>
/// <param name="Events">Source of the events to write to the cluster.</param>
/// <param name="Ledger">Source of the attachments.</param>
internal sealed record ClusterSubjects(
    NodeConditions Conditions,
    PoolSignal Signal,
    EniConfigSource? EniConfig,
    PoolEvents Events,
    IpLedger Ledger
);

/// <summary>Composes the tasks at the API server.</summary>
internal sealed class ClusterParts : IDisposable
{
    private readonly KubernetesConnection _connection;

    public ClusterParts(
        ClusterOptions options,
        string version,
        ClusterSubjects pool,
        TimeProvider time,
        Random random,
        ILoggerFactory loggers
    )
    {
        _connection = new KubernetesConnection(options, version, time);
        Link = new ClusterLink(time, loggers.CreateLogger<ClusterLink>());
        const string watchOfNode = "watch of the node",
            watchOfEniConfig = "watch of the ENIConfig";
        EniConfigWatch? eniConfig = null;
        if (pool.EniConfig is { } source)
        {
            eniConfig = new EniConfigWatch(
                new KubernetesEniConfigs(_connection),
                source,
                options,
                failure => Link.Failed(watchOfEniConfig, failure),
                time,
                random,
                loggers.CreateLogger<EniConfigWatch>()
            );
            Link.Add(watchOfEniConfig, eniConfig.RunAsync);
        }

        var node = new NodeWatch(
            options.NodeName,
            pool.Conditions,
            pool.Signal,
            updated: facts => eniConfig?.OnNodeUpdated(facts),
            missing: reason => eniConfig?.OnNodeUnavailable(reason),
            loggers.CreateLogger<NodeWatch>()
        );
        void NodeFailed(ClusterException? failure)
        {
            Link.Failed(watchOfNode, failure);
            if (failure is not null)
                eniConfig?.OnNodeUnavailable(failure.Message);
        }

        Link.Add(
            watchOfNode,
            new ObjectWatch<NodeFacts>(new KubernetesNodes(_connection), options.NodeName, node.OnUpdate, NodeFailed, time, random).RunAsync
        );
        Events = ComposeWriters(options, pool, () => node.Last?.Uid ?? "", time, random);
    }

    public ClusterLink Link { get; }
    public EventReporter Events { get; }

    private EventReporter ComposeWriters(
        ClusterOptions options,
        ClusterSubjects pool,
        Func<string> nodeUid,
        TimeProvider time,
        Random random
    )
    {
        const string events = "events",
            annotations = "annotation of pods",
            names = "names of recovered pods";
        var writer = new KubernetesWriter(_connection, options.NodeName);
        var reporter = new EventReporter(writer, options.NodeName, nodeUid, failure => Link.Failed(events, failure), time, random);
        pool.Events.Subscribe(reporter.Record);
        Link.Add(events, reporter.RunAsync);
        var recovered = new RecoveredPods(
            new KubernetesPods(_connection),
            options.NodeName,
            pool.Ledger,
            named => pool.Events.Publish(new PoolEvent.Identified(time.GetUtcNow(), named)),
            failure => Link.Failed(names, failure),
            time,
            random
        );
        pool.Events.Subscribe(recovered.Record);
        Link.Add(names, recovered.RunAsync);
        if (!options.AnnotatesPods)
            return reporter;
        var annotator = new PodAnnotator(
            writer,
            pod => NewestOf(pool.Ledger, pod),
            options.NodeName,
            failure => Link.Failed(annotations, failure),
            time,
            random
        );
        annotator.Resume(pool.Ledger.Attachments());
        pool.Events.Subscribe(annotator.Record);
        Link.Add(annotations, annotator.RunAsync);
        return reporter;
    }

    /// <summary>
    /// Returns the attachment of the pod's newest sandbox; an older one that is being torn down may still have an address.
    /// </summary>
    private static Attachment? NewestOf(IpLedger ledger, PodReference pod) =>
        ledger.Attachments().Where(item => item.Pod == pod).MaxBy(item => item.AssignedAt);

    public void Dispose() => _connection.Dispose();
}
