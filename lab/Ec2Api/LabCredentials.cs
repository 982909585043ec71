// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>A key pair that the lab accepts.</summary>
/// <param name="SessionToken">Null for a long-lived pair.</param>
/// <param name="Expiration">Null for a long-lived pair.</param>
internal sealed record LabCredentials(string AccessKeyId, string SecretAccessKey, string? SessionToken, DateTimeOffset? Expiration);

/// <summary>
/// A lab's key pairs: a long-lived pair for clients outside the nodes (<c>--listen</c>), and for each instance a temporary pair, which its
/// metadata service returns and renews as EC2 does for an instance role. Thread-safe. The secrets protect nothing but the lab.
/// </summary>
internal sealed class CredentialStore(TimeProvider time, Random random)
{
    /// <summary>
    /// The long-lived pair: <c>AWS_ACCESS_KEY_ID</c> and <c>AWS_SECRET_ACCESS_KEY</c> for clients outside the nodes.
    /// </summary>
    public static readonly LabCredentials LongLived = new(
        "AKIAVPCLABVPCLAB0001",
        "vpc-lab/secret-access-key/of-no-secrecy",
        SessionToken: null,
        Expiration: null
    );

    /// <summary>Lifetime of an instance's pair.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(6);

    /// <summary>
    /// Remaining lifetime at which a pair is renewed. EC2 makes new credentials available at least five minutes before the old ones expire.
    /// </summary>
    public static readonly TimeSpan RenewBefore = TimeSpan.FromHours(1);

    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LabCredentials> _byKey = new(StringComparer.Ordinal) { [LongLived.AccessKeyId] = LongLived };
    private readonly Dictionary<InstanceId, LabCredentials> _current = [];

    /// <summary>Returns the instance's current pair; creates a new one if it has none or the pair is due for renewal.</summary>
    public LabCredentials ForInstance(InstanceId instance)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (_current.TryGetValue(instance, out var held) && held.Expiration - now > RenewBefore)
                return held;
            foreach (var (key, _) in _byKey.Where(pair => pair.Value.Expiration <= now).ToArray())
                _byKey.Remove(key);
            var fresh = new LabCredentials("ASIA" + Text(16), Text(40), Text(120), now + Lifetime);
            _byKey[fresh.AccessKeyId] = fresh;
            return _current[instance] = fresh;
        }
    }

    /// <summary>Returns the pair with an access key; null if the lab never issued it, or has removed it after it expired.</summary>
    public LabCredentials? Find(string accessKeyId)
    {
        lock (_lock)
            return _byKey.GetValueOrDefault(accessKeyId);
    }

    private string Text(int length) => new(random.GetItems<char>(Alphabet, length));
}
