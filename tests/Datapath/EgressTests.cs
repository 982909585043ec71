// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Datapath.Tests;

public sealed class EgressTests
{
    [Theory]
    [InlineData(0, 0, 254)]
    [InlineData(1, 0, 2)]
    [InlineData(1, 1, 10101)]
    [InlineData(3, 2, 10203)]
    [InlineData(0, 1, 10100)]
    public void Table_of_a_slot_is_that_of_the_AWS_plugin(int device, int card, int table)
    {
        Assert.Equal(table, RouteTables.Of(new Slot(card, device)));
        Assert.Equal(Egress.ByTable(table), Egress.OfSlot(new Slot(card, device)));
    }

    [Fact]
    public void Main_table_is_the_egress_of_the_primary_interface()
    {
        Assert.Same(Egress.Main, Egress.ByTable(254));
        Assert.Same(Egress.Main, Egress.OfSlot(Slot.Primary));
    }

    [Fact]
    public void Table_of_a_VLAN_is_its_id_and_a_hundred() => Assert.Equal(107, new Egress.Vlan(7).Number);
}
