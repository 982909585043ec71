// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork.Nat;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork.Nat;

public sealed class RecurrenceBackoffTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The kernel reports each removal, too, which leads to a search without result.</summary>
    [Theory]
    [InlineData(5)]
    [InlineData(30)]
    [InlineData(60)]
    public void Searches_become_rare_while_the_rules_come_back(int every)
    {
        var pacing = new RecurrenceBackoff();
        var (last, isThere, reported, searches) = (Start, false, 0, 0);
        for (var second = 0; second < 24 * 3600; second++)
        {
            var now = Start.AddSeconds(second);
            isThere |= second % every == 0;
            if (now < last + pacing.Pause)
                continue;
            (last, searches) = (now, searches + 1);
            if (isThere && pacing.Removed(now))
                reported++;
            if (!isThere)
                pacing.Clean(now);
            isThere = false;
        }

        Assert.Equal((1, RecurrenceBackoff.Pauses.Longest), (reported, pacing.Pause));
        Assert.InRange(searches, 90, 110);
    }

    [Fact]
    public void Rules_are_removed_within_seconds_again_after_a_pause()
    {
        var pacing = new RecurrenceBackoff();
        Assert.True(pacing.Removed(Start));
        Assert.False(pacing.Removed(Start.AddSeconds(10)));
        pacing.Clean(Start.AddMinutes(16));
        Assert.Equal(TimeSpan.FromSeconds(20), pacing.Pause);
        pacing.Clean(Start.AddMinutes(17));
        Assert.Equal(RecurrenceBackoff.Pauses.First, pacing.Pause);
        Assert.True(pacing.Removed(Start.AddHours(1)));
    }
}
