// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork.Nat;
using Xunit;

namespace VpcCni.Ipamd.Tests;

public sealed class ExcerptTests
{
    [Fact]
    public void A_text_that_fits_is_kept() => Assert.Equal("Error: no", new ProgramOutcome(1, "", "\n Error: no\n").Message);

    [Fact]
    public void Of_a_program_that_says_too_much_the_beginning_is_kept()
    {
        var message = new ProgramOutcome(1, "", "Error: no\n" + new string('x', 16_000)).Message;
        Assert.Equal(Excerpt.Longest, message.Length);
        Assert.StartsWith("Error: no\nx", message, StringComparison.Ordinal);
        Assert.EndsWith(" ...", message, StringComparison.Ordinal);
    }
}
