// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Options;

/// <summary>
/// Reads typed values from environment variables. It collects all problems instead of stopping at the first, so that an operator repairs a
/// manifest once. An empty variable counts as unset, because templates often render one.
/// </summary>
internal sealed class OptionReader(IReadOnlyDictionary<string, string> environment)
{
    private readonly List<string> _problems = [];
    private readonly List<string> _warnings = [];

    /// <summary>Values that prevent the start; one sentence each with the variable, its value, and what was expected.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>Values that are replaced; one sentence each, like <see cref="Problems"/>, with what is used instead.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Names of the variables with a value.</summary>
    public IReadOnlySet<string> Set { get; } =
        environment.Where(pair => pair.Value.Length > 0).Select(pair => pair.Key).ToHashSet(StringComparer.Ordinal);

    public string Text(TextOption option) => Raw(option) ?? option.Default;

    public int Number(NumberOption option, int fallback)
    {
        if (Raw(option) is not { } text)
            return fallback;
        var isNumber = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value);
        if (isNumber && value >= option.Minimum && value <= option.Maximum)
            return value;

        // A value above the maximum means "as much as possible", so the maximum is closer to it than the default.
        var used = isNumber && value > option.Maximum && option.Otherwise is not null ? option.Maximum : fallback;
        Reject(option, text, used == fallback && option.Fallback is null ? $"{option.DefaultText} is used" : $"{used} is used");
        return used;
    }

    public int Number(NumberOption option) => Number(option, option.Fallback ?? 0);

    /// <summary>Reads a number for which zero and negative values mean "not set".</summary>
    public int? Limit(NumberOption option) => Number(option) is var value and > 0 ? value : null;

    public TimeSpan Seconds(NumberOption option) => TimeSpan.FromSeconds(Number(option));

    /// <summary>Reads a Boolean in the spellings that the reference accepts (Go, strconv.ParseBool).</summary>
    public bool Flag(FlagOption option)
    {
        switch (Raw(option))
        {
            case null:
                return option.Fallback;
            case "1" or "t" or "T" or "true" or "TRUE" or "True":
                return true;
            case "0" or "f" or "F" or "false" or "FALSE" or "False":
                return false;
            case var text:
                Reject(option, text, $"{option.Default} is used");
                return option.Fallback;
        }
    }

    /// <param name="option">The variable.</param>
    /// <param name="defaultScheme">Scheme of a value without one; null: such a value is invalid.</param>
    public Uri? HttpUrl(TextOption option, string? defaultScheme = null)
    {
        if (Raw(option) is not { } raw)
            return null;
        var text = defaultScheme is null || raw.Contains("://", StringComparison.Ordinal) ? raw : $"{defaultScheme}://{raw}";
        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.Host.Length > 0)
            return url;
        Problem(option, raw);
        return null;
    }

    /// <summary>
    /// Reads a listen address: an address and a port (<c>127.0.0.1:61678</c>, <c>[::1]:61678</c>), a port on all addresses (<c>:61678</c>,
    /// which becomes <see cref="IPAddress.IPv6Any"/>), or a Unix socket (<c>unix:/path</c>). Returns null for an invalid value: falling
    /// back to the default address could expose a page to the network.
    /// </summary>
    public EndPoint? Listen(TextOption option)
    {
        var text = Raw(option) ?? option.Default;
        if (ListenAddress(text) is { } endPoint)
            return endPoint;
        Reject(option, text, option.Otherwise);
        return null;
    }

    public string Path(PathOption option)
    {
        if (Raw(option) is not { } text)
            return option.Fallback;
        if (option.OrOneOf.Contains(text) || text.StartsWith('/'))
            return text;
        Problem(option, text);
        return option.Fallback;
    }

    /// <summary>Reads one of a set of words, in any case. Returns the option's spelling.</summary>
    public string Choice(ChoiceOption option)
    {
        if (Raw(option) is not { } text)
            return option.Fallback;
        if (option.Allowed.FirstOrDefault(word => string.Equals(word, text.Trim(), StringComparison.OrdinalIgnoreCase)) is { } allowed)
            return allowed;
        Reject(option, text, $"{option.Fallback} is used");
        return option.Fallback;
    }

    /// <summary>Reads IPv4 ranges separated by commas. Bits beyond a prefix are ignored, as Go's net.ParseCIDR does.</summary>
    public IReadOnlyList<IPNetwork> Ipv4Ranges(TextOption option)
    {
        List<IPNetwork> ranges = [];
        if (Raw(option) is not { } text)
            return ranges;
        foreach (var item in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var slash = item.IndexOf('/', StringComparison.Ordinal);
            if (
                slash > 0
                && IPAddress.TryParse(item.AsSpan(0, slash), out var address)
                && address.AddressFamily == IpFamily.V4
                && item.Count(letter => letter == '.') == 3
                && int.TryParse(item.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var length)
                && length <= 32
            )
            {
                ranges.Add(new IPNetwork(BaseOf(address, length), length));
                continue;
            }

            Problem(option, item);
        }

        return ranges;
    }

    /// <summary>Reads a mark: decimal, or hexadecimal after 0x; not zero.</summary>
    public uint Mark(TextOption option, uint fallback)
    {
        if (Raw(option) is not { } text)
            return fallback;
        var isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        if (
            uint.TryParse(
                isHex ? text.AsSpan(2) : text,
                isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None,
                CultureInfo.InvariantCulture,
                out var mark
            )
            && mark != 0
        )
            return mark;
        Problem(option, text);
        return fallback;
    }

    /// <summary>Reads a log level by the reference's names, in any case.</summary>
    public LogLevel Level(ChoiceOption option)
    {
        switch ((Raw(option) ?? option.Fallback).ToUpperInvariant())
        {
            case "DEBUG":
                return LogLevel.Debug;
            case "INFO":
                return LogLevel.Information;
            case "WARN" or "WARNING":
                return LogLevel.Warning;
            case "ERROR":
                return LogLevel.Error;
            case "FATAL":
                return LogLevel.Critical;
            default:
                Reject(option, Raw(option)!, $"{option.Fallback} is used");
                return LogLevel.Information;
        }
    }

    public IReadOnlyDictionary<string, string> StringMap(TextOption option)
    {
        Dictionary<string, string> map = [];
        if (Raw(option) is not { } text)
            return map;
        try
        {
            using var document = JsonDocument.Parse(text);
            if (
                document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.EnumerateObject().All(member => member.Value.ValueKind == JsonValueKind.String)
            )
            {
                foreach (var member in document.RootElement.EnumerateObject())
                    map[member.Name] = member.Value.GetString()!;
                return map;
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Rejected below, like JSON of another shape. InvalidOperationException: a string has half of a surrogate pair.
        }

        Reject(option, text, option.Otherwise);
        return map;
    }

    public void Problem(OptionDefinition option, string value) => Problem(option, value, option.Expected);

    public void Problem(OptionDefinition option, string value, string expected) =>
        _problems.Add($"{option.Name}='{value}': expected {expected}");

    /// <summary>Records an invalid value: as a warning if the option has a replacement for it, else as a problem.</summary>
    private void Reject(OptionDefinition option, string value, string? instead)
    {
        if (option.Otherwise is null)
            Problem(option, value);
        else
            _warnings.Add($"{option.Name}='{value}': expected {option.Expected}; {instead}");
    }

    private static EndPoint? ListenAddress(string text)
    {
        if (text.StartsWith("unix:/", StringComparison.Ordinal))
        {
            // The path names a file, not a folder, and with its NUL fits the kernel's 108 bytes (unix(7)).
            var path = text["unix:".Length..];
            return path.EndsWith('/') || path.Contains('\0', StringComparison.Ordinal) || Encoding.UTF8.GetByteCount(path) > 107
                ? null
                : new UnixDomainSocketEndPoint(path);
        }

        return IPEndPoint.TryParse(text.StartsWith(':') ? $"[::]{text}" : text, out var endPoint) && endPoint.Port > 0 ? endPoint : null;
    }

    private static IPAddress BaseOf(IPAddress address, int length)
    {
        var bits = BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
        Span<byte> octets = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(octets, length == 0 ? 0 : bits & (uint.MaxValue << (32 - length)));
        return new IPAddress(octets);
    }

    private string? Raw(OptionDefinition option) => environment.TryGetValue(option.Name, out var value) && value.Length > 0 ? value : null;
}
