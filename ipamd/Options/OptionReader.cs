// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace VpcCni.Ipamd.Options;

/// <summary>
/// Reads typed values from environment variables and collects every problem instead of stopping at the first, so that an operator repairs a manifest once. A variable
/// that is set to the empty string counts as unset, as templates often render it.
/// </summary>
internal sealed class OptionReader(IReadOnlyDictionary<string, string> environment)
{
    private readonly List<string> _problems = [];

    /// <summary>One sentence each: the variable, its value, what was expected.</summary>
    public IReadOnlyList<string> Problems => _problems;

    public string Text(string name, string fallback) => Raw(name) ?? fallback;

    public int Integer(string name, int fallback, int minimum, int maximum)
    {
        if (Raw(name) is not { } text) return fallback;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) && value >= minimum && value <= maximum) return value;
        Problem(name, text, maximum == int.MaxValue ? $"an integer of at least {minimum}" : $"an integer from {minimum} to {maximum}");
        return fallback;
    }

    public TimeSpan Seconds(string name, TimeSpan fallback, int minimum, int maximum)
        => TimeSpan.FromSeconds(Integer(name, (int)fallback.TotalSeconds, minimum, maximum));

    /// <summary>The spellings that the reference accepts (Go, strconv.ParseBool).</summary>
    public bool Boolean(string name, bool fallback)
    {
        switch (Raw(name))
        {
            case null:
                return fallback;
            case "1" or "t" or "T" or "true" or "TRUE" or "True":
                return true;
            case "0" or "f" or "F" or "false" or "FALSE" or "False":
                return false;
            case var text:
                Problem(name, text, "true or false");
                return fallback;
        }
    }

    public Uri? HttpUrl(string name)
    {
        if (Raw(name) is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.Host.Length > 0) return url;
        Problem(name, text, "a URL that starts with http:// or https://");
        return null;
    }

    public string AbsolutePath(string name, string fallback, params ReadOnlySpan<string> orOneOf)
    {
        if (Raw(name) is not { } text) return fallback;
        if (orOneOf.Contains(text) || text.StartsWith('/')) return text;
        Problem(name, text, orOneOf.IsEmpty ? "an absolute path" : $"an absolute path, {string.Join(" or ", orOneOf.ToArray())}");
        return fallback;
    }

    public string OneOf(string name, string fallback, params ReadOnlySpan<string> allowed)
    {
        if (Raw(name) is not { } text) return fallback;
        if (allowed.Contains(text)) return text;
        Problem(name, text, $"one of {string.Join(", ", allowed.ToArray())}");
        return fallback;
    }

    /// <summary>IPv4 ranges with commas between them; bits beyond a prefix are ignored, as by Go's net.ParseCIDR.</summary>
    public IReadOnlyList<IPNetwork> Ipv4Ranges(string name)
    {
        List<IPNetwork> ranges = [];
        if (Raw(name) is not { } text) return ranges;
        foreach (var item in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var slash = item.IndexOf('/', StringComparison.Ordinal);
            if (slash > 0 && IPAddress.TryParse(item.AsSpan(0, slash), out var address) && address.AddressFamily == AddressFamily.InterNetwork && item.Count(letter => letter == '.') == 3
                && int.TryParse(item.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var length) && length <= 32)
            {
                ranges.Add(new IPNetwork(BaseOf(address, length), length));
                continue;
            }

            Problem(name, item, "IPv4 ranges with commas between them, e.g. 10.1.0.0/16,192.168.0.0/24");
        }

        return ranges;
    }

    /// <summary>A mark: decimal, or hexadecimal after 0x; not zero.</summary>
    public uint Mark(string name, uint fallback)
    {
        if (Raw(name) is not { } text) return fallback;
        var isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        if (uint.TryParse(isHex ? text.AsSpan(2) : text, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out var mark) && mark != 0) return mark;
        Problem(name, text, "a mark that is not zero, e.g. 0x80");
        return fallback;
    }

    public LogLevel Level(string name, LogLevel fallback)
    {
        switch (Raw(name)?.ToUpperInvariant())
        {
            case null:
                return fallback;
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
                Problem(name, Raw(name)!, "one of DEBUG, INFO, WARN, ERROR, FATAL");
                return fallback;
        }
    }

    public IReadOnlyDictionary<string, string> StringMap(string name)
    {
        Dictionary<string, string> map = [];
        if (Raw(name) is not { } text) return map;
        try
        {
            using var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.EnumerateObject().All(member => member.Value.ValueKind == JsonValueKind.String))
            {
                foreach (var member in document.RootElement.EnumerateObject()) map[member.Name] = member.Value.GetString()!;
                return map;
            }
        }
        catch (JsonException)
        {
            // Reported below, like JSON of another shape.
        }

        Problem(name, text, "a JSON object whose values are strings, e.g. {\"team\":\"network\"}");
        return map;
    }

    public void Problem(string name, string value, string expected) => _problems.Add($"{name}='{value}': expected {expected}");

    private static IPAddress BaseOf(IPAddress address, int length)
    {
        var bits = BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
        Span<byte> octets = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(octets, length == 0 ? 0 : bits & (uint.MaxValue << (32 - length)));
        return new IPAddress(octets);
    }

    private string? Raw(string name) => environment.TryGetValue(name, out var value) && value.Length > 0 ? value : null;
}
