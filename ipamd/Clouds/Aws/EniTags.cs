// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Amazon.EC2.Model;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// The tags and description by which this node knows its interfaces, the same as those of the AWS CNI, so that either daemon recognises the
/// other's after a switch.
/// </summary>
internal sealed class EniTags
{
    public const string InstanceId = "node.k8s.amazonaws.com/instance_id";
    public const string CreatedAt = "node.k8s.amazonaws.com/createdAt";
    public const string ClusterName = "cluster.k8s.amazonaws.com/name";
    public const string Owner = "eks:eni:owner";
    public const string OwnerValue = "amazon-vpc-cni";

    /// <summary>Every description that a daemon writes begins so; the node's id follows.</summary>
    public const string DescriptionPrefix = "aws-K8S-";

    private const string ReservedPart = "k8s.amazonaws.com";
    private const int MaxKeyLength = 127;
    private const int MaxValueLength = 255;

    /// <summary>EC2 allows 50 on a resource; five are ours at most.</summary>
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

        // As the AWS CNI does; the user is told by Ignored.
        _always.AddRange(Usable(additional).Take(MaxAdditional));
    }

    public string Description { get; }

    /// <summary>For an interface that exists: everything but its creation time.</summary>
    public List<Tag> ForExisting() => [.. _always.Select(tag => new Tag(tag.Key, tag.Value))];

    /// <summary>For a new interface; RFC 3339 in UTC and whole seconds.</summary>
    public List<Tag> ForNew(DateTimeOffset createdAt) => [.. ForExisting(), Created(createdAt)];

    /// <summary>When an interface was made.</summary>
    public static Tag Created(DateTimeOffset at) =>
        new(CreatedAt, at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));

    /// <summary>One sentence for each tag that no interface gets, and why.</summary>
    public static IEnumerable<string> Ignored(IReadOnlyDictionary<string, string> additional)
    {
        foreach (var (key, value) in additional)
        {
            if (Refusal(key, value) is { } refusal)
                yield return $"ADDITIONAL_ENI_TAGS: tag '{key}' is ignored: {refusal}";
        }

        foreach (var (key, _) in Usable(additional).Skip(MaxAdditional))
            yield return $"ADDITIONAL_ENI_TAGS: tag '{key}' is ignored: at most {MaxAdditional} fit beside the daemon's own";
    }

    /// <summary>In an order that no restart changes: when they are too many, each daemon leaves out the same.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Usable(IReadOnlyDictionary<string, string> additional) =>
        additional.Where(tag => Refusal(tag.Key, tag.Value) is null).OrderBy(tag => tag.Key, StringComparer.Ordinal);

    private static string? Refusal(string key, string value) =>
        key.Contains(ReservedPart, StringComparison.Ordinal) ? $"keys with {ReservedPart} belong to Kubernetes on AWS"
        : key.StartsWith("aws:", StringComparison.OrdinalIgnoreCase) ? "keys that begin with aws: belong to AWS"
        : key == Owner ? "the daemon sets it"
        : key.Length is 0 or > MaxKeyLength ? $"a key has 1 to {MaxKeyLength} characters"
        : value.Length > MaxValueLength ? $"a value has at most {MaxValueLength} characters"
        : null;
}
