// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text;

namespace VpcCni.Shim.Ipamd.Http2;

/// <summary>
/// Header blocks (HPACK, RFC 7541), without a dynamic table: we send literals, and our SETTINGS forbid the peer to use one. Both directions
/// of one call have a handful of headers.
/// </summary>
internal static class HeaderBlock
{
    private const int StaticEntries = 61;

    /// <summary>RFC 7541, appendix A: the names that occur in gRPC responses. Others are not needed and stay empty.</summary>
    private static (string Name, string Value) StaticEntry(int index) =>
        index switch
        {
            8 => (":status", "200"),
            9 => (":status", "204"),
            10 => (":status", "206"),
            11 => (":status", "304"),
            12 => (":status", "400"),
            13 => (":status", "404"),
            14 => (":status", "500"),
            31 => ("content-type", ""),
            >= 1 and <= StaticEntries => ("", ""),
            _ => throw new Http2Exception($"a header refers to entry {index} of a table that we have forbidden"),
        };

    /// <summary>Literal Header Field without Indexing, New Name (6.2.2), no Huffman code.</summary>
    public static void Append(ArrayBufferWriter<byte> block, string name, string value)
    {
        block.Write((ReadOnlySpan<byte>)[(byte)0]);
        AppendText(block, name);
        AppendText(block, value);
    }

    /// <summary>Calls <paramref name="found"/> for each header of a block, in order.</summary>
    public static void Decode(ReadOnlySpan<byte> block, Action<string, string> found)
    {
        while (!block.IsEmpty)
        {
            var head = block[0];
            if ((head & 0x80) != 0) // indexed (6.1)
            {
                var (name, value) = StaticEntry(ReadInteger(ref block, 7));
                found(name, value);
            }
            else if ((head & 0xe0) == 0x20) // dynamic table size update (6.3)
            {
                if (ReadInteger(ref block, 5) != 0)
                    throw new Http2Exception("the peer makes its header table larger than we allow");
            }
            else // literal: with indexing (6.2.1), which an empty table evicts at once; without (6.2.2); never (6.2.3)
            {
                var index = ReadInteger(ref block, (head & 0x40) != 0 ? 6 : 4);
                var name = index == 0 ? ReadText(ref block) : StaticEntry(index).Name;
                found(name, ReadText(ref block));
            }
        }
    }

    private static void AppendText(ArrayBufferWriter<byte> block, string text)
    {
        var bytes = Encoding.ASCII.GetBytes(text);
        if (bytes.Length < 127)
        {
            block.Write((ReadOnlySpan<byte>)[(byte)bytes.Length]);
        }
        else // integer (5.1) with a prefix of seven bits
        {
            block.Write((ReadOnlySpan<byte>)[(byte)127]);
            var rest = bytes.Length - 127;
            for (; rest >= 128; rest >>= 7)
                block.Write((ReadOnlySpan<byte>)[(byte)((rest & 127) | 128)]);
            block.Write((ReadOnlySpan<byte>)[(byte)rest]);
        }
        block.Write(bytes);
    }

    private static int ReadInteger(ref ReadOnlySpan<byte> block, int prefixBits)
    {
        var mask = (1 << prefixBits) - 1;
        var value = Take(ref block) & mask;
        if (value < mask)
            return value;
        for (var shift = 0; shift <= 21; shift += 7)
        {
            var octet = Take(ref block);
            value += (octet & 127) << shift;
            if ((octet & 128) == 0)
                return value;
        }
        throw new Http2Exception("a header has a number that is too long");
    }

    private static string ReadText(ref ReadOnlySpan<byte> block)
    {
        if (block.IsEmpty)
            throw Truncated();
        var huffman = (block[0] & 0x80) != 0;
        var length = ReadInteger(ref block, 7);
        if (length > block.Length)
            throw Truncated();
        var text = block[..length];
        block = block[length..];
        return huffman ? HuffmanCode.Decode(text) : Encoding.Latin1.GetString(text);
    }

    private static byte Take(ref ReadOnlySpan<byte> block)
    {
        if (block.IsEmpty)
            throw Truncated();
        var octet = block[0];
        block = block[1..];
        return octet;
    }

    private static Http2Exception Truncated() => new("a header block ends in the middle of a header");
}
