// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.KubeApi;

/// <summary>Number of a user's calls of one verb and resource with one outcome.</summary>
/// <param name="Outcome">The HTTP status; 0 if a fault closed the connection.</param>
internal sealed record KubeCallCount(string User, string Verb, string Resource, int Outcome, long Count);

/// <summary>
/// Counts calls by user, verb, resource and outcome, which shows what a role must allow. Bounded: beyond the maximum number of counters,
/// calls of further resources are counted together as the resource <c>(more)</c>. Thread-safe.
/// </summary>
internal sealed class KubeCallLog
{
    private const int MaxKinds = 2000;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string User, KubeCall Call, int Outcome), long> _counts = [];

    public IReadOnlyList<KubeCallCount> Counts
    {
        get
        {
            lock (_lock)
            {
                return
                [
                    .. _counts
                        .Select(pair => new KubeCallCount(
                            pair.Key.User,
                            pair.Key.Call.Verb,
                            pair.Key.Call.Resource,
                            pair.Key.Outcome,
                            pair.Value
                        ))
                        .OrderBy(count => count.User, StringComparer.Ordinal)
                        .ThenBy(count => count.Resource, StringComparer.Ordinal)
                        .ThenBy(count => count.Verb, StringComparer.Ordinal)
                        .ThenBy(count => count.Outcome),
                ];
            }
        }
    }

    public void Add(string user, KubeCall call, int outcome)
    {
        lock (_lock)
        {
            var key = (user, call, outcome);
            if (!_counts.ContainsKey(key) && _counts.Count >= MaxKinds)
                key = (user, call with { Resource = "(more)" }, outcome);
            _counts[key] = _counts.GetValueOrDefault(key) + 1;
        }
    }
}
