// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>Facts of the node from the instance metadata.</summary>
internal sealed record NodeFacts
{
    public required IPAddress PrimaryAddress { get; init; }
    public required MacAddress PrimaryMac { get; init; }

    /// <summary>The node's own IPv6 address; null when it has none.</summary>
    public IPAddress? Ipv6Address { get; init; }

    /// <summary>The VPC's ranges; at least one.</summary>
    public required IReadOnlyList<IPNetwork> VpcRanges { get; init; }
}

/// <summary>An address of a pod, and how the host reaches it.</summary>
/// <param name="LinkSuffix">End of the name of the pod's host link; the prefix is the plugin's configuration.</param>
/// <param name="Address">The pod's address.</param>
/// <param name="Egress">How its traffic leaves the node; null while that is not known.</param>
internal sealed record PodEndpoint(string LinkSuffix, IPAddress Address, Egress? Egress)
{
    /// <summary>Whether the attachment was recovered from the kernel's route alone: see <see cref="PodWirings"/>.</summary>
    public bool IsRecovered { get; init; }

    /// <summary>Path of the pod's network namespace; empty when it is not known.</summary>
    public string NetnsPath { get; init; } = "";
}

/// <summary>The inputs of the desired state, as far as they are known. State that depends on unknown inputs is not changed.</summary>
internal sealed record HostNetworkInputs
{
    /// <summary>Null until the instance metadata has been read.</summary>
    public NodeFacts? Node { get; init; }
    public required IReadOnlyList<PodEndpoint> Pods { get; init; }

    /// <summary>Blocks of addresses for pods on this node's interfaces. Rules of other addresses are other programs'.</summary>
    public required IReadOnlyList<IPNetwork> PodRanges { get; init; }
}

/// <summary>
/// The desired state of the host's network, from node, wired interfaces and pods. <see cref="HostNetworkDiff"/> compares it with the
/// observed one.
/// </summary>
internal sealed record HostNetworkState
{
    public required HostNetworkInputs Inputs { get; init; }
    public required HostNetworkOptions Options { get; init; }

    /// <summary>The interfaces for pods, with the primary one once it was observed.</summary>
    public required IReadOnlyList<InterfaceWiring> Interfaces { get; init; }

    /// <summary>
    /// MAC addresses of the links with a loose reverse path filter: packets that they receive may have a source that is routed by another
    /// one, since all interfaces are in one network (RFC 3704, 2.4).
    /// </summary>
    public IReadOnlyList<MacAddress> LooseLinks =>
        [.. Interfaces.Select(item => MacAddress.Parse(item.Mac)).Concat(Inputs.Node is { } node ? [node.PrimaryMac] : []).Distinct()];

    /// <summary>The families of the node, its interfaces and its pods.</summary>
    public IReadOnlyList<AddressFamily> Families =>
        [
            .. IpFamily.All.Where(family =>
                NodeFamilies.Always.Contains(family)
                || Interfaces.Any(item => item.Families.Contains(family))
                || Inputs.Pods.Any(pod => pod.Address.AddressFamily == family)
                || (family == IpFamily.V6 && Options.Ipv6Egress)
            ),
        ];

    /// <summary>Families of an interface's route table: its own, and those of the pods whose traffic leaves by it.</summary>
    public IReadOnlyList<AddressFamily> FamiliesOf(InterfaceWiring wiring) =>
        [
            .. IpFamily.All.Where(family =>
                wiring.Families.Contains(family)
                || Inputs.Pods.Any(pod =>
                    pod.Address.AddressFamily == family && pod.Egress is Egress.Table { Number: var table } && table == wiring.RouteTable
                )
            ),
        ];

    /// <summary>The options, and what pods of an earlier mode still need.</summary>
    public HostNetworkOptions EffectiveOptions =>
        Options with
        {
            HasIpv6OnSecondary =
                Options.HasIpv6OnSecondary || Inputs.Pods.Any(pod => pod is { Address.AddressFamily: IpFamily.V6, Egress: Egress.Table }),
        };

    /// <summary>Rules of the node: those that belong to no pod and no interface.</summary>
    public IReadOnlyList<RuleInfo> NodeRules =>
        [
            .. Options.UsesMark ? [MarkRule(IpFamily.V4)] : (RuleInfo[])[],
            .. EffectiveOptions.UsesIpv6Mark ? [MarkRule(IpFamily.V6)] : (RuleInfo[])[],
            .. Options.ExternalServiceRanges.Select(range => new RuleInfo
            {
                Family = range.BaseAddress.AddressFamily,
                Priority = RulePriorities.ExternalService,
                Destination = range,
            }),
        ];

    private RuleInfo MarkRule(AddressFamily family) =>
        new()
        {
            Family = family,
            Priority = RulePriorities.Mark,
            Mark = Options.ConnectionMark,
            MarkMask = Options.ConnectionMark,
        };
}
