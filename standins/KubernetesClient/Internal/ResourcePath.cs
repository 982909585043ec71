// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;

namespace k8s.Internal;

/// <summary>A path below the server's URL and its query. Names are escaped, so that none of them can become another path.</summary>
internal sealed class ResourcePath
{
    private readonly StringBuilder _text;
    private bool _hasQuery;

    /// <param name="root">Taken as it is.</param>
    /// <param name="segments">Escaped each.</param>
    public ResourcePath(string root, params ReadOnlySpan<string> segments)
    {
        _text = new StringBuilder(root);
        foreach (var segment in segments)
        {
            // A dot segment would survive escaping, and climb (RFC 3986, section 5.2.4).
            if (segment is null or "" or "." or "..") throw new ArgumentException($"'{segment}' is not a name", nameof(segments));
            _text.Append('/').Append(Uri.EscapeDataString(segment));
        }
    }

    public ResourcePath With(string name, string? value)
    {
        if (value is null) return this;
        _text.Append(_hasQuery ? '&' : '?').Append(name).Append('=').Append(Uri.EscapeDataString(value));
        _hasQuery = true;
        return this;
    }

    public ResourcePath With(string name, bool? value) => With(name, value switch { true => "true", false => "false", null => null });

    public ResourcePath With(string name, int? value) => With(name, value?.ToString(CultureInfo.InvariantCulture));

    public override string ToString() => _text.ToString();
}
