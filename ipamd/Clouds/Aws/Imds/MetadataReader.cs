// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Clouds.Aws.Imds;

/// <summary>
/// Reads and validates values below <c>latest/meta-data/</c>. Does not guess: a value of another form is a <see cref="CloudException"/>
/// with the key, the value and what was expected.
/// </summary>
internal sealed class MetadataReader(ImdsClient client)
{
    public const string Root = "latest/meta-data/";

    private const int MacLength = 17;
    private const int MaxWordLength = 128;

    /// <summary>Most characters of an answer that an error quotes.</summary>
    public const int LongestQuotation = 120;

    public Task<string> GetAsync(string key, CancellationToken cancellationToken) => client.GetAsync(Root + key, cancellationToken);

    public Task<string?> TryGetAsync(string key, CancellationToken cancellationToken) => client.TryGetAsync(Root + key, cancellationToken);

    /// <summary>Reads an id or a name.</summary>
    public async Task<string> WordAsync(string key, string prefix, CancellationToken cancellationToken) =>
        ToWord(key, await GetAsync(key, cancellationToken), prefix);

    public async Task<IPAddress> AddressAsync(string key, CancellationToken cancellationToken) =>
        ToAddress(key, await GetAsync(key, cancellationToken));

    /// <summary>Reads an address; null when the service lacks the key.</summary>
    public async Task<IPAddress?> TryAddressAsync(string key, CancellationToken cancellationToken) =>
        await TryGetAsync(key, cancellationToken) is { } text ? ToAddress(key, text) : null;

    /// <summary>Reads a MAC address, in lower case.</summary>
    public async Task<string> MacAsync(string key, CancellationToken cancellationToken)
    {
        var text = await GetAsync(key, cancellationToken);
        return ToMac(text) ?? throw Malformed(key, text, "a MAC address");
    }

    /// <summary>Reads ranges; none when the service lacks the key.</summary>
    public async Task<IReadOnlyList<IPNetwork>> RangesAsync(string key, CancellationToken cancellationToken) =>
        await TryGetAsync(key, cancellationToken) is { } text ? ToRanges(key, text) : [];

    private static IPAddress ToAddress(string key, string text) =>
        IPAddress.TryParse(text.Trim(), out var address) ? address : throw Malformed(key, text.Trim(), "an IP address");

    public static string ToWord(string key, string text, string prefix)
    {
        var word = text.Trim();
        return IsWord(word) && word.StartsWith(prefix, StringComparison.Ordinal)
            ? word
            : throw Malformed(key, word, prefix.Length > 0 ? $"an id that begins with {prefix}" : "one word");
    }

    public static string? ToMac(string text)
    {
        var mac = text.Trim().ToLowerInvariant();
        return
            mac.Length == MacLength
            && mac.Split(':') is { Length: 6 } octets
            && octets.All(octet => octet.Length == 2 && octet.All(char.IsAsciiHexDigit))
            ? mac
            : null;
    }

    public static int ToNumber(string key, string text) =>
        int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Malformed(key, text, "a number");

    public static IReadOnlyList<IPNetwork> ToRanges(string key, string text) =>
        [
            .. Lines(text)
                .Select(line => IPNetwork.TryParse(line, out var range) ? range : throw Malformed(key, text, "one CIDR range a line")),
        ];

    public static IReadOnlyList<IPAddress> ToAddresses(string key, string text) =>
        [
            .. Lines(text)
                .Select(line => IPAddress.TryParse(line, out var address) ? address : throw Malformed(key, text, "one IP address a line")),
        ];

    public static string[] Lines(string text) => text.Split((char[])['\n', '\r', ' '], StringSplitOptions.RemoveEmptyEntries);

    public static bool IsWord(string text) =>
        text.Length is > 0 and <= MaxWordLength && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    public static CloudException Malformed(string key, string text, string expected, Exception? inner = null) =>
        new(
            CloudErrorKind.Unknown,
            $"instance metadata {key}",
            "MetadataMalformed",
            $"answered '{Truncate.Of(text, LongestQuotation)}', expected {expected}; check which server answers at the metadata address",
            innerException: inner
        );
}
