// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace VpcCni.Ipamd.Options;

/// <summary>
/// Reads typed values from environment variables and collects every problem instead of stopping at the first, so that an operator repairs a
/// manifest once. A variable that is set to the empty string counts as unset, as templates often render it.
/// </summary>
internal sealed class OptionReader(IReadOnlyDictionary<string, string> environment)
{
    private readonly List<string> _problems = [];
    private readonly List<string> _warnings = [];

    /// <summary>One sentence each: the variable, its value, what was expected.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>The same of values that are not used and do not forbid the start, with what is used instead.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Names that the environment gives a value.</summary>
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

        // Whoever asks for more than there may be wants more than the default.
        var used = isNumber && value > option.Maximum && option.Otherwise is not null ? option.Maximum : fallback;
        Reject(option, text, used == fallback && option.Fallback is null ? $"{option.DefaultWords} is used" : $"{used} is used");
        return used;
    }

    public int Number(NumberOption option) => Number(option, option.Fallback ?? 0);

    /// <summary>A number of which zero and less mean "not set".</summary>
    public int? Limit(NumberOption option) => Number(option) is var value and > 0 ? value : null;

    public TimeSpan Seconds(NumberOption option) => TimeSpan.FromSeconds(Number(option));

    /// <summary>The spellings that the reference accepts (Go, strconv.ParseBool).</summary>
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
    /// <param name="defaultScheme">Of a value that names none; null: such a value is not allowed.</param>
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
    /// Where to listen: an address and a port (<c>127.0.0.1:61678</c>, <c>[::1]:61678</c>), a port on all addresses (<c>:61678</c>, read as
    /// that of <see cref="IPAddress.IPv6Any"/>), or a Unix socket (<c>unix:/path</c>). Null when the value is not allowed: a page that
    /// somebody wanted elsewhere is not opened at the default address.
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

    /// <summary>As the option spells it.</summary>
    public string Choice(ChoiceOption option)
    {
        if (Raw(option) is not { } text)
            return option.Fallback;
        if (option.Allowed.FirstOrDefault(word => string.Equals(word, text.Trim(), StringComparison.OrdinalIgnoreCase)) is { } allowed)
            return allowed;
        Reject(option, text, $"{option.Fallback} is used");
        return option.Fallback;
    }

    /// <summary>IPv4 ranges with commas between them; bits beyond a prefix are ignored, as by Go's net.ParseCIDR.</summary>
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
                && address.AddressFamily == AddressFamily.InterNetwork
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

    /// <summary>A mark: decimal, or hexadecimal after 0x; not zero.</summary>
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

    /// <summary>The reference's names, in any case.</summary>
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
        catch (JsonException)
        {
            // Reported below, like JSON of another shape.
        }

        Reject(option, text, option.Otherwise);
        return map;
    }

    public void Problem(OptionDefinition option, string value) => Problem(option, value, option.Expected);

    public void Problem(OptionDefinition option, string value, string expected) =>
        _problems.Add($"{option.Name}='{value}': expected {expected}");

    /// <summary>A value that is not allowed: a problem, or a warning where the option says what happens otherwise.</summary>
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
            // A file in a folder, and not longer than the kernel takes: with its NUL, 108 octets (unix(7)).
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
