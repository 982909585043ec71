// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.GceApi;

/// <summary>An access token and its remaining lifetime.</summary>
internal sealed record GceToken(string Value, TimeSpan ExpiresIn);

/// <summary>
/// A lab's access tokens: one for clients outside the nodes (<c>--listen</c>), and one for each instance, which the metadata server returns
/// and renews as GCE does. Thread-safe. They protect nothing but the lab.
/// </summary>
internal sealed class GceTokens(TimeProvider time, Random random)
{
    /// <summary>The token of clients outside the nodes, which does not expire.</summary>
    public const string LongLived = "ya29.vpc-lab-of-no-secrecy";

    /// <summary>Lifetime of an instance's token.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    /// <summary>Remaining lifetime at which a token is renewed; the metadata server caches it until then.</summary>
    public static readonly TimeSpan RenewBefore = TimeSpan.FromMinutes(5);

    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, (string Value, DateTimeOffset ExpiresAt)> _current = [];
    private readonly Dictionary<string, DateTimeOffset> _expiries = new(StringComparer.Ordinal);

    /// <summary>Returns an instance's current token; issues a new one if it has none or the token is due for renewal.</summary>
    public GceToken Of(ulong instance)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (!_current.TryGetValue(instance, out var held) || held.ExpiresAt - now <= RenewBefore)
            {
                foreach (var (old, _) in _expiries.Where(pair => pair.Value <= now).ToArray())
                    _expiries.Remove(old);
                held = ("ya29." + new string(random.GetItems<char>(Alphabet, 160)), now + Lifetime);
                _current[instance] = held;
                _expiries[held.Value] = held.ExpiresAt;
            }

            return new GceToken(held.Value, held.ExpiresAt - now);
        }
    }

    public bool IsValid(string token)
    {
        if (token == LongLived)
            return true;
        lock (_lock)
            return _expiries.TryGetValue(token, out var expiresAt) && expiresAt > time.GetUtcNow();
    }
}
