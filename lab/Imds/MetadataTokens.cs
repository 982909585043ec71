// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Imds;

/// <summary>Session tokens of IMDSv2: good for one instance until they end. Safe for several threads.</summary>
internal sealed class MetadataTokens(TimeProvider time, Random random)
{
    public static readonly TimeSpan MaxLife = TimeSpan.FromSeconds(21_600);

    /// <summary>Live tokens of all instances; beyond this the oldest go.</summary>
    private const int MaxTokens = 10_000;
    private const int TokenBytes = 40;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (InstanceId Instance, DateTimeOffset Ends)> _tokens = new(StringComparer.Ordinal);
    private readonly Queue<string> _oldestFirst = new();

    public string Issue(InstanceId instance, TimeSpan life)
    {
        lock (_lock)
        {
            while (_oldestFirst.TryPeek(out var oldest) && (_tokens.Count >= MaxTokens || _tokens[oldest].Ends <= time.GetUtcNow()))
                _tokens.Remove(_oldestFirst.Dequeue());
            var bytes = new byte[TokenBytes];
            random.NextBytes(bytes);
            var token = Convert.ToBase64String(bytes);
            _tokens.Add(token, (instance, time.GetUtcNow() + life));
            _oldestFirst.Enqueue(token);
            return token;
        }
    }

    public bool IsGood(string token, InstanceId instance)
    {
        lock (_lock)
            return _tokens.TryGetValue(token, out var held) && held.Instance == instance && held.Ends > time.GetUtcNow();
    }
}
