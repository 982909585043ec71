// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace VpcCni.Lab.Ec2Api;

/// <summary>The parts of an HTTP request that an AWS signature covers.</summary>
/// <param name="RawPath">As sent, percent-encoding included.</param>
/// <param name="RawQuery">As sent, without the question mark.</param>
/// <param name="Headers">Values by name in lower case, in the order in which they were sent.</param>
internal sealed record SignedRequest(
    string Method,
    string RawPath,
    string RawQuery,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Headers,
    ReadOnlyMemory<byte> Body
)
{
    public string? Header(string name) => Headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;
}

/// <summary>The scope for which a signature is valid.</summary>
internal sealed record SignatureScope(string Date, string Region, string Service)
{
    public const string Terminator = "aws4_request";

    public override string ToString() => $"{Date}/{Region}/{Service}/{Terminator}";
}

/// <summary>
/// Computes Signature Version 4: canonical request, string to sign, signing key
/// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
/// </summary>
internal static class SigV4
{
    public const string Algorithm = "AWS4-HMAC-SHA256";
    public const string TimeFormat = "yyyyMMdd'T'HHmmss'Z'";
    public const string SignatureParameter = "X-Amz-Signature";

    public static string CanonicalRequest(SignedRequest request, IReadOnlyList<string> signedHeaders, string payloadHash)
    {
        var text = new StringBuilder();
        text.Append(request.Method)
            .Append('\n')
            .Append(CanonicalPath(request.RawPath))
            .Append('\n')
            .Append(CanonicalQuery(request.RawQuery))
            .Append('\n');
        foreach (var name in signedHeaders)
        {
            var values = request.Headers.TryGetValue(name, out var held) ? held : [];
            text.Append(name).Append(':').AppendJoin(',', values.Select(Trim)).Append('\n');
        }

        return text.Append('\n').AppendJoin(';', signedHeaders).Append('\n').Append(payloadHash).ToString();
    }

    public static string StringToSign(string amzDate, SignatureScope scope, string canonicalRequest) =>
        $"{Algorithm}\n{amzDate}\n{scope}\n{Hash(Encoding.UTF8.GetBytes(canonicalRequest))}";

    public static byte[] SigningKey(string secret, SignatureScope scope)
    {
        var key = Hmac(Encoding.UTF8.GetBytes("AWS4" + secret), scope.Date);
        key = Hmac(key, scope.Region);
        key = Hmac(key, scope.Service);
        return Hmac(key, SignatureScope.Terminator);
    }

    public static string Sign(byte[] signingKey, string stringToSign) => Convert.ToHexStringLower(Hmac(signingKey, stringToSign));

    public static string Hash(ReadOnlySpan<byte> data) => Convert.ToHexStringLower(SHA256.HashData(data));

    public static bool TryParseTime(string text, out DateTimeOffset time) =>
        DateTimeOffset.TryParseExact(
            text,
            TimeFormat,
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
            out time
        );

    /// <summary>Removes dot segments and encodes every segment once more, as all services except S3 require.</summary>
    internal static string CanonicalPath(string rawPath)
    {
        List<string> segments = [];
        foreach (var segment in rawPath.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (segment == ".")
                continue;
            if (segment == "..")
            {
                if (segments.Count > 0)
                    segments.RemoveAt(segments.Count - 1);
                continue;
            }

            segments.Add(Encode(segment));
        }

        var path = "/" + string.Join('/', segments);
        return segments.Count > 0 && rawPath.EndsWith('/') ? path + "/" : path;
    }

    /// <summary>Sorts the parameters by encoded name, then by encoded value; leaves out the signature.</summary>
    internal static string CanonicalQuery(string rawQuery) =>
        string.Join(
            '&',
            Pairs(rawQuery)
                .Where(pair => pair.Name != SignatureParameter)
                .Select(pair => (Name: Encode(pair.Name), Value: Encode(pair.Value)))
                .OrderBy(pair => pair.Name, StringComparer.Ordinal)
                .ThenBy(pair => pair.Value, StringComparer.Ordinal)
                .Select(pair => $"{pair.Name}={pair.Value}")
        );

    /// <summary>Parses and decodes a query string. A plus sign stays a plus sign.</summary>
    internal static IEnumerable<(string Name, string Value)> Pairs(string rawQuery)
    {
        foreach (var part in rawQuery.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            yield return equals < 0
                ? (Uri.UnescapeDataString(part), "")
                : (Uri.UnescapeDataString(part[..equals]), Uri.UnescapeDataString(part[(equals + 1)..]));
        }
    }

    private static byte[] Hmac(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));

    /// <summary>Encodes everything except unreserved characters (RFC 3986), in upper-case hexadecimal.</summary>
    private static string Encode(string text) => Uri.EscapeDataString(text);

    /// <summary>Removes leading and trailing white space and folds inner runs of it to one space.</summary>
    private static string Trim(string value) =>
        string.Join(' ', value.Split((char[]?)[' ', '\t', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries));
}
