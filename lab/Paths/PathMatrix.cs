// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Every traffic path of a lab with three nodes, two of them in one subnet. Most start or end at a pod of the first node that has an
/// address of a secondary ENI. The lab's daemons must exclude <see cref="FabricAddresses.OnPremises"/> from SNAT.
/// </summary>
internal sealed class PathMatrix
{
    /// <summary>A second range of the VPC, from the shared address space (RFC 6598), which EC2 accepts besides RFC 1918.</summary>
    private static readonly IPNetwork AddedRange = IPNetwork.Parse("100.64.0.0/16"),
        AddedSubnet = IPNetwork.Parse("100.64.0.0/20");

    /// <summary>The path that exists only after <see cref="AddRangeAsync"/>.</summary>
    public const string AddedRangePath = "pod to the added range";

    private const string MachineName = "machine";

    /// <summary>Deadline of commands on a node.</summary>
    private static readonly TimeSpan CommandDeadline = TimeSpan.FromSeconds(5);

    private readonly VpcLab _lab;
    private readonly TimeProvider _time;
    private readonly PodTraffic _traffic;
    private readonly OutsideTraffic _outside;
    private readonly LabPod _pod,
        _podOnSameNode,
        _podOnOtherNode,
        _podInOtherSubnet;
    private (NetworkNamespace Network, IPAddress Address)? _machine;

    public PathMatrix(VpcLab lab, TimeProvider time)
    {
        (_lab, _time) = (lab, time);
        _traffic = new PodTraffic(lab, time);
        _outside = new OutsideTraffic(lab, _traffic, time);
        _pod =
            FirstNode.Pods.FirstOrDefault(pod => lab.World.With(world => world.FindOwner(pod.Address)?.Attachment is { IsPrimary: false }))
            ?? throw new CheckFailedException($"no pod of {FirstNode.Name} has an address of a secondary ENI");
        _podOnSameNode = FirstNode.Pods.First(pod => pod != _pod);
        (_podOnOtherNode, _podInOtherSubnet) = (SecondNode.Pods[0], ThirdNode.Pods[0]);
    }

    /// <summary>Address of the pod at which most paths start or end.</summary>
    public IPAddress PodAddress => _pod.Address;

    private LabNode FirstNode => _lab.Nodes[0];

    private LabNode SecondNode => _lab.Nodes[1];

    private LabNode ThirdNode => _lab.Nodes[2];

    /// <summary>Installs rules for services on the first node, as kube-proxy does.</summary>
    public Task InstallServicesAsync(CancellationToken cancellationToken) =>
        ServiceRules.InstallAsync(FirstNode.Network, _pod.Address, _podOnOtherNode.Address, _time, cancellationToken);

    /// <summary>Checks of all paths, in the order of the report.</summary>
    public IReadOnlyList<PathCheck> Checks =>
        [
            new("pod to pod, same node", token => _traffic.WithinNodeAsync(FirstNode, _pod, _podOnSameNode, token)),
            new("pod to pod, other node", token => _traffic.AcrossNodesAsync(FirstNode, _pod, SecondNode, _podOnOtherNode, token)),
            new("pod to pod, other node, reverse", token => _traffic.AcrossNodesAsync(SecondNode, _podOnOtherNode, FirstNode, _pod, token)),
            new("pod to pod, other subnet", token => _traffic.AcrossNodesAsync(FirstNode, _pod, ThirdNode, _podInOtherSubnet, token)),
            new("node to its own pod", token => _traffic.FromOwnNodeAsync(FirstNode, _pod, token)),
            new("node to a pod of another node", token => _traffic.FromOtherNodeAsync(ThirdNode, FirstNode, _pod, token)),
            new("pod to the internet", token => _outside.ToInternetAsync(FirstNode, _pod, token)),
            new("primary ENI's pod to the internet", token => _outside.ToInternetAsync(ThirdNode, _podInOtherSubnet, token)),
            new("pod to on-premises (excluded)", token => _outside.ToOnPremisesAsync(FirstNode, _pod, token)),
            new("on-premises to pod", token => _outside.FromOnPremisesAsync(FirstNode, _pod, token)),
            new("internet to a node port", token => _outside.NodePortAsync(FirstNode, _pod, token)),
            new("pod to a service, other node", token => _outside.ServiceAsync(FirstNode, _pod, _podOnOtherNode, token)),
            new("pod to itself through its service", token => _outside.HairpinAsync(FirstNode, _pod, token)),
            new("9001 octets, other subnet", token => _outside.LargestPacketAsync(FirstNode, _pod, _podInOtherSubnet, token)),
            .. _machine is var (network, address)
                ? [new(AddedRangePath, token => _outside.ToMachineAsync(FirstNode, _pod, network, address, token))]
                : (PathCheck[])[],
        ];

    /// <summary>
    /// Deletes what the first node's daemon maintains: rules, the route table of its secondary ENI, and the nftables table.
    /// </summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        foreach (var command in (string[])["ip rule flush", "ip route flush table 2", "nft delete table ip vpccni"])
        {
            var outcome = await _lab.ExecAsync(FirstNode.Name, command.Split(' '), CommandDeadline, cancellationToken);
            if (outcome.ExitCode != 0)
                throw new CheckFailedException($"{command}: {outcome.Errors.Trim()}");
        }
    }

    /// <summary>Whether the daemon has restored what <see cref="FlushAsync"/> deleted.</summary>
    public async Task<bool> IsRestoredAsync(CancellationToken cancellationToken)
    {
        var rules = await _lab.ExecAsync(FirstNode.Name, ["ip", "rule"], CommandDeadline, cancellationToken);
        var routes = await _lab.ExecAsync(FirstNode.Name, ["ip", "route", "show", "table", "2"], CommandDeadline, cancellationToken);
        int[] priorities =
        [
            RulePriorities.ToPod,
            RulePriorities.Mark,
            RulePriorities.FromPod,
            RulePriorities.FromInterface,
            RulePriorities.Main,
        ];
        return priorities.All(priority => rules.Output.Contains($"{priority}:", StringComparison.Ordinal))
            && routes.Output.Contains("default", StringComparison.Ordinal)
            && (await TableAsync(cancellationToken)).Contains("snat to", StringComparison.Ordinal);
    }

    /// <summary>Whether the first node's nftables table has the range that <see cref="AddRangeAsync"/> added.</summary>
    public async Task<bool> HasAddedRangeAsync(CancellationToken cancellationToken) =>
        (await TableAsync(cancellationToken)).Contains(AddedRange.ToString(), StringComparison.Ordinal);

    /// <summary>Adds a range to the VPC, and a subnet and a machine in it.</summary>
    public async Task AddRangeAsync(CancellationToken cancellationToken)
    {
        var network = _lab.Fabric.AddNode(MachineName);
        var subnet = _lab.World.With(world =>
        {
            var vpc = world.AddRange(FirstNode.Instance.Vpc, AddedRange);
            return world.CreateSubnet(
                vpc.Id,
                FirstNode.Instance.Zone,
                AddedSubnet,
                tags: new Dictionary<string, string> { ["kubernetes.io/role/cni"] = "0" }
            );
        });
        var instance = _lab.World.Launch(MachineName, "t3.micro", subnet.Id);
        await _lab.Fabric.WaitUntilAppliedAsync(cancellationToken);
        _machine = (network, _lab.World.With(world => world.FindInterface(instance.PrimaryInterface)!.PrimaryAddress));
    }

    private async Task<string> TableAsync(CancellationToken cancellationToken) =>
        (await _lab.ExecAsync(FirstNode.Name, ["nft", "list", "table", "ip", "vpccni"], CommandDeadline, cancellationToken)).Output;
}
