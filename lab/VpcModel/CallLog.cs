// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>A call of the EC2 API.</summary>
/// <param name="Sequence">Number of the call, from 1 without gaps.</param>
/// <param name="Outcome"><c>OK</c> or the error code.</param>
public sealed record CallRecord(long Sequence, DateTimeOffset At, string Operation, string Outcome);

/// <summary>Counts all calls by operation and outcome, and keeps the newest.</summary>
public sealed class CallLog
{
    /// <summary>Outcome of a successful call.</summary>
    public const string Success = "OK";

    private readonly int _capacity;
    private readonly Queue<CallRecord> _recent = new();
    private readonly Dictionary<(string Operation, string Outcome), long> _counts = [];

    internal CallLog(int capacity) => _capacity = capacity;

    /// <summary>Number of calls, which is also the sequence number of the last one.</summary>
    public long Total { get; private set; }

    /// <summary>The newest calls, oldest first.</summary>
    public IReadOnlyCollection<CallRecord> Recent => _recent;

    public IReadOnlyDictionary<(string Operation, string Outcome), long> Counts => _counts;

    public long Count(string operation) =>
        _counts.Where(pair => string.Equals(pair.Key.Operation, operation, StringComparison.Ordinal)).Sum(pair => pair.Value);

    public long Count(string operation, string outcome) => _counts.GetValueOrDefault((operation, outcome));

    internal void Add(DateTimeOffset at, string operation, string outcome)
    {
        Total++;
        _counts[(operation, outcome)] = _counts.GetValueOrDefault((operation, outcome)) + 1;
        if (_capacity == 0)
            return;
        if (_recent.Count == _capacity)
            _recent.Dequeue();
        _recent.Enqueue(new CallRecord(Total, at, operation, outcome));
    }
}
