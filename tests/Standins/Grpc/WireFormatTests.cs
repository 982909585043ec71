// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using Grpc.Core;
using Grpc.Core.Internal;
using Xunit;

namespace VpcCni.Standins.Tests.Grpc;

/// <summary>The pure parts of the wire format, beyond what calls exercise.</summary>
public sealed class WireFormatTests
{
    [Theory]
    [InlineData("plain ~!", "plain ~!")]
    [InlineData("%", "%25")]
    [InlineData("ü", "%C3%BC")]
    [InlineData("\n\u007f\0", "%0A%7F%00")]
    [InlineData(" a b ", "%20a b%20")]
    [InlineData(" ", "%20")]
    [InlineData("", "")]
    public void Percent_encoding_is_that_of_the_specification(string text, string encoded)
    {
        Assert.Equal(encoded, PercentEncoding.Encode(text));
        Assert.Equal(text, PercentEncoding.Decode(encoded));
    }

    [Fact]
    public void Percent_encoding_of_random_text_reads_back()
    {
        const int Seed = 20260101;
        var random = new Random(Seed);
        for (var round = 0; round < 2_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => char.ConvertFromUtf32(random.Next(4) switch
            {
                0 => random.Next(0x80),
                1 => random.Next(0x80, 0xd800),
                2 => random.Next(0x10000, 0x110000),
                _ => "% %2fA"[random.Next(6)],
            })));
            var encoded = PercentEncoding.Encode(text);
            Assert.All(encoded, c => Assert.InRange(c, ' ', '~'));
            Assert.Equal(encoded, encoded.Trim());
            Assert.Equal(text, PercentEncoding.Decode(encoded));
        }
    }

    [Theory]
    [InlineData(-1L, "1n")]
    [InlineData(0L, "1n")]
    [InlineData(1L, "1u")]
    [InlineData(10L, "1u")]
    [InlineData(11L, "2u")]
    [InlineData(TimeSpan.TicksPerSecond, "1000000u")]
    [InlineData(99 * TimeSpan.TicksPerSecond, "99000000u")]
    [InlineData(100 * TimeSpan.TicksPerSecond, "100000m")]
    [InlineData((100 * TimeSpan.TicksPerSecond) + 1, "100001m")]
    [InlineData(99_999_999 * TimeSpan.TicksPerMillisecond, "99999999m")]
    [InlineData(100_000_000 * TimeSpan.TicksPerMillisecond, "100000S")]
    [InlineData(99_999_999 * TimeSpan.TicksPerSecond, "99999999S")]
    [InlineData(100_000_000 * TimeSpan.TicksPerSecond, "1666667M")]
    [InlineData(5_999_999_940_000 * TimeSpan.TicksPerMillisecond, "99999999M")]
    [InlineData((5_999_999_940_000 * TimeSpan.TicksPerMillisecond) + 1, "1666667H")]
    public void Timeout_is_written_in_the_finest_unit_that_fits_rounded_up(long ticks, string text)
    {
        Assert.Equal(text, GrpcTimeout.Format(new TimeSpan(ticks)));
        Assert.True(GrpcTimeout.TryParse(text, out var read));
        Assert.True(read.Ticks >= Math.Max(1, ticks), $"{read} is shorter than what was meant");
    }

    [Theory]
    [InlineData("1H", TimeSpan.TicksPerHour)]
    [InlineData("99999999H", 99_999_999 * TimeSpan.TicksPerHour)]
    [InlineData("2M", 2 * TimeSpan.TicksPerMinute)]
    [InlineData("3S", 3 * TimeSpan.TicksPerSecond)]
    [InlineData("4m", 4 * TimeSpan.TicksPerMillisecond)]
    [InlineData("5u", 5 * TimeSpan.TicksPerMicrosecond)]
    [InlineData("1n", 1L)]
    [InlineData("250n", 3L)]
    [InlineData("0n", 0L)]
    [InlineData("00000001S", TimeSpan.TicksPerSecond)]
    public void Timeout_is_read_in_every_unit(string text, long ticks)
    {
        Assert.True(GrpcTimeout.TryParse(text, out var read));
        Assert.Equal(ticks, read.Ticks);
    }

    [Fact]
    public void Timeout_of_random_text_never_throws()
    {
        var random = new Random(20260102);
        for (var round = 0; round < 20_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => "0123456789HMSmun -+.x\0é"[random.Next(23)]));
            var valid = text.Length is >= 2 and <= 9 && text[..^1].All(char.IsAsciiDigit) && "HMSmun".Contains(text[^1], StringComparison.Ordinal);
            Assert.Equal(valid, GrpcTimeout.TryParse(text, out _));
        }
    }

    [Fact]
    public async Task Message_is_read_whole_from_a_stream_that_gives_one_byte_at_a_time()
    {
        byte[] payload = [.. Enumerable.Range(0, 200_000).Select(i => (byte)i)];
        var rules = new MessageRules("request", payload.Length, null, StatusCode.Unimplemented);
        var read = await MessageReader.ReadSingleAsync(new Trickle(VpcCni.Tests.GrpcHarness.RawCall.Frame(payload)), rules, CancellationToken.None);
        Assert.Equal(payload, read);
    }

    [Fact]
    public void Marshaller_made_of_either_pair_offers_both()
    {
        var simple = Marshallers.StringMarshaller;
        var contextual = Marshallers.Create(
            (string text, SerializationContext context) =>
            {
                context.SetPayloadLength(text.Length);
                context.GetBufferWriter().Write(System.Text.Encoding.ASCII.GetBytes(text));
                context.Complete();
            },
            (DeserializationContext context) => System.Text.Encoding.ASCII.GetString(context.PayloadAsReadOnlySequence().ToArray()));
        foreach (var marshaller in new[] { simple, contextual })
        {
            Assert.Equal("abc"u8.ToArray(), marshaller.Serializer("abc"));
            Assert.Equal("abc", marshaller.Deserializer("abc"u8.ToArray()));
            var writer = new MessageWriter(maxMessageSize: 3);
            marshaller.ContextualSerializer("abc", writer);
            Assert.Equal([0, 0, 0, 0, 3, (byte)'a', (byte)'b', (byte)'c'], writer.Frame.ToArray());
            Assert.Equal(StatusCode.ResourceExhausted, Assert.Throws<RpcException>(() => marshaller.ContextualSerializer("abcd", new MessageWriter(3))).StatusCode);
        }
    }

    [Fact]
    public void Serializer_that_breaks_its_promise_is_caught()
    {
        var writer = new MessageWriter(maxMessageSize: null);
        Assert.Throws<InvalidOperationException>(() => writer.Frame);
        writer.SetPayloadLength(2);
        writer.GetSpan(1)[0] = 1;
        writer.Advance(1);
        Assert.Throws<InvalidOperationException>(writer.Complete);
    }

    private sealed class Trickle(byte[] content) : MemoryStream(content)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
    }
}
