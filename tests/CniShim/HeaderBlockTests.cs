// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using VpcCni.Shim.Ipamd.Http2;
using Xunit;

namespace VpcCni.Shim.Tests;

public sealed class HeaderBlockTests
{
    // Examples of RFC 7541, appendix C.
    [Theory]
    [InlineData("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com")]
    [InlineData("a8eb10649cbf", "no-cache")]
    [InlineData("25a849e95ba97d7f", "custom-key")]
    [InlineData("25a849e95bb8e8b4bf", "custom-value")]
    [InlineData("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT")]
    [InlineData("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com")]
    [InlineData(
        "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
    )]
    [InlineData("", "")]
    public void Huffman_decodes_the_examples_of_the_specification(string hex, string expected) =>
        Assert.Equal(expected, HuffmanCode.Decode(Convert.FromHexString(hex)));

    [Theory]
    [InlineData("ffffffff")] // end of string
    [InlineData("1fff")] // more than seven bits of padding
    [InlineData("18")] // padding that is not ones
    public void Malformed_Huffman_code_is_rejected(string hex) =>
        Assert.Throws<Http2Exception>(() => HuffmanCode.Decode(Convert.FromHexString(hex)));

    [Fact]
    public void Block_of_a_gRPC_server_is_decoded()
    {
        // 20: table size 0; 88: :status 200; 5f..: content-type (with indexing), Huffman; 00: grpc-status without indexing; 10: never
        // indexed.
        const string block =
            "20" + "88" + "5f8b1d75d0620d263d4c4d6564" + "000b677270632d7374617475730138" + "100c677270632d6d6573736167650468692121";

        Assert.Equal(
            [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "8"), ("grpc-message", "hi!!")],
            Decode(Convert.FromHexString(block))
        );
    }

    [Fact]
    public void Encoded_block_is_decoded_at_each_length_of_the_encoding()
    {
        foreach (var length in (int[])[0, 1, 126, 127, 128, 254, 255, 256, 16000])
        {
            var block = new ArrayBufferWriter<byte>();
            HeaderBlock.Append(block, "x-long", new string('v', length));

            Assert.Equal([("x-long", new string('v', length))], Decode(block.WrittenSpan));
        }
    }

    [Theory]
    [InlineData("be")] // index 62: the dynamic table
    [InlineData("80")] // index 0
    [InlineData("3fe11f")] // a table larger than allowed
    [InlineData("0005616263")] // a truncated name
    [InlineData("00")] // nothing after the type
    [InlineData("ffffffffffffff")] // a number without end
    public void Malformed_block_is_rejected(string hex) => Assert.Throws<Http2Exception>(() => Decode(Convert.FromHexString(hex)));

    [Fact]
    public void Block_of_random_bytes_is_decoded_or_rejected()
    {
        var random = new Random(7);
        var read = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = new byte[random.Next(1, 40)];
            random.NextBytes(bytes);
            try
            {
                Decode(bytes);
                read++;
            }
            catch (Http2Exception)
            {
                // The only exception that may be thrown.
            }
        }
        Assert.InRange(read, 1, 19_999);
    }

    private static List<(string Name, string Value)> Decode(ReadOnlySpan<byte> block)
    {
        var headers = new List<(string, string)>();
        HeaderBlock.Decode(block, (name, value) => headers.Add((name, value)));
        return headers;
    }
}
