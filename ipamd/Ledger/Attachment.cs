// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// Identifies an attachment: one interface of one container on one network. A runtime must not add the same container id and interface name
/// twice without a DEL in between (CNI specification 1.1.0, section 2, "parameters").
/// </summary>
internal readonly record struct AttachmentKey(string NetworkName, string ContainerId, string InterfaceName) : ILogFields
{
    public void AddTo(LogLine line, string name)
    {
        line.Add(FieldNames.Network, NetworkName);
        line.Add(FieldNames.ContainerId, ContainerId);
        line.Add(FieldNames.InterfaceName, InterfaceName);
    }

    public override string ToString() => $"{NetworkName}/{ContainerId}/{InterfaceName}";
}

/// <summary>The pod of an attachment. Both parts are empty when the runtime did not pass them (podman has no namespace).</summary>
internal readonly record struct PodReference(string Namespace, string Name) : ILogFields
{
    public void AddTo(LogLine line, string name)
    {
        if (!string.IsNullOrEmpty(Name))
            line.Add(name, ToString());
    }

    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>A network interface and its slot on the node.</summary>
internal readonly record struct InterfaceSlot(NetworkInterfaceId Id, Slot Slot)
{
    public int RouteTable => RouteTables.Of(Slot);
    public Egress Egress => Egress.OfSlot(Slot);
}

/// <summary>
/// An interface of a pod. Its traffic leaves the node by one network interface, so that one carries all of its addresses.
/// </summary>
/// <param name="Name">Its name in the pod.</param>
/// <param name="Addresses">One or two: at most one of each family, IPv4 first.</param>
/// <param name="Slot">
/// The network interface that carries them; null until an observation of the cloud shows it (after a restart with another daemon's file),
/// and when one of them is on no interface.
/// </param>
internal sealed record AttachmentInterface(string Name, IReadOnlyList<IPAddress> Addresses, InterfaceSlot? Slot)
{
    public IPAddress? Find(AddressFamily family) => Addresses.FirstOrDefault(address => address.AddressFamily == family);
}

/// <summary>One address of an attachment and the network interface that carries it, <see cref="AttachmentInterface.Slot"/>.</summary>
internal readonly record struct AttachmentAddress(IPAddress Address, InterfaceSlot? Slot);

/// <summary>The interfaces and addresses of a container.</summary>
internal sealed record Attachment
{
    private readonly IReadOnlyList<AttachmentInterface> _interfaces = [];

    public required AttachmentKey Key { get; init; }
    public required PodReference Pod { get; init; }

    /// <summary>At least one; the first has the name of the key.</summary>
    public required IReadOnlyList<AttachmentInterface> Interfaces
    {
        get => _interfaces;
        init
        {
            _interfaces = value;
            Addresses = [.. value.SelectMany(item => item.Addresses.Select(address => new AttachmentAddress(address, item.Slot)))];
        }
    }

    /// <summary>The addresses of all interfaces, in order; at least one.</summary>
    public IReadOnlyList<AttachmentAddress> Addresses { get; private init; } = [];

    /// <summary>Path of the pod's network namespace as the runtime passed it; empty in entries of another daemon.</summary>
    public string NetnsPath { get; init; } = "";

    /// <summary>When the addresses were assigned, or their ADD was last repeated.</summary>
    public required DateTimeOffset AssignedAt { get; init; }

    /// <summary>
    /// Since when the kernel shows no use of the attachment; null while it is in use or unchecked. Recorded in the checkpoint, so that a
    /// restart between two checks does not start over.
    /// </summary>
    public DateTimeOffset? UnusedSince { get; init; }

    /// <summary>
    /// Whether the attachment was created for an address that the kernel shows in use without a record (after a lost or corrupt
    /// checkpoint), or that the host uses. Its key is invented, so it is released when the kernel no longer shows the address.
    /// </summary>
    public bool IsRecovered => Key.NetworkName == RecoveredNetwork || IsHostOwned;

    /// <summary>Whether the address is configured on a link of the host, which the key names. No pod has it.</summary>
    public bool IsHostOwned => Key.NetworkName == HostNetwork;

    /// <summary>Network name of invented keys. Not a valid CNI network name, so no runtime can request it.</summary>
    public const string RecoveredNetwork = "_recovered";

    /// <summary>As <see cref="RecoveredNetwork"/>, for addresses of the host itself.</summary>
    public const string HostNetwork = "_host";
}

/// <summary>State of one address of a block.</summary>
internal enum AddressState
{
    /// <summary>Can be assigned now.</summary>
    Free,

    /// <summary>Assigned to an attachment.</summary>
    Assigned,

    /// <summary>
    /// Released, and not assignable before the cooldown ends: connections of the previous pod may still be in conntrack tables elsewhere.
    /// </summary>
    Cooling,
}
