// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

public sealed class RepairBackoffTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Repairs_that_last_are_made_at_once_however_many()
    {
        var backoff = new RepairBackoff();
        for (var minute = 0; minute < 100; minute++)
        {
            Assert.False(backoff.Repaired(Start.AddMinutes(minute)));
            Assert.False(backoff.Right(Start.AddMinutes(minute).AddSeconds(1)));
        }

        Assert.Equal(RepairBackoff.Debounce, backoff.Pause);
        Assert.False(backoff.IsDispute);
    }

    [Fact]
    public void Repairs_that_are_undone_become_rare_and_are_reported_once()
    {
        var backoff = new RepairBackoff();
        var (now, reported, repairs) = (Start, 0, 0);
        for (; now < Start.AddHours(1); repairs++)
        {
            if (backoff.Repaired(now))
                reported++;
            now += backoff.Pause;
        }

        Assert.Equal((1, true, RepairBackoff.Pauses.Longest), (reported, backoff.IsDispute, backoff.Pause));
        Assert.InRange(repairs, 100, 140);
    }

    [Fact]
    public void Repairs_are_made_at_once_again_after_the_dispute()
    {
        var backoff = new RepairBackoff();
        for (var time = 0; time < 20; time++)
            backoff.Repaired(Start.AddSeconds(time));
        backoff.Right(Start.AddSeconds(20));
        Assert.True(backoff.IsDispute);
        backoff.Right(Start.AddSeconds(20) + (3 * RepairBackoff.Pauses.Longest));
        Assert.Equal((false, RepairBackoff.Debounce), (backoff.IsDispute, backoff.Pause));
    }

    [Fact]
    public void Failed_syncs_between_repairs_do_not_end_the_dispute()
    {
        var backoff = new RepairBackoff();
        for (var time = 0; time <= RepairBackoff.Patience; time++)
            backoff.Repaired(Start + (time * 2 * RepairBackoff.CalmAfter));
        Assert.True(backoff.IsDispute);
    }
}
