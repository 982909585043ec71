// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Datapath;

/// <summary>Where a network interface is attached to the node. Determines the route table of its addresses.</summary>
/// <param name="NetworkCard">Network card; 0 on all but the largest instance types.</param>
/// <param name="DeviceIndex">Index on the card.</param>
public readonly record struct Slot(int NetworkCard, int DeviceIndex) : IComparable<Slot>
{
    /// <summary>The slot of the primary interface.</summary>
    public static readonly Slot Primary = new(0, 0);

    public bool IsPrimary => this == Primary;

    /// <summary>In order of card, then index.</summary>
    public int CompareTo(Slot other) =>
        NetworkCard != other.NetworkCard ? NetworkCard.CompareTo(other.NetworkCard) : DeviceIndex.CompareTo(other.DeviceIndex);

    public static bool operator <(Slot left, Slot right) => left.CompareTo(right) < 0;

    public static bool operator <=(Slot left, Slot right) => left.CompareTo(right) <= 0;

    public static bool operator >(Slot left, Slot right) => left.CompareTo(right) > 0;

    public static bool operator >=(Slot left, Slot right) => left.CompareTo(right) >= 0;

    /// <summary>For people: <c>device 1</c>, on other cards than the first <c>device 1 of card 2</c>.</summary>
    public override string ToString() => NetworkCard == 0 ? $"device {DeviceIndex}" : $"device {DeviceIndex} of card {NetworkCard}";
}
