// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Bearer tokens and whose they are. A user's tokens can be replaced, with or without an end of the old ones, as a kubelet renews the token
/// in a pod's folder. Safe for several threads; they protect nothing but the lab.
/// </summary>
internal sealed class KubeTokens(Random random)
{
    public const string Administrator = "kubernetes-admin";

    public const string Anonymous = "system:anonymous";

    /// <summary>Tokens of one user that are good at once; the oldest ends when there are more.</summary>
    private const int MaxPerUser = 8;

    private const int Length = 48;
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, string> _userByToken = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _tokensByUser = new(StringComparer.Ordinal);

    /// <summary>The name of a service account as a user.</summary>
    public static string ServiceAccount(string ns, string name) => $"system:serviceaccount:{ns}:{name}";

    /// <summary>A further token of a user.</summary>
    public string Issue(string user)
    {
        lock (_lock)
        {
            var token = new string(random.GetItems<char>(Alphabet, Length));
            if (!_tokensByUser.TryGetValue(user, out var held))
                _tokensByUser[user] = held = [];
            held.Add(token);
            _userByToken[token] = user;
            if (held.Count > MaxPerUser)
            {
                _userByToken.Remove(held[0]);
                held.RemoveAt(0);
            }

            return token;
        }
    }

    /// <summary>Ends all tokens of a user but this one; with null all of them.</summary>
    public void RevokeAllBut(string user, string? token)
    {
        lock (_lock)
        {
            if (!_tokensByUser.TryGetValue(user, out var held))
                return;
            foreach (var old in held.Where(old => old != token).ToArray())
            {
                held.Remove(old);
                _userByToken.Remove(old);
            }
        }
    }

    /// <summary>Whose token it is; null when it is nobody's.</summary>
    public string? UserOf(string token)
    {
        lock (_lock)
            return _userByToken.GetValueOrDefault(token);
    }
}
