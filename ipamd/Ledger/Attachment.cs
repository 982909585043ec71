// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// The key of everything: one interface of one container on one network (CNI specification 1.1.0, section 2, "parameters": the runtime may
/// not add the same pair of container id and interface name twice without a DEL in between).
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

/// <summary>
/// The pod that an attachment belongs to. Both parts are empty where the runtime did not say (podman gives no namespace).
/// </summary>
internal readonly record struct PodReference(string Namespace, string Name) : ILogFields
{
    public void AddTo(LogLine line, string name)
    {
        if (!string.IsNullOrEmpty(Name))
            line.Add(name, ToString());
    }

    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>An interface's place on the node. It determines the route table of the interface's addresses.</summary>
/// <param name="Id">The interface.</param>
/// <param name="DeviceIndex">0 on network card 0 is the primary interface.</param>
/// <param name="NetworkCard">0 on all but the largest instance types.</param>
internal readonly record struct InterfaceSlot(NetworkInterfaceId Id, int DeviceIndex, int NetworkCard);

/// <summary>One address of an attachment.</summary>
/// <param name="Address">IPv4 or IPv6.</param>
/// <param name="Place">
/// The interface that carries it; null until an observation of the cloud shows it (after a restart, from a file of another daemon).
/// </param>
internal readonly record struct HeldAddress(IPAddress Address, InterfaceSlot? Place);

/// <summary>The addresses that a container holds, and where the network carries them.</summary>
internal sealed record Attachment
{
    public required AttachmentKey Key { get; init; }
    public required PodReference Pod { get; init; }

    /// <summary>At least one; in the order in which the families were asked for.</summary>
    public required IReadOnlyList<HeldAddress> Addresses { get; init; }

    /// <summary>Path of the pod's network namespace as the runtime gave it; empty in entries that another daemon wrote.</summary>
    public string NetnsPath { get; init; } = "";

    /// <summary>When the address was handed out; when its ADD was last repeated, which hands it out anew.</summary>
    public required DateTimeOffset AssignedAt { get; init; }

    /// <summary>
    /// Since when nothing of it is left in the kernel, as far as looks showed; null while something is, or nobody has looked. Durable, so
    /// that a restart between two looks does not start over.
    /// </summary>
    public DateTimeOffset? UnusedSince { get; init; }

    /// <summary>
    /// True for an address that the kernel shows in use by a pod of which no record survived (a lost or corrupt checkpoint), or by the
    /// host. Nobody knows its key, so it is given back when the kernel no longer shows it.
    /// </summary>
    public bool IsRecovered => Key.NetworkName == RecoveredNetwork || IsHostOwned;

    /// <summary>The address is configured on a link of the host, which the key names: no pod has it.</summary>
    public bool IsHostOwned => Key.NetworkName == HostNetwork;

    /// <summary>Network name of the keys that recovery invents. Not a valid CNI network name, so no runtime can ask for it.</summary>
    public const string RecoveredNetwork = "_recovered";

    /// <summary>As <see cref="RecoveredNetwork"/>, for addresses of the host itself.</summary>
    public const string HostNetwork = "_host";
}

/// <summary>State of one address of a block.</summary>
internal enum AddressState
{
    /// <summary>Usable now.</summary>
    Free,

    /// <summary>Held by an attachment.</summary>
    Assigned,

    /// <summary>
    /// Given back, not usable before the cooldown ends: connections of the previous holder may still be alive in conntrack tables
    /// elsewhere.
    /// </summary>
    Cooling,
}
