// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>The kernel's side, raw: nothing of it has been compared with anything.</summary>
internal sealed record KernelFacts(IReadOnlyList<LinkInfo> Links, IReadOnlyList<RouteInfo> Routes, IReadOnlyList<RuleInfo> Rules)
{
    /// <summary>Settings of IPv4, conf/all among them.</summary>
    public IReadOnlyList<LinkConfiguration> Settings { get; init; } = [];
}

/// <summary>A network namespace as it is from within.</summary>
/// <param name="Path">A path that leads to it.</param>
/// <param name="Addresses">Of its links, with their names; without those of the loopback link.</param>
/// <param name="Gateways">
/// MAC addresses of its permanent neighbours. Both plugins enter the pod's link of the host there, which has a random one: the proof that
/// it is a pod of this node, and not of another that runs on the same machine.
/// </param>
internal sealed record SandboxFacts(
    string Path,
    IReadOnlyList<(string Link, IPAddress Address)> Addresses,
    IReadOnlyList<MacAddress> Gateways
)
{
    /// <summary>
    /// How the host numbers it, where it was looked at by its number and not from within: links and addresses are known then, neighbours
    /// are not (<see cref="Gateways"/> is empty). Null: from within.
    /// </summary>
    public int? NamespaceId { get; init; }
}

/// <summary>The runtime's side: the namespaces that it keeps.</summary>
/// <param name="Sandboxes">Each once, whatever paths lead to it.</param>
/// <param name="Folders">Those that were looked into: what is missing there is gone.</param>
internal sealed record RuntimeFacts(IReadOnlyList<SandboxFacts> Sandboxes, IReadOnlySet<string> Folders);

/// <summary>What an audit sees of the node itself; one implementation on the kernel, one in tests.</summary>
internal interface INodeView
{
    /// <exception cref="HostNetworkException">The kernel did not answer.</exception>
    KernelFacts Kernel();

    /// <param name="paths">Namespaces of attachments, as the runtime named them.</param>
    /// <param name="cancellationToken">Ends it between two namespaces.</param>
    /// <exception cref="HostNetworkException">Namespaces cannot be entered from here.</exception>
    RuntimeFacts Runtime(IReadOnlyList<string> paths, CancellationToken cancellationToken);
}

/// <summary>
/// All sides at about one moment: the ledger first, so that what comes and goes meanwhile differs in one look and not in two.
/// </summary>
internal sealed record AuditLook
{
    public required DateTimeOffset At { get; init; }
    public required LedgerView Ledger { get; init; }
    public required IReadOnlyList<Attachment> Attachments { get; init; }
    public required IReadOnlySet<IPAddress> Cooling { get; init; }

    /// <summary>The interfaces that the daemon has wired.</summary>
    public required IReadOnlyList<InterfaceWiring> Wirings { get; init; }

    /// <summary>How names of pods' links begin.</summary>
    public required string VethPrefix { get; init; }

    /// <summary>Null when it did not answer.</summary>
    public KernelFacts? Kernel { get; init; }

    /// <summary>Null when namespaces cannot be seen from here.</summary>
    public RuntimeFacts? Runtime { get; init; }

    /// <summary>Null when it was not asked, or did not answer.</summary>
    public IReadOnlyList<CloudInterface>? Cloud { get; init; }

    /// <summary>Interfaces that are being changed, or were a moment ago: descriptions of them may be late.</summary>
    public IReadOnlySet<NetworkInterfaceId> Unsettled { get; init; } = new HashSet<NetworkInterfaceId>();
}
