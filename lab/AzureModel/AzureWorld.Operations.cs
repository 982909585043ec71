// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.AzureModel;

/// <summary>
/// Asynchronous operations (https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations).
/// </summary>
public sealed partial class AzureWorld
{
    /// <summary>Number of operations that are kept. Azure keeps them for some days.</summary>
    private const int MaxOperations = 10_000;

    private readonly Dictionary<Guid, AzureOperation> _operations = [];
    private readonly Queue<Guid> _oldestOperations = new();
    private readonly PriorityQueue<(Guid Operation, Action<DateTimeOffset, bool> Apply), (DateTimeOffset At, long Order)> _pending = new();
    private readonly Dictionary<string, Guid> _busy = new(ArmId.Comparer);
    private long _order;

    /// <summary>
    /// Called when <see cref="NextTransitionAt"/> may have become earlier, for a host that calls <see cref="Advance"/> by a timer.
    /// </summary>
    public Action? TransitionScheduled { get; set; }

    /// <summary>When the next operation ends; null if none is in progress.</summary>
    public DateTimeOffset? NextTransitionAt => _pending.TryPeek(out _, out var priority) ? priority.At : null;

    /// <summary>Completes the operations that have ended, in order of time.</summary>
    public void Advance(DateTimeOffset now)
    {
        while (_pending.TryPeek(out var next, out var priority) && priority.At <= now)
        {
            _pending.Dequeue();
            var operation = _operations[next.Operation];
            _busy.Remove(operation.Target);
            next.Apply(priority.At, operation.Failure is not null);
        }
    }

    public AzureOperation GetOperation(DateTimeOffset now, Guid id) =>
        Call(
            now,
            "operations.get",
            AzureCallKind.Read,
            () => _operations.GetValueOrDefault(id) ?? throw AzureFaults.ChildNotFound($"operations/{id}")
        );

    /// <summary>URI of an operation, relative to the host, without its api-version.</summary>
    public string OperationPath(Guid id) =>
        $"/subscriptions/{Options.Subscription}/providers/Microsoft.Network/locations/{Options.Location}/operations/{id}";

    private AzureError? Injected(string method) =>
        Faults.Next(method, failsOperation: true, afterEffect: false) is { } rule ? new AzureError(rule.Code, rule.Message) : null;

    /// <exception cref="AzureFaultException">An operation on the resource is in progress.</exception>
    private void RequireIdle(string target)
    {
        if (_busy.TryGetValue(target, out var operation))
            throw AzureFaults.Busy("https://management.azure.com" + OperationPath(operation));
    }

    /// <param name="apply">Called at the operation's end with the time and whether it failed.</param>
    private AzureOperation Start(DateTimeOffset now, string target, AzureError? failure, Action<DateTimeOffset, bool> apply)
    {
        var operation = new AzureOperation(_numbers.NextGuid(), target, now, now + Timing.Operation, failure);
        while (_oldestOperations.Count >= MaxOperations && !_busy.ContainsValue(_oldestOperations.Peek()))
            _operations.Remove(_oldestOperations.Dequeue());
        _operations.Add(operation.Id, operation);
        _oldestOperations.Enqueue(operation.Id);
        _busy[target] = operation.Id;
        _pending.Enqueue((operation.Id, apply), (operation.EndsAt, _order++));
        Advance(now);
        TransitionScheduled?.Invoke();
        return operation;
    }
}
