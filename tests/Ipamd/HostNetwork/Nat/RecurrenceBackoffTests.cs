// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork.Nat;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork.Nat;

public sealed class RecurrenceBackoffTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Each removal is reported by the kernel as well, and leads to a look that finds nothing.</summary>
    [Theory]
    [InlineData(5)]
    [InlineData(30)]
    [InlineData(60)]
    public void While_somebody_puts_the_rules_back_they_are_looked_for_ever_less_often_and_it_is_said_once(int every)
    {
        var pacing = new RecurrenceBackoff();
        var (last, isThere, said, looks) = (Start, false, 0, 0);
        for (var second = 0; second < 24 * 3600; second++)
        {
            var now = Start.AddSeconds(second);
            isThere |= second % every == 0;
            if (now < last + pacing.Pause)
                continue;
            (last, looks) = (now, looks + 1);
            if (isThere && pacing.Removed(now))
                said++;
            if (!isThere)
                pacing.Clean(now);
            isThere = false;
        }

        Assert.Equal((1, RecurrenceBackoff.Longest), (said, pacing.Pause));
        Assert.InRange(looks, 90, 110);
    }

    [Fact]
    public void Once_they_stay_away_the_next_are_removed_within_seconds_again()
    {
        var pacing = new RecurrenceBackoff();
        Assert.True(pacing.Removed(Start));
        Assert.False(pacing.Removed(Start.AddSeconds(10)));
        pacing.Clean(Start.AddMinutes(16));
        Assert.Equal(TimeSpan.FromSeconds(20), pacing.Pause);
        pacing.Clean(Start.AddMinutes(17));
        Assert.Equal(RecurrenceBackoff.Shortest, pacing.Pause);
        Assert.True(pacing.Removed(Start.AddHours(1)));
    }
}
