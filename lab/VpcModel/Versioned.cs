// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>A value with its recent versions, for reads that lag behind. A null version means that the value did not exist.</summary>
internal sealed class Versioned<T>
    where T : class
{
    /// <summary>
    /// Maximum number of versions. With more changes within the longest lag, an old read returns the oldest kept version.
    /// </summary>
    private const int MaxVersions = 256;

    private readonly List<(DateTimeOffset Since, T? Value)> _versions = [];

    public T? Current => _versions.Count == 0 ? null : _versions[^1].Value;

    public DateTimeOffset LastChange => _versions[^1].Since;

    public void Set(DateTimeOffset now, T? value)
    {
        _versions.Add((now, value));
        var horizon = now - WorldTiming.MaxLag;
        while (_versions.Count > 1 && (_versions[1].Since <= horizon || _versions.Count > MaxVersions))
            _versions.RemoveAt(0);
    }

    /// <summary>The version at a time; null if the value did not exist, or the version is no longer kept.</summary>
    public T? At(DateTimeOffset when)
    {
        for (var i = _versions.Count - 1; i >= 0; i--)
        {
            if (_versions[i].Since <= when)
                return _versions[i].Value;
        }

        return null;
    }
}
