// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Diagnostics.Metrics;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Metrics;

/// <summary>
/// The daemon's metrics: counts what the pool and the cloud tell, reads the rest when it is asked, and writes it all as text. What is told
/// is counted on the thread that tells: some tens of nanoseconds, and nothing is allocated but the labels' array on the stack.
/// </summary>
internal sealed class DaemonMetrics : IDisposable
{
    /// <summary>The name of requests to the instance metadata, which are not EC2's.</summary>
    private const string MetadataRequest = "GetMetadata";

    private readonly MetricRegistry<NodeReading> _registry;
    private readonly DaemonState _state;
    private readonly Counter<long> _errors,
        _noAddress,
        _reconciled,
        _adds,
        _dels,
        _forcedEnis,
        _forcedIps,
        _apiErrors,
        _ec2Requests,
        _ec2Errors;
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
        _forcedEnis = _registry.Counter(ReferenceMetrics.ForcedEnis);
        _forcedIps = _registry.Counter(ReferenceMetrics.ForcedIps);
        _registry.Counter(ReferenceMetrics.PodEniErrors);
        _apiLatency = _registry.Histogram(ReferenceMetrics.ApiLatency);
        _apiErrors = _registry.Counter(ReferenceMetrics.ApiErrors);
        _ec2Requests = _registry.Counter(ReferenceMetrics.Ec2Requests);
        _ec2Errors = _registry.Counter(ReferenceMetrics.Ec2Errors);
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

    /// <summary>Metrics of the table that nothing is measured with: a defect.</summary>
    public IReadOnlyList<Metric> WithoutInstrument => _registry.WithoutInstrument;

    /// <summary>All of it, in the Prometheus text format. Not for two threads at once.</summary>
    public void Write(IBufferWriter<byte> output) => _registry.Write(output);

    /// <summary>A subscriber of <see cref="PoolEvents"/>.</summary>
    public void Happened(PoolEvent happened)
    {
        switch (happened)
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
                Ended(ended);
                break;
            case PoolEvent.Observed observed:
                _observations.Add(1, Label("outcome", "ok"));
                Drifted(observed.Changes);
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
        }
    }

    /// <summary>The plugin asked for a DEL and gave this reason.</summary>
    public void DeleteAsked(string reason) =>
        _dels.Add(1, Label("reason", reason is "PodDeleted" or "SetupNSFailed" ? reason : Metric.Overflow));

    /// <summary>An attempt of a call of the cloud's own API, or of a request to the instance metadata.</summary>
    /// <param name="api">The cloud's name of the call.</param>
    /// <param name="code">The error code; empty for success.</param>
    /// <param name="status">Of the answer; 0 without one.</param>
    /// <param name="took">How long it took.</param>
    public void Attempted(string api, string code, int status, TimeSpan took)
    {
        var isEc2 = api != MetadataRequest;
        if (isEc2)
            _ec2Requests.Add(1, Label("fn", api));
        _apiLatency.Record(
            took.TotalMilliseconds,
            Label("api", api),
            Label("error", code.Length == 0 ? "false" : "true"),
            Label("status", status == 0 ? "" : status.ToString())
        );
        if (code.Length == 0)
            return;
        if (isEc2)
            _ec2Errors.Add(1, Label("fn", api));
        _apiErrors.Add(1, Label("api", api), Label("error", code));
    }

    /// <summary>A call of the cloud port was answered.</summary>
    public void Called(string operation, CloudErrorKind? failure, TimeSpan took) =>
        _callDuration.Record(
            took.TotalSeconds,
            Label("operation", SnakeCase.Of(operation)),
            Label("outcome", failure is null ? "ok" : "failed")
        );

    /// <summary>After a step of the pool: the first one ends the initialization of the node, the first ready one the start.</summary>
    /// <param name="at">When.</param>
    /// <param name="withApiServer">The cluster's API server is used.</param>
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

    private void Ended(PoolEvent.ChangeEnded ended)
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

    private void Drifted(ObservationChanges changes)
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
            _forcedEnis.Add(lost);
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
