// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Every traffic path of a lab with three nodes, two of them in one subnet, over one address family. Most start or end at a pod of the
/// first node that has an address of a secondary ENI; over IPv6, where one prefix is enough for all pods, it may be one of the primary ENI.
/// The lab's daemons must exclude <see cref="FabricAddresses.OnPremises"/> from SNAT.
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
    private readonly AddressFamily _family;
    private readonly TimeProvider _time;
    private readonly PodTraffic _traffic;
    private readonly OutsideTraffic _outside;
    private readonly LabPod _pod,
        _podOnSameNode,
        _podOnOtherNode,
        _podInOtherSubnet;
    private (NetworkNamespace Network, IPAddress Address)? _machine;

    /// <exception cref="CheckFailedException">The lab's pods do not have the addresses that the paths need.</exception>
    public PathMatrix(VpcLab lab, TimeProvider time, AddressFamily family = IpFamily.V4)
    {
        (_lab, _time, _family) = (lab, time, family);
        _traffic = new PodTraffic(lab, family, time);
        _outside = new OutsideTraffic(lab, _traffic, family, time);
        _pod =
            FirstNode.Pods.FirstOrDefault(IsOfSecondaryEni)
            ?? (IsIpv6 && FirstNode.Pods is [var any, ..] ? any : null)
            ?? throw new CheckFailedException($"no pod of {FirstNode.Name} has an address of a secondary ENI");
        _podOnSameNode = FirstNode.Pods.First(pod => pod != _pod);
        (_podOnOtherNode, _podInOtherSubnet) = (SecondNode.Pods[0], ThirdNode.Pods[0]);
    }

    /// <summary>Address of the pod at which most paths start or end.</summary>
    public IPAddress PodAddress => _traffic.AddressOf(_pod);

    /// <summary>The families of which every pod of the lab has an address; each can have a matrix. Empty for a lab without pods.</summary>
    public static IReadOnlyList<AddressFamily> FamiliesOf(VpcLab lab)
    {
        LabPod[] pods = [.. lab.Nodes.SelectMany(node => node.Pods)];
        return pods.Length == 0 ? [] : [.. IpFamily.All.Where(family => pods.All(pod => pod.AddressOf(family) is not null))];
    }

    /// <summary>Whether the pod reaches the other family by a node-local address.</summary>
    private bool HasNodeLocalAddress =>
        PodTraffic.OtherThan(_family) is var other
        && _pod.AddressOf(other) is null
        && FirstNode.AddressOf(other) is not null
        && _lab.NodeLocalFamilies.Contains(other);

    /// <summary>Families of the nftables tables that the first node's daemon maintains for the pods of this family.</summary>
    private IEnumerable<string> Tables =>
        [.. IsIpv6 ? (string[])[] : ["ip"], .. HasNodeLocalAddress ? (string[])[IsIpv6 ? "ip" : "ip6"] : []];

    private bool IsIpv6 => _family == IpFamily.V6;

    private LabNode FirstNode => _lab.Nodes[0];

    private LabNode SecondNode => _lab.Nodes[1];

    private LabNode ThirdNode => _lab.Nodes[2];

    /// <summary>Installs rules for services on the first node, as kube-proxy does.</summary>
    public Task InstallServicesAsync(CancellationToken cancellationToken) =>
        ServiceRules.Of(_family).InstallAsync(FirstNode.Network, PodAddress, _traffic.AddressOf(_podOnOtherNode), _time, cancellationToken);

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
            .. HasNodeLocalAddress
                ?
                [
                    new(
                        $"pod to the {IpFamily.Name(PodTraffic.OtherThan(_family))} internet",
                        token => _outside.ToOtherInternetAsync(FirstNode, _pod, token)
                    ),
                ]
                : (PathCheck[])[],
            new("pod to on-premises (excluded)", token => _outside.ToOnPremisesAsync(FirstNode, _pod, token)),
            new("on-premises to pod", token => _outside.FromOnPremisesAsync(FirstNode, _pod, token)),
            .. IsIpv6
                ?
                [
                    new("internet to pod (dropped)", token => _outside.FromInternetAsync(_pod, token)),
                    new(
                        "on-premises to a node port",
                        token => NodePortAsync(_lab.Fabric.OnPremises, FabricAddresses.OnPremisesHost6, token)
                    ),
                ]
                : (PathCheck[])
                    [new("internet to a node port", token => NodePortAsync(_lab.Fabric.Internet, FabricAddresses.InternetHost, token))],
            new("pod to a service, other node", token => _outside.ServiceAsync(FirstNode, _pod, _podOnOtherNode, token)),
            new("pod to itself through its service", token => _outside.HairpinAsync(FirstNode, _pod, token)),
            new("9001 octets, other subnet", token => _outside.LargestPacketAsync(FirstNode, _pod, _podInOtherSubnet, token)),
            .. _machine is var (network, address)
                ? [new(AddedRangePath, token => _outside.ToMachineAsync(FirstNode, _pod, network, address, token))]
                : (PathCheck[])[],
        ];

    /// <summary>
    /// Deletes what the first node's daemon maintains in this family: rules, the route table of its secondary ENI, and the nftables tables.
    /// </summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        var ip = IsIpv6 ? "-6" : "-4";
        string[] commands =
        [
            $"ip {ip} rule flush",
            .. IsOfSecondaryEni(_pod) ? [$"ip {ip} route flush table 2"] : (string[])[],
            .. Tables.Select(table => $"nft delete table {table} vpccni"),
        ];
        foreach (var command in commands)
        {
            var outcome = await _lab.ExecAsync(FirstNode.Name, command.Split(' '), CommandDeadline, cancellationToken);
            if (outcome.ExitCode != 0)
                throw new CheckFailedException($"{command}: {outcome.Errors.Trim()}");
        }
    }

    /// <summary>Whether the daemon has restored what <see cref="FlushAsync"/> deleted.</summary>
    public async Task<bool> IsRestoredAsync(CancellationToken cancellationToken)
    {
        var ip = IsIpv6 ? "-6" : "-4";
        var rules = await _lab.ExecAsync(FirstNode.Name, ["ip", ip, "rule"], CommandDeadline, cancellationToken);
        // Rules and routes of secondary ENIs. Their own address, and the NAT that needs its mark, are IPv4.
        int[] priorities =
        [
            RulePriorities.ToPod,
            RulePriorities.Main,
            .. IsOfSecondaryEni(_pod) ? [RulePriorities.FromPod, .. IsIpv6 ? (int[])[] : [RulePriorities.FromInterface]] : (int[])[],
            .. IsIpv6 ? (int[])[] : [RulePriorities.Mark],
        ];
        if (!priorities.All(priority => rules.Output.Contains($"{priority}:", StringComparison.Ordinal)))
            return false;
        if (IsOfSecondaryEni(_pod))
        {
            var routes = await _lab.ExecAsync(
                FirstNode.Name,
                ["ip", ip, "route", "show", "table", "2"],
                CommandDeadline,
                cancellationToken
            );
            if (!routes.Output.Contains("default", StringComparison.Ordinal))
                return false;
        }

        foreach (var table in Tables)
        {
            if (!(await TableAsync(table, cancellationToken)).Contains("snat ", StringComparison.Ordinal))
                return false;
        }

        return true;
    }

    /// <summary>Whether the first node's nftables table has the range that <see cref="AddRangeAsync"/> added.</summary>
    public async Task<bool> HasAddedRangeAsync(CancellationToken cancellationToken) =>
        (await TableAsync("ip", cancellationToken)).Contains(AddedRange.ToString(), StringComparison.Ordinal);

    /// <summary>Adds an IPv4 range to the VPC, and a subnet and a machine in it.</summary>
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

    private bool IsOfSecondaryEni(LabPod pod) =>
        pod.AddressOf(_family) is { } address && _lab.World.With(world => world.FindOwner(address)?.Attachment is { IsPrimary: false });

    private Task<PathMeasurement> NodePortAsync(NetworkNamespace client, IPAddress clientAddress, CancellationToken cancellationToken) =>
        _outside.NodePortAsync(FirstNode, _pod, client, clientAddress, cancellationToken);

    private async Task<string> TableAsync(string family, CancellationToken cancellationToken) =>
        (await _lab.ExecAsync(FirstNode.Name, ["nft", "list", "table", family, "vpccni"], CommandDeadline, cancellationToken)).Output;
}
