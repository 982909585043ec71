// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>The kernel's view, unprocessed.</summary>
internal sealed record KernelFacts(IReadOnlyList<LinkInfo> Links, IReadOnlyList<RouteInfo> Routes, IReadOnlyList<RuleInfo> Rules)
{
    /// <summary>IPv4 settings, including conf/all.</summary>
    public IReadOnlyList<LinkConfiguration> Settings { get; init; } = [];
}

/// <summary>The view from inside a network namespace.</summary>
/// <param name="Path">Path of the namespace.</param>
/// <param name="Addresses">Addresses with their links' names, without those of the loopback link.</param>
/// <param name="Gateways">
/// MAC addresses of its permanent neighbours. Both plugins add the MAC address of the pod's link on the host, which is random, so that it
/// proves that the pod is of this node, and not of another node on the same machine.
/// </param>
internal sealed record SandboxFacts(
    string Path,
    IReadOnlyList<(string Link, IPAddress Address)> Addresses,
    IReadOnlyList<MacAddress> Gateways
)
{
    /// <summary>
    /// The host's number of the namespace, if it was read by number and not from inside; <see cref="Gateways"/> is then empty. Null: read
    /// from inside.
    /// </summary>
    public int? NamespaceId { get; init; }
}

/// <summary>The runtime's view: its namespaces.</summary>
/// <param name="Sandboxes">The namespaces, each once, even if several paths lead to it.</param>
/// <param name="Folders">The folders that were read; a namespace missing there does not exist.</param>
internal sealed record RuntimeFacts(IReadOnlyList<SandboxFacts> Sandboxes, IReadOnlySet<string> Folders);

/// <summary>Port to the node's own state; implemented by the kernel and in tests.</summary>
internal interface INodeView
{
    /// <exception cref="HostNetworkException">The kernel did not answer.</exception>
    KernelFacts Kernel();

    /// <param name="paths">Paths of the attachments' namespaces, as given by the runtime.</param>
    /// <param name="cancellationToken">Cancels between two namespaces.</param>
    /// <exception cref="HostNetworkException">The namespaces cannot be read.</exception>
    RuntimeFacts Runtime(IReadOnlyList<string> paths, CancellationToken cancellationToken);
}

/// <summary>
/// All views at about the same moment. The ledger is read first, so that a pod that starts or stops meanwhile differs in one pass and not
/// in both.
/// </summary>
internal sealed record AuditSnapshot
{
    public required DateTimeOffset At { get; init; }
    public required LedgerView Ledger { get; init; }
    public required IReadOnlyList<Attachment> Attachments { get; init; }
    public required IReadOnlySet<IPAddress> Cooling { get; init; }

    /// <summary>The wired interfaces.</summary>
    public required IReadOnlyList<InterfaceWiring> Wirings { get; init; }

    /// <summary>Prefix of the names of pods' links.</summary>
    public required string VethPrefix { get; init; }

    /// <summary>The kernel's view; null if the kernel did not answer.</summary>
    public KernelFacts? Kernel { get; init; }

    /// <summary>The runtime's view; null if namespaces cannot be read.</summary>
    public RuntimeFacts? Runtime { get; init; }

    /// <summary>The cloud's view; null if it was not requested, or the cloud did not answer.</summary>
    public IReadOnlyList<CloudInterface>? Cloud { get; init; }

    /// <summary>Interfaces that are being changed or were changed recently; the cloud's description of them may lag.</summary>
    public IReadOnlySet<NetworkInterfaceId> RecentlyChanged { get; init; } = new HashSet<NetworkInterfaceId>();
}
