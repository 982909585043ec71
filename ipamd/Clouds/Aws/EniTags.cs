// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Amazon.EC2.Model;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// The tags and the description that mark this node's interfaces. They are those of the AWS CNI, so that either daemon recognizes the
/// other's interfaces after a switch.
/// </summary>
internal sealed class EniTags
{
    public const string InstanceId = "node.k8s.amazonaws.com/instance_id";
    public const string CreatedAt = "node.k8s.amazonaws.com/createdAt";
    public const string ClusterName = "cluster.k8s.amazonaws.com/name";
    public const string Owner = "eks:eni:owner";
    public const string OwnerValue = "amazon-vpc-cni";

    /// <summary>Prefix of every description that a daemon writes; the node's id follows.</summary>
    public const string DescriptionPrefix = "aws-K8S-";

    private const string ReservedPart = "k8s.amazonaws.com";
    private const int MaxKeyLength = 127;
    private const int MaxValueLength = 255;

    /// <summary>EC2 allows 50 tags per resource; the daemon uses at most five.</summary>
    private const int MaxAdditional = 45;

    private readonly List<KeyValuePair<string, string>> _always = [];

    public EniTags(string nodeId, string? clusterName, IReadOnlyDictionary<string, string> additional)
    {
        Description = DescriptionPrefix + nodeId;
        _always.Add(new(InstanceId, nodeId));
        if (!string.IsNullOrEmpty(clusterName))
        {
            _always.Add(new(ClusterName, clusterName));
            _always.Add(new(Owner, OwnerValue));
        }

        // As in the AWS CNI; Ignored() reports the rest to the user.
        _always.AddRange(Usable(additional).Take(MaxAdditional));
    }

    public string Description { get; }

    /// <summary>Tags for an existing interface: all but the creation time.</summary>
    public List<Tag> ForExisting() => [.. _always.Select(tag => new Tag(tag.Key, tag.Value))];

    /// <summary>Tags for a new interface; the time is RFC 3339, UTC, in whole seconds.</summary>
    public List<Tag> ForNew(DateTimeOffset createdAt) => [.. ForExisting(), Created(createdAt)];

    /// <summary>Tag with an interface's creation time.</summary>
    public static Tag Created(DateTimeOffset at) =>
        new(CreatedAt, at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));

    /// <summary>Returns one sentence for each ignored tag, with the reason.</summary>
    public static IEnumerable<string> Ignored(IReadOnlyDictionary<string, string> additional)
    {
        foreach (var (key, value) in additional)
        {
            if (Problem(key, value) is { } problem)
                yield return $"ADDITIONAL_ENI_TAGS: tag '{key}' is ignored: {problem}";
        }

        foreach (var (key, _) in Usable(additional).Skip(MaxAdditional))
            yield return $"ADDITIONAL_ENI_TAGS: tag '{key}' is ignored: at most {MaxAdditional} fit besides the daemon's own";
    }

    /// <summary>Usable tags in a stable order: when there are too many, every daemon run omits the same ones.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Usable(IReadOnlyDictionary<string, string> additional) =>
        additional.Where(tag => Problem(tag.Key, tag.Value) is null).OrderBy(tag => tag.Key, StringComparer.Ordinal);

    private static string? Problem(string key, string value) =>
        key.Contains(ReservedPart, StringComparison.Ordinal) ? $"keys with {ReservedPart} belong to Kubernetes on AWS"
        : key.StartsWith("aws:", StringComparison.OrdinalIgnoreCase) ? "keys that begin with aws: belong to AWS"
        : key == Owner ? "the daemon sets it"
        : key.Length is 0 or > MaxKeyLength ? $"a key has 1 to {MaxKeyLength} characters"
        : value.Length > MaxValueLength ? $"a value has at most {MaxValueLength} characters"
        : null;
}
