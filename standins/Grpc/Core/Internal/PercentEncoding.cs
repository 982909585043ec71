// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text;

namespace Grpc.Core.Internal;

/// <summary>
/// <c>grpc-message</c>: UTF-8 with every byte outside 0x20..0x7E, and '%', as %XX. A space at either end is encoded too, because HTTP trims header values. Decoding never
/// fails: what is not an escape stays as it is, and what is not UTF-8 becomes U+FFFD. Source: grpc/doc/PROTOCOL-HTTP2.md, "Status-Message".
/// </summary>
internal static class PercentEncoding
{
    private static readonly SearchValues<char> Plain = SearchValues.Create(PlainCharacters());

    public static string Encode(string text)
    {
        if (!text.AsSpan().ContainsAnyExcept(Plain) && !text.StartsWith(' ') && !text.EndsWith(' ')) return text;
        var bytes = Encoding.UTF8.GetBytes(text);
        var encoded = new StringBuilder(bytes.Length * 3);
        for (var i = 0; i < bytes.Length; i++)
        {
            var c = (char)bytes[i];
            if (Plain.Contains(c) && !(c == ' ' && (i == 0 || i == bytes.Length - 1)))
                encoded.Append(c);
            else
                encoded.Append('%').Append(bytes[i].ToString("X2"));
        }

        return encoded.ToString();
    }

    public static string Decode(string encoded)
    {
        if (!encoded.Contains('%', StringComparison.Ordinal)) return encoded;
        var source = Encoding.UTF8.GetBytes(encoded);
        var bytes = new byte[source.Length];
        var length = 0;
        for (var i = 0; i < source.Length; i++)
        {
            if (source[i] == '%' && i + 2 < source.Length && char.IsAsciiHexDigit((char)source[i + 1]) && char.IsAsciiHexDigit((char)source[i + 2]))
            {
                bytes[length++] = (byte)((HexValue(source[i + 1]) << 4) | HexValue(source[i + 2]));
                i += 2;
            }
            else
            {
                bytes[length++] = source[i];
            }
        }

        return Encoding.UTF8.GetString(bytes, 0, length);
    }

    private static int HexValue(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    private static string PlainCharacters() => string.Concat(Enumerable.Range(0x20, 0x7E - 0x20 + 1).Select(code => (char)code).Where(c => c != '%'));
}
