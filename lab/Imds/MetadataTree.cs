// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Imds;

/// <summary>
/// The metadata as a tree of text: leaves have values, everything above them lists its children, one a line, those that have children of
/// their own with a slash.
/// </summary>
internal sealed class MetadataTree
{
    private readonly SortedDictionary<string, string> _leaves = new(StringComparer.Ordinal);

    /// <summary>Sets a leaf; without a value there is no leaf, as in EC2, which answers 404 for what an interface does not have.</summary>
    public void Set(string path, string? value)
    {
        if (!string.IsNullOrEmpty(value))
            _leaves[path] = value;
    }

    /// <summary>Sets a leaf with one value a line.</summary>
    public void SetLines<T>(string path, IEnumerable<T> values) => Set(path, string.Join('\n', values));

    /// <summary>The value or listing; null for 404. A slash at the end changes nothing: botocore asks for the zone with one.</summary>
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
