// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.KubeApi;

/// <summary>Calls of one user with one outcome.</summary>
/// <param name="Outcome">The HTTP status; 0 when the connection was broken on purpose.</param>
internal sealed record KubeCallCount(string User, string Verb, string Resource, int Outcome, long Count);

/// <summary>
/// Counts calls by who made them, on what, and how they went: what a role must allow can be read from it. Bounded: further kinds of calls
/// are counted together as the resource <c>(more)</c>.
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
