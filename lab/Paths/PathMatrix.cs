// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Every path of a lab of three nodes, two of them in one subnet: from and to a pod of the first node that has an address of a secondary
/// ENI. The lab's daemons must exclude <see cref="FabricAddresses.OnPremises"/> from translation.
/// </summary>
internal sealed class PathMatrix
{
    /// <summary>A second range of the VPC, from the space that EC2 takes besides RFC 1918.</summary>
    private static readonly IPNetwork AddedRange = IPNetwork.Parse("100.64.0.0/16"),
        AddedSubnet = IPNetwork.Parse("100.64.0.0/20");

    /// <summary>The path that there is only after <see cref="AddRangeAsync"/>.</summary>
    public const string AddedRangePath = "pod to the range that was added";

    private const string MachineName = "machine";

    /// <summary>For commands on a node.</summary>
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(5);

    private readonly VpcLab _lab;
    private readonly TimeProvider _time;
    private readonly PodTraffic _traffic;
    private readonly OutsideTraffic _outside;
    private readonly LabPod _pod,
        _neighbour,
        _other,
        _far;
    private (NetworkNamespace Network, IPAddress Address)? _machine;

    public PathMatrix(VpcLab lab, TimeProvider time)
    {
        (_lab, _time) = (lab, time);
        _traffic = new PodTraffic(lab, time);
        _outside = new OutsideTraffic(lab, _traffic, time);
        _pod =
            One.Pods.FirstOrDefault(pod => lab.World.With(world => world.FindOwner(pod.Address)?.Attachment is { IsPrimary: false }))
            ?? throw new CheckFailedException($"no pod of {One.Name} has an address of a secondary ENI");
        _neighbour = One.Pods.First(pod => pod != _pod);
        (_other, _far) = (Two.Pods[0], Three.Pods[0]);
    }

    /// <summary>The pod that the paths begin and end at.</summary>
    public IPAddress PodAddress => _pod.Address;

    private LabNode One => _lab.Nodes[0];

    private LabNode Two => _lab.Nodes[1];

    private LabNode Three => _lab.Nodes[2];

    /// <summary>Puts rules for services on the first node, as a kube-proxy would.</summary>
    public Task InstallServicesAsync(CancellationToken cancellationToken) =>
        ServiceRules.InstallAsync(One.Network, _pod.Address, _other.Address, _time, cancellationToken);

    /// <summary>All paths, in the order in which they are told.</summary>
    public IReadOnlyList<PathCheck> Checks =>
        [
            new("pod to pod, same node", token => _traffic.WithinNodeAsync(One, _pod, _neighbour, token)),
            new("pod to pod, other node", token => _traffic.AcrossNodesAsync(One, _pod, Two, _other, token)),
            new("pod to pod, back from there", token => _traffic.AcrossNodesAsync(Two, _other, One, _pod, token)),
            new("pod to pod, other subnet", token => _traffic.AcrossNodesAsync(One, _pod, Three, _far, token)),
            new("node to its own pod", token => _traffic.FromOwnNodeAsync(One, _pod, token)),
            new("node to a pod of another node", token => _traffic.FromOtherNodeAsync(Three, One, _pod, token)),
            new("pod to the internet", token => _outside.ToInternetAsync(One, _pod, token)),
            new("primary ENI's pod to the internet", token => _outside.ToInternetAsync(Three, _far, token)),
            new("pod to on-premises (excluded)", token => _outside.ToOnPremisesAsync(One, _pod, token)),
            new("on-premises to pod", token => _outside.FromOnPremisesAsync(One, _pod, token)),
            new("internet to a node port", token => _outside.NodePortAsync(One, _pod, token)),
            new("pod to a service, other node", token => _outside.ServiceAsync(One, _pod, _other, token)),
            new("pod to itself by its service", token => _outside.HairpinAsync(One, _pod, token)),
            new("9001 octets, other subnet", token => _outside.LargestPacketAsync(One, _pod, _far, token)),
            .. _machine is var (network, address)
                ? [new(AddedRangePath, token => _outside.ToMachineAsync(One, _pod, network, address, token))]
                : (PathCheck[])[],
        ];

    /// <summary>Flushes what the daemon of the first node keeps: rules, the table of its secondary ENI, the nftables table.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        foreach (var command in (string[])["ip rule flush", "ip route flush table 2", "nft delete table ip vpccni"])
        {
            var outcome = await _lab.ExecAsync(One.Name, command.Split(' '), Short, cancellationToken);
            if (outcome.ExitCode != 0)
                throw new CheckFailedException($"{command}: {outcome.Errors.Trim()}");
        }
    }

    /// <summary>Whether what <see cref="FlushAsync"/> removed is back.</summary>
    public async Task<bool> IsKeptAsync(CancellationToken cancellationToken)
    {
        var rules = await _lab.ExecAsync(One.Name, ["ip", "rule"], Short, cancellationToken);
        var routes = await _lab.ExecAsync(One.Name, ["ip", "route", "show", "table", "2"], Short, cancellationToken);
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

    /// <summary>Whether the daemon of the first node knows the range that <see cref="AddRangeAsync"/> added.</summary>
    public async Task<bool> IsRangeKnownAsync(CancellationToken cancellationToken) =>
        (await TableAsync(cancellationToken)).Contains(AddedRange.ToString(), StringComparison.Ordinal);

    /// <summary>Adds a range to the VPC, with a subnet and a machine in it.</summary>
    public async Task AddRangeAsync(CancellationToken cancellationToken)
    {
        var network = _lab.Fabric.AddNode(MachineName);
        var subnet = _lab.World.With(world =>
        {
            var vpc = world.AddRange(One.Instance.Vpc, AddedRange);
            return world.CreateSubnet(
                vpc.Id,
                One.Instance.Zone,
                AddedSubnet,
                tags: new Dictionary<string, string> { ["kubernetes.io/role/cni"] = "0" }
            );
        });
        var instance = _lab.World.Launch(MachineName, "t3.micro", subnet.Id);
        await _lab.Fabric.SettledAsync(cancellationToken);
        _machine = (network, _lab.World.With(world => world.FindInterface(instance.PrimaryInterface)!.PrimaryAddress));
    }

    private async Task<string> TableAsync(CancellationToken cancellationToken) =>
        (await _lab.ExecAsync(One.Name, ["nft", "list", "table", "ip", "vpccni"], Short, cancellationToken)).Output;
}
