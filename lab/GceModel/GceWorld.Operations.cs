// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.GceModel;

/// <summary>Operations: changes that take time (https://cloud.google.com/compute/docs/api/how-tos/api-requests-responses).</summary>
public sealed partial class GceWorld
{
    /// <summary>Number of operations that are kept. GCE keeps them for at least 14 days.</summary>
    private const int MaxOperations = 10_000;

    private readonly Dictionary<string, GceOperation> _operations = new(StringComparer.Ordinal);
    private readonly Queue<string> _oldestOperations = new();
    private readonly Dictionary<string, string> _operationOfRequest = new(StringComparer.OrdinalIgnoreCase);
    private readonly PriorityQueue<(string Operation, Action<DateTimeOffset> Apply), (DateTimeOffset At, long Order)> _pending = new();
    private readonly Dictionary<string, string> _busy = new(StringComparer.Ordinal);
    private long _order;

    /// <summary>
    /// Called when <see cref="NextTransitionAt"/> may have become earlier, for a host that calls <see cref="Advance"/> by a timer.
    /// </summary>
    public Action? TransitionScheduled { get; set; }

    /// <summary>When the next operation ends; null if none is in progress.</summary>
    public DateTimeOffset? NextTransitionAt => _pending.TryPeek(out _, out var priority) ? priority.At : null;

    public GceOperation? FindOperation(string name) => _operations.GetValueOrDefault(name);

    /// <summary>Completes the operations that have ended, in order of time.</summary>
    public void Advance(DateTimeOffset now)
    {
        while (_pending.TryPeek(out var next, out var priority) && priority.At <= now)
        {
            _pending.Dequeue();
            _busy.Remove(_operations[next.Operation].Target);
            if (_operations[next.Operation].Failure is null)
                next.Apply(priority.At);
        }
    }

    /// <summary>Reads a zonal operation, or a global one if the zone is null.</summary>
    public GceOperation GetOperation(DateTimeOffset now, string project, string? zone, string name) =>
        Call(
            now,
            project,
            zone is null ? "globalOperations.get" : "zoneOperations.get",
            GceCallKind.OperationRead,
            () => ExistingOperation(zone, name)
        );

    /// <summary>
    /// Begins to wait for an operation. The host waits, at most two minutes, and then reads the operation with this again.
    /// </summary>
    public GceOperation WaitOperation(DateTimeOffset now, string project, string? zone, string name) =>
        Call(
            now,
            project,
            zone is null ? "globalOperations.wait" : "zoneOperations.wait",
            GceCallKind.OperationRead,
            () => ExistingOperation(zone, name)
        );

    /// <summary>The operations of a zone, or the global ones if the zone is null, oldest first.</summary>
    public IReadOnlyList<GceOperation> ListOperations(DateTimeOffset now, string project, string? zone) =>
        Call<IReadOnlyList<GceOperation>>(
            now,
            project,
            zone is null ? "globalOperations.list" : "zoneOperations.list",
            GceCallKind.OperationRead,
            () => [.. _oldestOperations.Select(name => _operations[name]).Where(operation => operation.Zone == zone)]
        );

    private GceOperation ExistingOperation(string? zone, string name) =>
        _operations.TryGetValue(name, out var operation) && operation.Zone == zone
            ? operation
            : throw GceFaults.NotFound(Path($"{(zone is null ? "global" : $"zones/{zone}")}/operations/{name}"));

    private bool IsBusy(string target) => _busy.ContainsKey(target);

    /// <summary>The operation of an earlier request with the same id; null if there is none.</summary>
    private GceOperation? Repeated(string? requestId)
    {
        if (requestId is null)
            return null;
        if (!Guid.TryParseExact(requestId, "D", out var id) || id == Guid.Empty)
            throw GceFaults.InvalidParameter("requestId", requestId, "A request id is a UUID other than zero.");
        return _operationOfRequest.TryGetValue(requestId, out var name) ? _operations[name] : null;
    }

    /// <summary>The failure that an armed fault causes; null for none.</summary>
    private GceOperationError? Injected(string method) =>
        Faults.Next(method, failsOperation: true, afterEffect: false) is { } rule ? new GceOperationError(rule.Code, rule.Message) : null;

    private GceOperation Start(DateTimeOffset now, OperationStart start, Action<DateTimeOffset> apply)
    {
        var startsAt = now + Timing.Pending;
        var operation = new GceOperation
        {
            Name = _ids.NextOperationName(now),
            Id = _ids.NextId(),
            Zone = start.Zone,
            Type = start.Type,
            Target = start.Target,
            TargetId = start.TargetId,
            RequestId = start.RequestId,
            InsertedAt = now,
            StartsAt = startsAt,
            EndsAt = startsAt + Timing.Running,
            Failure = start.Failure,
        };
        RemoveOldOperations();
        _operations.Add(operation.Name, operation);
        _oldestOperations.Enqueue(operation.Name);
        if (start.RequestId is { } requestId)
            _operationOfRequest[requestId] = operation.Name;
        _busy[operation.Target] = operation.Name;
        _pending.Enqueue((operation.Name, apply), (operation.EndsAt, _order++));
        Advance(now);
        TransitionScheduled?.Invoke();
        return operation;
    }

    private void RemoveOldOperations()
    {
        while (_oldestOperations.Count >= MaxOperations && !_busy.ContainsValue(_oldestOperations.Peek()))
        {
            _operations.Remove(_oldestOperations.Dequeue(), out var removed);
            if (removed!.RequestId is { } requestId)
                _operationOfRequest.Remove(requestId);
        }
    }

    private sealed record OperationStart(
        string? Zone,
        string Type,
        string Target,
        ulong TargetId,
        string? RequestId,
        GceOperationError? Failure
    );
}
