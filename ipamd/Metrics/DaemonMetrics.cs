// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Diagnostics.Metrics;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Metrics;

/// <summary>
/// Collects the daemon's metrics: counts events of the pool and the cloud, reads all other values at a scrape, and writes the text format.
/// An event is counted on the publisher's thread, which costs some tens of nanoseconds and no heap allocation.
/// </summary>
internal sealed class DaemonMetrics : IDisposable
{
    /// <summary>Name of requests to the instance metadata, which are no calls of the control plane.</summary>
    private const string MetadataRequest = "GetMetadata";

    private readonly MetricRegistry<NodeReading> _registry;
    private readonly DaemonState _state;
    private readonly Counter<long> _errors,
        _noAddress,
        _reconciled,
        _adds,
        _dels,
        _forcedInterfaces,
        _forcedIps,
        _apiErrors,
        _cloudRequests,
        _cloudErrors;
    private readonly Counter<long> _drift,
        _observations,
        _lostDeletes,
        _missedDels,
        _recovered,
        _addFailures,
        _checkpointErrors;
    private readonly Histogram<double> _apiLatency,
        _startup,
        _nodeInit;
    private readonly Histogram<double> _addDuration,
        _addWait,
        _delDuration,
        _reuse,
        _checkpointDuration,
        _callDuration,
        _changeDuration;
    private int _started;

    public DaemonMetrics(MetricSources sources)
    {
        _state = sources.State;
        _registry = new MetricRegistry<NodeReading>(MetricTable.All, sources.State.Version, () => new NodeReading(sources));
        NodeMetrics.Register(_registry, sources.State.Version);
        _errors = _registry.Counter(ReferenceMetrics.Errors);
        _noAddress = _registry.Counter(ReferenceMetrics.NoAddress);
        _reconciled = _registry.Counter(ReferenceMetrics.Reconciled);
        _adds = _registry.Counter(ReferenceMetrics.Adds);
        _dels = _registry.Counter(ReferenceMetrics.Dels);
        _forcedInterfaces = _registry.Counter(ReferenceMetrics.ForcedEnis);
        _forcedIps = _registry.Counter(ReferenceMetrics.ForcedIps);
        _registry.Counter(ReferenceMetrics.PodEniErrors);
        _apiLatency = _registry.Histogram(ReferenceMetrics.ApiLatency);
        _apiErrors = _registry.Counter(ReferenceMetrics.ApiErrors);
        _cloudRequests = _registry.Counter(ReferenceMetrics.Ec2Requests);
        _cloudErrors = _registry.Counter(ReferenceMetrics.Ec2Errors);
        _startup = _registry.Histogram(ReferenceMetrics.Startup);
        _nodeInit = _registry.Histogram(ReferenceMetrics.NodeInit);
        _drift = _registry.Counter(MetricTable.PoolDrift);
        _observations = _registry.Counter(MetricTable.PoolObservations);
        _lostDeletes = _registry.Counter(MetricTable.PoolLostDeletes);
        _missedDels = _registry.Counter(MetricTable.MissedDels);
        _recovered = _registry.Counter(MetricTable.PoolRecovered);
        _addDuration = _registry.Histogram(MetricTable.AddDuration);
        _addWait = _registry.Histogram(MetricTable.AddWait);
        _addFailures = _registry.Counter(MetricTable.AddFailures);
        _delDuration = _registry.Histogram(MetricTable.DelDuration);
        _reuse = _registry.Histogram(MetricTable.AddressReuse);
        _checkpointDuration = _registry.Histogram(MetricTable.CheckpointDuration);
        _checkpointErrors = _registry.Counter(MetricTable.CheckpointErrors);
        _callDuration = _registry.Histogram(MetricTable.CloudCallDuration);
        _changeDuration = _registry.Histogram(MetricTable.ChangeDuration);
    }

    /// <summary>Metrics of the table without an instrument; not empty: a defect.</summary>
    public IReadOnlyList<Metric> WithoutInstrument => _registry.WithoutInstrument;

    /// <summary>Writes all metrics in the Prometheus text format. Not thread-safe.</summary>
    public void Write(IBufferWriter<byte> output) => _registry.Write(output);

    /// <summary>Counts an event; subscribes to <see cref="PoolEvents"/>.</summary>
    public void OnEvent(PoolEvent poolEvent)
    {
        switch (poolEvent)
        {
            case PoolEvent.AddQueued:
                _noAddress.Add(1);
                break;
            case PoolEvent.AddServed served:
                _adds.Add(1);
                _addDuration.Record(served.Took.TotalSeconds, Label("outcome", served.IsNew ? "served" : "repeated"));
                if (served.Waited > TimeSpan.Zero)
                    _addWait.Record(served.Waited.TotalSeconds, Label("outcome", "served"));
                if (served.ReusedAfter is { } after)
                    _reuse.Record(after.TotalSeconds);
                break;
            case PoolEvent.AddFailed failed:
                _adds.Add(1);
                _addDuration.Record(failed.Took.TotalSeconds, Label("outcome", SnakeCase.Of(failed.Kind)));
                if (failed.Kind != AddFailureKind.NoAddress)
                    break;
                _addWait.Record(failed.Took.TotalSeconds, Label("outcome", "no_address"));
                _addFailures.Add(1, Label("kind", failed.Obstacle is { } obstacle ? SnakeCase.Of(obstacle) : "none"));
                break;
            case PoolEvent.Deleted deleted:
                _delDuration.Record(deleted.Took.TotalSeconds, Label("outcome", deleted.Released is null ? "unknown" : "released"));
                break;
            case PoolEvent.LostDelete:
                _lostDeletes.Add(1);
                break;
            case PoolEvent.MissedDelete missed:
                _missedDels.Add(1, Label("outcome", SnakeCase.Of(missed.Outcome)));
                break;
            case PoolEvent.Recovered:
                _recovered.Add(1);
                break;
            case PoolEvent.ChangeEnded ended:
                ChangeEnded(ended);
                break;
            case PoolEvent.Observed observed:
                _observations.Add(1, Label("outcome", "ok"));
                DriftFound(observed.Changes);
                break;
            case PoolEvent.ObserveFailed:
                _observations.Add(1, Label("outcome", "failed"));
                _errors.Add(1, Label("fn", "nodeIPPoolReconcile"));
                break;
            case PoolEvent.CheckpointWritten { Failure: null, Took: var took }:
                _checkpointDuration.Record(took.TotalSeconds);
                break;
            case PoolEvent.CheckpointWritten:
                _checkpointErrors.Add(1);
                _errors.Add(1, Label("fn", "checkpointWrite"));
                break;
            case PoolEvent.CloudCalled called:
                _callDuration.Record(
                    called.Took.TotalSeconds,
                    Label("operation", SnakeCase.Of(called.Operation)),
                    Label("outcome", called.Failure is null ? "ok" : "failed")
                );
                break;
        }
    }

    /// <summary>Counts a DEL by the reason that the plugin gave.</summary>
    public void DelRequested(string reason) =>
        _dels.Add(1, Label("reason", reason is "PodDeleted" or "SetupNSFailed" ? reason : Metric.Overflow));

    /// <summary>Counts an attempt of a call of the cloud's API, or of a request to the instance metadata.</summary>
    /// <param name="api">Name of the call in the cloud's API.</param>
    /// <param name="code">Error code; empty for success.</param>
    /// <param name="status">HTTP status; 0 without a response.</param>
    /// <param name="took">Duration of the attempt.</param>
    public void Attempted(string api, string code, int status, TimeSpan took)
    {
        var isEc2 = api != MetadataRequest;
        if (isEc2)
            _cloudRequests.Add(1, Label("fn", api));
        _apiLatency.Record(
            took.TotalMilliseconds,
            Label("api", api),
            Label("error", code.Length == 0 ? "false" : "true"),
            Label("status", status == 0 ? "" : status.ToString())
        );
        if (code.Length == 0)
            return;
        if (isEc2)
            _cloudErrors.Add(1, Label("fn", api));
        _apiErrors.Add(1, Label("api", api), Label("error", code));
    }

    /// <summary>
    /// Records start-up times after a step of the pool: the first step ends the node's initialization, the first one when ready ends the
    /// start.
    /// </summary>
    /// <param name="at">Time of the step.</param>
    /// <param name="withApiServer">Whether the daemon uses the cluster's API server.</param>
    public void Stepped(DateTimeOffset at, bool withApiServer)
    {
        if (_started == 2)
            return;
        if (_started == 0)
        {
            _nodeInit.Record((at - _state.StartedAt).TotalSeconds, Label("success", "true"));
            _started = 1;
        }

        if (!_state.Ready)
            return;
        _startup.Record(
            (at - _state.StartedAt).TotalSeconds,
            Label("success", "true"),
            Label("with_api_server", withApiServer ? "true" : "false"),
            Label("failure_reason", "")
        );
        _started = 2;
    }

    public void Dispose() => _registry.Dispose();

    private void ChangeEnded(PoolEvent.ChangeEnded ended)
    {
        var failed = ended.Failure is not null;
        _changeDuration.Record(
            ended.Took.TotalSeconds,
            Label("kind", NodeMetrics.KindOf(ended.Intent)),
            Label("outcome", failed ? "failed" : "ok")
        );
        if (failed)
            _errors.Add(1, Label("fn", ended.Intent.IsGrowth ? "increaseDatastorePool" : "decreaseDatastorePool"));
    }

    private void DriftFound(ObservationChanges changes)
    {
        Count(changes.InterfacesAdded.Count, "interface_added", "eniReconcileAdd");
        Count(changes.InterfacesLost.Count, "interface_lost", "eniReconcileDel");
        Count(changes.BlocksAdded, "block_added", "eniDataStorePoolReconcileAdd");
        Count(changes.BlocksLost, "block_lost", "eniIPPoolReconcileDel");
        if (changes.Orphaned.Count == 0)
            return;
        _forcedIps.Add(changes.Orphaned.Count);
        var lost = changes.Losses.Count(loss => loss.IsInterfaceDetached);
        if (lost > 0)
            _forcedInterfaces.Add(lost);
    }

    private void Count(int differences, string kind, string fn)
    {
        if (differences == 0)
            return;
        _drift.Add(differences, Label("kind", kind));
        _reconciled.Add(differences, Label("fn", fn));
    }

    private static KeyValuePair<string, object?> Label(string name, string value) => new(name, value);
}
