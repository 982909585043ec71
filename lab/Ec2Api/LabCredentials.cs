// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>A key pair that the lab accepts.</summary>
/// <param name="SessionToken">Null for a long-lived pair.</param>
/// <param name="Expiration">Null for a long-lived pair.</param>
internal sealed record LabCredentials(string AccessKeyId, string SecretAccessKey, string? SessionToken, DateTimeOffset? Expiration);

/// <summary>
/// All key pairs of a lab: one long-lived pair for people (<c>--listen</c>), and for each instance a temporary pair that its metadata
/// service hands out and renews, as EC2 does for an instance role. Safe for several threads. The secrets protect nothing but the lab.
/// </summary>
internal sealed class CredentialStore(TimeProvider time, Random random)
{
    /// <summary>
    /// The long-lived pair: <c>AWS_ACCESS_KEY_ID</c> and <c>AWS_SECRET_ACCESS_KEY</c> of whoever uses the lab from outside of an instance.
    /// </summary>
    public static readonly LabCredentials ForPeople = new(
        "AKIAVPCLABVPCLAB0001",
        "vpc-lab/secret-access-key/of-no-secrecy",
        SessionToken: null,
        Expiration: null
    );

    /// <summary>How long an instance's pair is good.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromHours(6);

    /// <summary>A pair is renewed when less than this is left of it; EC2 promises new ones at least five minutes before the end.</summary>
    public static readonly TimeSpan RenewBefore = TimeSpan.FromHours(1);

    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LabCredentials> _byKey = new(StringComparer.Ordinal) { [ForPeople.AccessKeyId] = ForPeople };
    private readonly Dictionary<InstanceId, LabCredentials> _current = [];

    /// <summary>The pair that the instance's metadata shows now.</summary>
    public LabCredentials ForInstance(InstanceId instance)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (_current.TryGetValue(instance, out var held) && held.Expiration - now > RenewBefore)
                return held;
            foreach (var (key, _) in _byKey.Where(pair => pair.Value.Expiration <= now).ToArray())
                _byKey.Remove(key);
            var fresh = new LabCredentials("ASIA" + Text(16), Text(40), Text(120), now + Life);
            _byKey[fresh.AccessKeyId] = fresh;
            return _current[instance] = fresh;
        }
    }

    public LabCredentials? Find(string accessKeyId)
    {
        lock (_lock)
            return _byKey.GetValueOrDefault(accessKeyId);
    }

    private string Text(int length) => new(random.GetItems<char>(Alphabet, length));
}
