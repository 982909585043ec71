// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Imds;

/// <summary>Session tokens of IMDSv2. A token is valid for one instance until it expires. Thread-safe.</summary>
internal sealed class MetadataTokens(TimeProvider time, Random random)
{
    public static readonly TimeSpan MaxLifetime = TimeSpan.FromSeconds(21_600);

    /// <summary>Maximum number of tokens of all instances. Issuing more removes the oldest.</summary>
    private const int MaxTokens = 10_000;
    private const int TokenBytes = 40;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (InstanceId Instance, DateTimeOffset ExpiresAt)> _tokens = new(StringComparer.Ordinal);
    private readonly Queue<string> _oldestFirst = new();

    public string Issue(InstanceId instance, TimeSpan lifetime)
    {
        lock (_lock)
        {
            while (_oldestFirst.TryPeek(out var oldest) && (_tokens.Count >= MaxTokens || _tokens[oldest].ExpiresAt <= time.GetUtcNow()))
                _tokens.Remove(_oldestFirst.Dequeue());
            var bytes = new byte[TokenBytes];
            random.NextBytes(bytes);
            var token = Convert.ToBase64String(bytes);
            _tokens.Add(token, (instance, time.GetUtcNow() + lifetime));
            _oldestFirst.Enqueue(token);
            return token;
        }
    }

    public bool IsValid(string token, InstanceId instance)
    {
        lock (_lock)
            return _tokens.TryGetValue(token, out var issued) && issued.Instance == instance && issued.ExpiresAt > time.GetUtcNow();
    }
}
