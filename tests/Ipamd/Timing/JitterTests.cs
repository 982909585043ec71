// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;
using Xunit;

namespace VpcCni.Ipamd.Tests.Timing;

public sealed class JitterTests
{
    [Theory]
    [InlineData(0, 54)]
    [InlineData(0.5, 60)]
    [InlineData(1, 66)]
    public void Around_is_ten_per_cent_shorter_to_ten_per_cent_longer(double draw, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), Jitter.Around(TimeSpan.FromMinutes(1), new FixedRandom(draw)));

    [Theory]
    [InlineData(0, 10)]
    [InlineData(0.25, 15)]
    [InlineData(1, 30)]
    public void Between_is_spread_evenly_over_the_bounds(double draw, int seconds) =>
        Assert.Equal(
            TimeSpan.FromSeconds(seconds),
            Jitter.Between(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(30), new FixedRandom(draw))
        );

    [Fact]
    public void Equal_bounds_leave_nothing_to_chance() =>
        Assert.Equal(TimeSpan.FromSeconds(5), Jitter.Between(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5), new Random(1)));
}
