// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>What the instance metadata says of the node, as far as the host's network depends on it.</summary>
internal sealed record NodeFacts
{
    public required IPAddress PrimaryAddress { get; init; }
    public required MacAddress PrimaryMac { get; init; }

    /// <summary>The VPC's ranges; at least one.</summary>
    public required IReadOnlyList<IPNetwork> VpcRanges { get; init; }
}

/// <summary>An address that a pod holds, and what the host has for it.</summary>
/// <param name="LinkSuffix">End of the name of the pod's host link; the prefix is the plugin's configuration.</param>
/// <param name="Address">The pod's address.</param>
/// <param name="Egress">How its traffic leaves the node; null while that is not known.</param>
internal sealed record PodEndpoint(string LinkSuffix, IPAddress Address, Egress? Egress)
{
    /// <summary>The kernel's route is all that is known of it: see <see cref="PodWirings"/>.</summary>
    public bool IsRecovered { get; init; }

    /// <summary>Path of the pod's network namespace; empty when it is not known.</summary>
    public string NetnsPath { get; init; } = "";
}

/// <summary>What is known now of what the host's network depends on. What is not known is not touched.</summary>
internal sealed record HostNetworkInputs
{
    /// <summary>Null until the instance metadata has answered.</summary>
    public NodeFacts? Node { get; init; }
    public required IReadOnlyList<PodEndpoint> Pods { get; init; }

    /// <summary>Blocks of addresses for pods that this node's interfaces carry: rules of other addresses are not ours.</summary>
    public required IReadOnlyList<IPNetwork> PodRanges { get; init; }
}

/// <summary>
/// What the host's network must be: one value, from what is known of the node, its wired interfaces and its pods. Nothing of the kernel is
/// in it; <see cref="HostNetworkDiff"/> compares it with that.
/// </summary>
internal sealed record HostNetworkState
{
    public required HostNetworkInputs Inputs { get; init; }
    public required HostNetworkOptions Options { get; init; }

    /// <summary>The interfaces that carry pods, the primary one among them once it was observed.</summary>
    public required IReadOnlyList<InterfaceWiring> Interfaces { get; init; }

    /// <summary>
    /// Links with a loose reverse path filter: what they receive may have a source that is routed by another one, since all ENIs are in one
    /// network (RFC 3704, 2.4).
    /// </summary>
    public IReadOnlyList<MacAddress> LooseLinks =>
        [.. Interfaces.Select(item => MacAddress.Parse(item.Mac)).Concat(Inputs.Node is { } node ? [node.PrimaryMac] : []).Distinct()];

    public IReadOnlyList<AddressFamily> Families =>
        [
            .. Interfaces
                .Select(item => item.PrimaryAddress.AddressFamily)
                .Concat(Inputs.Pods.Select(pod => pod.Address.AddressFamily))
                .Append(AddressFamily.InterNetwork)
                .Distinct(),
        ];

    /// <summary>Rules that do not belong to a pod or to an interface.</summary>
    public IReadOnlyList<RuleInfo> NodeRules =>
        [
            .. Options.UsesMark
                ?
                [
                    new RuleInfo
                    {
                        Family = AddressFamily.InterNetwork,
                        Priority = RulePriorities.Mark,
                        Mark = Options.ConnectionMark,
                        MarkMask = Options.ConnectionMark,
                    },
                ]
                : (RuleInfo[])[],
            .. Options.ExternalServiceRanges.Select(range => new RuleInfo
            {
                Family = AddressFamily.InterNetwork,
                Priority = RulePriorities.ExternalService,
                Destination = range,
            }),
        ];
}
