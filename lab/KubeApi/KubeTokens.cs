// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Bearer tokens and their users. A user can have several, because kubelet renews the token in a pod's folder while the old one stays
/// valid. Thread-safe. The tokens protect nothing but the lab.
/// </summary>
internal sealed class KubeTokens(Random random)
{
    public const string Administrator = "kubernetes-admin";

    public const string Anonymous = "system:anonymous";

    /// <summary>Maximum number of valid tokens of a user. Issuing more revokes the oldest.</summary>
    private const int MaxPerUser = 8;

    private const int Length = 48;
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, string> _userByToken = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _tokensByUser = new(StringComparer.Ordinal);

    /// <summary>User name of a service account.</summary>
    public static string ServiceAccount(string ns, string name) => $"system:serviceaccount:{ns}:{name}";

    /// <summary>Issues another token for a user.</summary>
    public string Issue(string user)
    {
        lock (_lock)
        {
            var token = new string(random.GetItems<char>(Alphabet, Length));
            if (!_tokensByUser.TryGetValue(user, out var tokens))
                _tokensByUser[user] = tokens = [];
            tokens.Add(token);
            _userByToken[token] = user;
            if (tokens.Count > MaxPerUser)
            {
                _userByToken.Remove(tokens[0]);
                tokens.RemoveAt(0);
            }

            return token;
        }
    }

    /// <summary>Revokes all tokens of a user except this one; null revokes all.</summary>
    public void RevokeAllExcept(string user, string? token)
    {
        lock (_lock)
        {
            if (!_tokensByUser.TryGetValue(user, out var tokens))
                return;
            foreach (var old in tokens.Where(old => old != token).ToArray())
            {
                tokens.Remove(old);
                _userByToken.Remove(old);
            }
        }
    }

    /// <summary>Returns the user of a token; null if the token is not valid.</summary>
    public string? UserOf(string token)
    {
        lock (_lock)
            return _userByToken.GetValueOrDefault(token);
    }
}
