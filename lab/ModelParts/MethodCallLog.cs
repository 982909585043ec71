// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.ModelParts;

/// <summary>A call of a cloud's API.</summary>
/// <param name="Sequence">Number of the call, from 1 without gaps.</param>
/// <param name="Method">For example <c>instances.get</c>.</param>
/// <param name="Outcome"><c>OK</c> or the error's code.</param>
public sealed record MethodCall(long Sequence, DateTimeOffset At, string Method, string Outcome);

/// <summary>Counts all calls by method and outcome, and keeps the newest. Not thread-safe.</summary>
/// <param name="capacity">Number of calls that it keeps; 0 for none.</param>
public sealed class MethodCallLog(int capacity)
{
    /// <summary>Outcome of a successful call.</summary>
    public const string Success = "OK";

    private readonly Queue<MethodCall> _recent = new();
    private readonly Dictionary<(string Method, string Outcome), long> _counts = [];
    private long _total;

    /// <summary>The newest calls, oldest first.</summary>
    public IReadOnlyCollection<MethodCall> Recent => _recent;

    public IReadOnlyDictionary<(string Method, string Outcome), long> Counts => _counts;

    public long Count(string method) => _counts.Where(pair => pair.Key.Method == method).Sum(pair => pair.Value);

    public void Add(DateTimeOffset at, string method, string outcome)
    {
        _counts[(method, outcome)] = _counts.GetValueOrDefault((method, outcome)) + 1;
        _total++;
        if (capacity == 0)
            return;
        if (_recent.Count == capacity)
            _recent.Dequeue();
        _recent.Enqueue(new MethodCall(_total, at, method, outcome));
    }
}
