// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Http;

/// <summary>An access token and its remaining lifetime.</summary>
internal sealed record BearerToken(string Value, TimeSpan ExpiresIn);

/// <summary>
/// A lab's access tokens: one for clients outside the nodes (<c>--listen</c>), which does not expire, and one for each instance, which the
/// metadata service returns and renews. Thread-safe. They protect nothing but the lab.
/// </summary>
/// <param name="longLived">The token of clients outside the nodes.</param>
/// <param name="prefix">What an instance's token begins with.</param>
/// <param name="lifetime">Lifetime of an instance's token.</param>
/// <param name="renewBefore">Remaining lifetime at which a token is renewed; the metadata service caches it until then.</param>
internal sealed class BearerTokens(
    string longLived,
    string prefix,
    TimeSpan lifetime,
    TimeSpan renewBefore,
    TimeProvider time,
    Random random
)
{
    private const string Scheme = "Bearer ";
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    private const int RandomLength = 160;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (string Value, DateTimeOffset ExpiresAt)> _current = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DateTimeOffset> _expiries = new(StringComparer.Ordinal);

    /// <summary>Returns an instance's current token; issues a new one if it has none or the token is due for renewal.</summary>
    public BearerToken Of(string instance)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (!_current.TryGetValue(instance, out var held) || held.ExpiresAt - now <= renewBefore)
            {
                foreach (var (old, _) in _expiries.Where(pair => pair.Value <= now).ToArray())
                    _expiries.Remove(old);
                held = (prefix + new string(random.GetItems<char>(Alphabet, RandomLength)), now + lifetime);
                _current[instance] = held;
                _expiries[held.Value] = held.ExpiresAt;
            }

            return new BearerToken(held.Value, held.ExpiresAt - now);
        }
    }

    /// <summary>Whether a request has a valid token in its Authorization header.</summary>
    public bool Authenticates(HttpRequest request) =>
        request.Headers.Authorization is [{ } header]
        && header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
        && IsValid(header[Scheme.Length..].Trim());

    private bool IsValid(string token)
    {
        if (token == longLived)
            return true;
        lock (_lock)
            return _expiries.TryGetValue(token, out var expiresAt) && expiresAt > time.GetUtcNow();
    }
}
