// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Imds;

/// <summary>
/// Metadata as a tree: a leaf has a text value, and an inner node lists its children, one per line, with a slash after inner nodes.
/// </summary>
internal sealed class MetadataTree
{
    private readonly SortedDictionary<string, string> _leaves = new(StringComparer.Ordinal);

    /// <summary>Sets a leaf. An empty value sets none: EC2 returns 404 for what an interface does not have.</summary>
    public void Set(string path, string? value)
    {
        if (!string.IsNullOrEmpty(value))
            _leaves[path] = value;
    }

    /// <summary>Sets a leaf with one value per line.</summary>
    public void SetLines<T>(string path, IEnumerable<T> values) => Set(path, string.Join('\n', values));

    /// <summary>
    /// Returns a leaf's value or an inner node's listing; null if the path does not exist. Ignores a slash at the end of the path, which
    /// botocore appends when it requests the zone.
    /// </summary>
    public string? Get(string path)
    {
        var trimmed = path.Trim('/');
        if (_leaves.TryGetValue(trimmed, out var value))
            return value;
        var prefix = trimmed.Length == 0 ? "" : trimmed + "/";
        SortedSet<string> children = new(StringComparer.Ordinal);
        foreach (var leaf in _leaves.Keys)
        {
            if (!leaf.StartsWith(prefix, StringComparison.Ordinal))
                continue;
            var slash = leaf.IndexOf('/', prefix.Length);
            children.Add(slash < 0 ? leaf[prefix.Length..] : leaf[prefix.Length..(slash + 1)]);
        }

        return children.Count == 0 ? null : string.Join('\n', children);
    }
}
