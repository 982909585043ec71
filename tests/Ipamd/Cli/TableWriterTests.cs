// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cli;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class TableWriterTests
{
    [Fact]
    public void Text_is_wrapped_beside_its_label()
    {
        var screen = new TableWriter();
        screen.WriteLabeled("label", 8, string.Join(' ', Enumerable.Repeat("word", 20)));
        Assert.Equal(
            "label   word word word word word word word word word word word word word word\n        word word word word word word\n",
            screen.ToString()
        );
    }

    [Fact]
    public void Word_longer_than_a_line_is_split() => Assert.Equal(["abcdef", "gh ij"], TableWriter.Wrap("abcdefgh ij", 6));

    [Fact]
    public void Long_label_has_its_own_line()
    {
        var screen = new TableWriter();
        screen.WriteLabeled("a long label", 6, "words");
        Assert.Equal("a long label\n      words\n", screen.ToString());
    }

    [Fact]
    public void Control_characters_are_escaped()
    {
        var screen = new TableWriter();
        screen.WriteText("a\nb\u001b[31mc");
        Assert.Equal("a b [31mc\n", screen.ToString());
    }
}
