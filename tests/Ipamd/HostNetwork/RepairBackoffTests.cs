// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

public sealed class RepairBackoffTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Repairs_that_are_an_exception_are_made_at_once_however_often()
    {
        var pacing = new RepairBackoff();
        for (var minute = 0; minute < 100; minute++)
            Assert.False(pacing.Repaired(Start.AddMinutes(minute)));
        Assert.Equal(RepairBackoff.Debounce, pacing.Pause);
        Assert.False(pacing.IsDispute);
    }

    [Fact]
    public void Against_a_program_that_fights_back_they_become_rare_and_it_is_said_once()
    {
        var pacing = new RepairBackoff();
        var (now, said, looks) = (Start, 0, 0);
        for (; now < Start.AddHours(1); looks++)
        {
            if (pacing.Repaired(now))
                said++;
            now += pacing.Pause;
        }

        Assert.Equal((1, true, RepairBackoff.LongestPause), (said, pacing.IsDispute, pacing.Pause));
        Assert.InRange(looks, 100, 140);
    }

    [Fact]
    public void After_a_while_of_peace_repairs_are_made_at_once_again()
    {
        var pacing = new RepairBackoff();
        for (var time = 0; time < 20; time++)
            pacing.Repaired(Start.AddSeconds(time));
        pacing.Right(Start.AddSeconds(20));
        Assert.True(pacing.IsDispute);
        pacing.Right(Start.AddSeconds(20) + (3 * RepairBackoff.LongestPause));
        Assert.Equal((false, RepairBackoff.Debounce), (pacing.IsDispute, pacing.Pause));
    }
}
