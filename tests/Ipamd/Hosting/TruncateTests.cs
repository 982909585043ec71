// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Logging;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting;

public sealed class TruncateTests
{
    [Fact]
    public void Text_that_fits_is_kept() => Assert.Equal("Error: no", new ProgramOutcome(1, "", "\n Error: no\n").Message);

    [Fact]
    public void Long_program_output_keeps_its_beginning()
    {
        var message = new ProgramOutcome(1, "", "Error: no\n" + new string('x', 16_000)).Message;
        Assert.Equal(Truncate.Longest, message.Length);
        Assert.StartsWith("Error: no x", message, StringComparison.Ordinal);
        Assert.EndsWith(" ...", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a\r\n\tb", "a b")]
    [InlineData("a\u001b[31mred\u009b", "a [31mred ")]
    [InlineData("eni-1\u202egnp.exe\u2066\u200f", "eni-1\ufffdgnp.exe\ufffd\ufffd")]
    [InlineData("größer \U0001f600", "größer \U0001f600")]
    [InlineData("  ", "")]
    [InlineData(null, "")]
    public void Control_and_direction_characters_are_replaced(string? text, string expected) => Assert.Equal(expected, Truncate.Of(text));

    [Fact]
    public void Lone_surrogate_is_replaced() => Assert.Equal("half \ufffd", Truncate.Of("half \ud83d"));

    [Fact]
    public void Surrogate_pair_is_not_split() =>
        Assert.DoesNotContain('\ufffd', Truncate.Of(string.Concat(Enumerable.Repeat("\U0001f600", 400)), Truncate.Longest + 1));

    [Fact]
    public void Logged_exception_is_bounded_with_all_its_causes()
    {
        Exception cause = new IOException(new string('x', 1_000_000));
        for (var depth = 0; depth < 50; depth++)
            cause = new IOException(new string('y', 100_000) + "\u202e", cause);
        Exception[] edges =
        [
            new CloudException(
                CloudErrorKind.Unknown,
                new string('o', 100_000),
                new string('c', 200_000),
                new string('m', 2_000_000) + "\n",
                new string('r', 100_000),
                cause
            ),
            new HostNetworkException(new string('m', 2_000_000), cause),
            new ClusterException(ClusterErrorKind.Refused, new string('o', 100_000), new string('m', 2_000_000), null, cause),
            new CheckpointFormatException(new string('m', 2_000_000), cause),
        ];
        foreach (var edge in edges)
        {
            Assert.InRange(edge.Message.Length, 1, 2_000);
            Assert.InRange(edge.ToString().Length, 1, 4_000);
            Assert.DoesNotContain('\u202e', edge.ToString());
        }
    }
}
