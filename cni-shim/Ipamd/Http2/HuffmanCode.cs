// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Shim.Ipamd.Http2;

/// <summary>
/// Decodes the Huffman code of HPACK (RFC 7541, appendix B). The code is canonical: sorted by length and then by symbol, each code is its
/// predecessor plus one, so the lengths are the whole table.
/// </summary>
internal static class HuffmanCode
{
    private const int EndOfString = 256;
    private const int Longest = 30;

    // Bits of the code of each symbol, 0 to 255 and end of string.
    private static ReadOnlySpan<byte> Lengths =>
        [
            13,
            23,
            28,
            28,
            28,
            28,
            28,
            28,
            28,
            24,
            30,
            28,
            28,
            30,
            28,
            28,
            28,
            28,
            28,
            28,
            28,
            28,
            30,
            28,
            28,
            28,
            28,
            28,
            28,
            28,
            28,
            28,
            6,
            10,
            10,
            12,
            13,
            6,
            8,
            11,
            10,
            10,
            8,
            11,
            8,
            6,
            6,
            6,
            5,
            5,
            5,
            6,
            6,
            6,
            6,
            6,
            6,
            6,
            7,
            8,
            15,
            6,
            12,
            10,
            13,
            6,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            7,
            8,
            7,
            8,
            13,
            19,
            13,
            14,
            6,
            15,
            5,
            6,
            5,
            6,
            5,
            6,
            6,
            6,
            5,
            7,
            7,
            6,
            6,
            6,
            5,
            6,
            7,
            6,
            5,
            5,
            6,
            7,
            7,
            7,
            7,
            7,
            15,
            11,
            14,
            13,
            28,
            20,
            22,
            20,
            20,
            22,
            22,
            22,
            23,
            22,
            23,
            23,
            23,
            23,
            23,
            24,
            23,
            24,
            24,
            22,
            23,
            24,
            23,
            23,
            23,
            23,
            21,
            22,
            23,
            22,
            23,
            23,
            24,
            22,
            21,
            20,
            22,
            22,
            23,
            23,
            21,
            23,
            22,
            22,
            24,
            21,
            22,
            23,
            23,
            21,
            21,
            22,
            21,
            23,
            22,
            23,
            23,
            20,
            22,
            22,
            22,
            23,
            22,
            22,
            23,
            26,
            26,
            20,
            19,
            22,
            23,
            22,
            25,
            26,
            26,
            26,
            27,
            27,
            26,
            24,
            25,
            19,
            21,
            26,
            27,
            27,
            26,
            27,
            24,
            21,
            21,
            26,
            26,
            28,
            27,
            27,
            27,
            20,
            24,
            20,
            21,
            22,
            21,
            21,
            23,
            22,
            22,
            25,
            25,
            24,
            24,
            26,
            23,
            26,
            27,
            26,
            26,
            27,
            27,
            27,
            27,
            27,
            28,
            27,
            27,
            27,
            27,
            27,
            26,
            30,
        ];

    /// <exception cref="Http2Exception">
    /// A code that does not exist, an end of string inside, or padding other than up to seven ones.
    /// </exception>
    public static string Decode(ReadOnlySpan<byte> encoded)
    {
        // Symbols by code, and for each length the first code and where its symbols begin.
        Span<short> symbols = stackalloc short[Lengths.Length];
        Span<int> starts = stackalloc int[Longest + 2];
        Span<uint> first = stackalloc uint[Longest + 2];
        var count = 0;
        for (var length = 1; length <= Longest; length++)
        {
            starts[length] = count;
            for (var symbol = 0; symbol < Lengths.Length; symbol++)
                if (Lengths[symbol] == length)
                    symbols[count++] = (short)symbol;
            first[length + 1] = (first[length] + (uint)(count - starts[length])) << 1;
        }
        starts[Longest + 1] = count;

        var text = new byte[encoded.Length * 8 / 5];
        var written = 0;
        uint code = 0;
        var bits = 0;
        foreach (var octet in encoded)
        {
            for (var bit = 7; bit >= 0; bit--)
            {
                code = (code << 1) | (uint)((octet >> bit) & 1);
                bits++;
                if (bits > Longest)
                    throw new Http2Exception("a header has a Huffman code that does not exist");
                var offset = (long)code - first[bits];
                if (offset < 0 || offset >= starts[bits + 1] - starts[bits])
                    continue;
                var symbol = symbols[starts[bits] + (int)offset];
                if (symbol == EndOfString)
                    throw new Http2Exception("a header has an end of string within its Huffman code");
                text[written++] = (byte)symbol;
                (code, bits) = (0, 0);
            }
        }
        if (bits > 7 || code != (1u << bits) - 1)
            throw new Http2Exception("a header's Huffman code is padded wrongly");
        return Encoding.Latin1.GetString(text, 0, written);
    }
}
