// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Netlink.Tests;

public sealed class MacAddressTests
{
    [Theory]
    [InlineData("02:00:5e:10:00:01", "02:00:5e:10:00:01")]
    [InlineData("02-00-5E-10-00-01", "02:00:5e:10:00:01")]
    [InlineData("ff:FF:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff")]
    public void Parse_accepts_either_separator_and_case(string text, string normal) =>
        Assert.Equal(normal, MacAddress.Parse(text).ToString());

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("02:00:5e:10:00")]
    [InlineData("02:00:5e:10:00:01:02")]
    [InlineData("02:00:5e:10:00:1")]
    [InlineData("02:00:5e:10-00:01")]
    [InlineData("02.00.5e.10.00.01")]
    [InlineData("0g:00:5e:10:00:01")]
    [InlineData("02:00:5e:10:00: 1")]
    [InlineData("+2:00:5e:10:00:01")]
    public void Parse_rejects_anything_else(string? text)
    {
        Assert.False(MacAddress.TryParse(text, out var address));
        Assert.Equal(default, address);
        if (text is not null)
            Assert.Contains(text, Assert.Throws<FormatException>(() => MacAddress.Parse(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_addresses_are_unicast_locally_administered_and_reproducible()
    {
        var first = new Random(1);
        var second = new Random(1);
        for (int run = 0; run < 200; run++)
        {
            var address = MacAddress.Random(first);
            Assert.True(address is { IsLocallyAdministered: true, IsMulticast: false, IsZero: false }, address.ToString());
            Assert.Equal(address, MacAddress.Random(second));
        }
    }

    [Fact]
    public void Equality_is_by_octets()
    {
        var address = MacAddress.Parse("02:00:00:00:00:01");
        Assert.True(address == new MacAddress([2, 0, 0, 0, 0, 1]));
        Assert.True(address != MacAddress.Parse("02:00:00:00:00:02"));
        Assert.Equal(address.GetHashCode(), new MacAddress([2, 0, 0, 0, 0, 1]).GetHashCode());
        Assert.Equal([2, 0, 0, 0, 0, 1], address.ToByteArray());
        Assert.Throws<ArgumentException>(() => new MacAddress([1, 2, 3]));
    }
}
