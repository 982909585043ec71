// SPDX-License-Identifier: Apache-2.0
using FsCheck;
using FsCheck.Fluent;
using VpcCni.Ipamd.Timing;
using Xunit;

namespace VpcCni.Ipamd.Tests.Timing;

public sealed class BackoffTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 200)]
    [InlineData(2, 400)]
    [InlineData(3, 800)]
    [InlineData(4, 1600)]
    [InlineData(5, 2000)]
    [InlineData(6, 2000)]
    [InlineData(1000, 2000)]
    [InlineData(2000, 2000)]
    [InlineData(int.MaxValue, 2000)]
    public void Ceiling_doubles_up_to_the_longest_pause(int failures, int milliseconds)
    {
        var backoff = new Backoff(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(2), randomShare: 1);
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), backoff.Ceiling(failures));
    }

    /// <summary>Of the ceiling of 400 ms, for the least, the middle and the greatest draw.</summary>
    [Theory]
    [InlineData(0, 400, 400, 400)]
    [InlineData(0.5, 200, 300, 400)]
    [InlineData(1, 0, 200, 400)]
    public void Random_share_shortens_the_pause(double share, int least, int middle, int greatest)
    {
        var backoff = new Backoff(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(2), share);
        Assert.Equal(
            [least, middle, greatest],
            new[] { 0, 0.5, 1 }.Select(draw => (int)backoff.Pause(2, new FixedRandom(draw)).TotalMilliseconds)
        );
    }

    [Fact]
    public void Pauses_are_within_their_bounds_and_their_ceiling_never_shrinks() =>
        Prop.ForAll(
                Backoffs().ToArbitrary(),
                Gen.Choose(0, 1100).ToArbitrary(),
                Gen.Choose(0, int.MaxValue).ToArbitrary(),
                (backoff, failures, seed) =>
                {
                    var (ceiling, next) = (backoff.Ceiling(failures), backoff.Ceiling(failures + 1));
                    var pause = backoff.Pause(failures, new Random(seed));
                    // A tick of rounding.
                    var least = (ceiling * (1 - backoff.RandomShare)) - TimeSpan.FromTicks(1);
                    Assert.InRange(pause, least, ceiling);
                    Assert.InRange(ceiling, failures == 0 ? TimeSpan.Zero : backoff.First, backoff.Longest);
                    Assert.True(next >= ceiling && (failures == 0 || next <= ceiling * 2));
                }
            )
            .QuickCheckThrowOnFailure();

    [Fact]
    public void Pauses_of_two_nodes_differ()
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), randomShare: 0.5);
        var random = new Random(7);
        Assert.True(Enumerable.Range(0, 50).Select(_ => backoff.Pause(3, random)).Distinct().Count() > 10);
    }

    [Theory]
    [InlineData(0, 1, 0)]
    [InlineData(-1, 1, 0)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 2, -0.1)]
    [InlineData(1, 2, 1.1)]
    [InlineData(1, 2, double.NaN)]
    public void Bounds_that_contradict_each_other_are_rejected(int first, int longest, double share) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new Backoff(TimeSpan.FromSeconds(first), TimeSpan.FromSeconds(longest), share));

    [Fact]
    public void Negative_number_of_failures_is_rejected() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)).Ceiling(-1));

    /// <summary>Any pauses up to a century, with shares from none to all.</summary>
    private static Gen<Backoff> Backoffs() =>
        from first in Gen.Choose(1, int.MaxValue)
        from factor in Gen.Choose(1, 1_000_000)
        from share in Gen.Choose(0, 100)
        select new Backoff(TimeSpan.FromTicks(first), TimeSpan.FromTicks(first) * factor, share / 100.0);
}
