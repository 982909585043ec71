// SPDX-License-Identifier: Apache-2.0
using System.Net;
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

/// <summary>An interface and its slot on the node, which determines the route table of the interface's addresses.</summary>
/// <param name="Id">The interface.</param>
/// <param name="DeviceIndex">Index on the network card; 0 on card 0 is the primary interface.</param>
/// <param name="NetworkCard">Network card; 0 on all but the largest instance types.</param>
internal readonly record struct InterfaceSlot(NetworkInterfaceId Id, int DeviceIndex, int NetworkCard);

/// <summary>One address of an attachment.</summary>
/// <param name="Address">IPv4 or IPv6.</param>
/// <param name="Slot">
/// The interface that carries it; null until an observation of the cloud shows it (after a restart with another daemon's file).
/// </param>
internal readonly record struct AttachmentAddress(IPAddress Address, InterfaceSlot? Slot);

/// <summary>The addresses of a container's interface.</summary>
internal sealed record Attachment
{
    public required AttachmentKey Key { get; init; }
    public required PodReference Pod { get; init; }

    /// <summary>At least one address, in the order of the requested families.</summary>
    public required IReadOnlyList<AttachmentAddress> Addresses { get; init; }

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
