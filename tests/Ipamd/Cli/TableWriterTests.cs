// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cli;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class TableWriterTests
{
    [Fact]
    public void Words_are_wrapped_beside_their_label()
    {
        var screen = new TableWriter();
        screen.Beside("label", 8, string.Join(' ', Enumerable.Repeat("word", 20)));
        Assert.Equal(
            "label   word word word word word word word word word word word word word word\n        word word word word word word\n",
            screen.ToString()
        );
    }

    [Fact]
    public void A_word_that_is_longer_than_a_line_is_cut() => Assert.Equal(["abcdef", "gh ij"], TableWriter.Wrap("abcdefgh ij", 6));

    [Fact]
    public void A_label_that_is_too_long_has_a_line_of_its_own()
    {
        var screen = new TableWriter();
        screen.Beside("a long label", 6, "words");
        Assert.Equal("a long label\n      words\n", screen.ToString());
    }

    [Fact]
    public void Control_characters_of_messages_do_not_reach_the_terminal()
    {
        var screen = new TableWriter();
        screen.Line("a\nb\u001b[31mc");
        Assert.Equal("a b [31mc\n", screen.ToString());
    }
}
