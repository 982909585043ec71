// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>A value with its recent past, so that the world can be shown as it was a moment ago. Null means: did not exist.</summary>
internal sealed class Versioned<T>
    where T : class
{
    /// <summary>More changes than this within the longest lag are shown as the oldest kept one.</summary>
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
