// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Datapath;

/// <summary>How traffic of a pod interface leaves the node.</summary>
public abstract record Egress
{
    private Egress() { }

    /// <summary>By the main table: the primary interface has the pod's address.</summary>
    public static readonly Egress Main = new MainTable();

    /// <summary>The egress that a table's number means in the contract of daemon and plugin.</summary>
    /// <param name="table">At least 1.</param>
    public static Egress ByTable(int table) => table == RouteTables.Main ? Main : new Table(table);

    /// <summary>The egress of the network interface in a slot.</summary>
    public static Egress OfSlot(Slot slot) => ByTable(RouteTables.Of(slot));

    /// <inheritdoc cref="Main"/>
    public sealed record MainTable : Egress;

    /// <summary>By the table of a secondary interface, which has the pod's address.</summary>
    /// <param name="Number">The table.</param>
    public sealed record Table(int Number) : Egress;

    /// <summary>By a branch interface: a VLAN on the node's trunk interface, with a table of its own.</summary>
    /// <param name="Id">1 to 4094.</param>
    public sealed record Vlan(int Id) : Egress
    {
        /// <summary>The table of the VLAN.</summary>
        public int Number => RouteTables.OfVlan(Id);
    }
}
