// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Checks paths that need more than routes: to and from hosts outside the VPC, through services, and with packets of the full MTU. Each
/// check proves by the counters of the node's links which ENI carried the packets, and by the source that the server observed whether NAT
/// applied.
/// </summary>
internal sealed class OutsideTraffic(VpcLab lab, PodTraffic traffic, TimeProvider time)
{
    /// <summary>
    /// Number of connections of a check that makes connections instead of pings. Each has at least three packets each way.
    /// </summary>
    private const int Connections = 40;

    /// <summary>Number of packets of full size: more than the daemon sends in the same time.</summary>
    private const int LargePackets = 30;

    private static readonly TimeSpan PingDeadline = TimeSpan.FromSeconds(10);

    private readonly Probe _probe = new(time, TimeSpan.FromSeconds(5));

    /// <summary>
    /// Pod to the internet: translated to the node's primary address, through the primary ENI. The lab's router drops everything else.
    /// </summary>
    public async Task<PathMeasurement> ToInternetAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await CountAsync(
            node,
            () =>
                PingAndConnectAsync(
                    pod.Network,
                    lab.Fabric.Internet,
                    FabricAddresses.InternetHost,
                    expectedSource: node.Address,
                    cancellationToken
                )
        );
        var own = traffic.LinkOf(node, pod);
        if (own != LinkWatch.PrimaryLink)
            count.RequireNotSent(own, PodTraffic.Pings);
        return new PathMeasurement(
            $"{LinkWatch.PrimaryLink}, as the node",
            count.RequireSent(LinkWatch.PrimaryLink, PodTraffic.Pings),
            $"{pod.Address} ({own}) translated to {node.Address}, left by {LinkWatch.PrimaryLink}"
        );
    }

    /// <summary>Pod to a network behind a VPN that is excluded from SNAT: not translated, through the pod's ENI.</summary>
    public async Task<PathMeasurement> ToOnPremisesAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await CountAsync(
            node,
            () =>
                PingAndConnectAsync(
                    pod.Network,
                    lab.Fabric.OnPremises,
                    FabricAddresses.OnPremisesHost,
                    expectedSource: pod.Address,
                    cancellationToken
                )
        );
        var own = traffic.LinkOf(node, pod);
        return new PathMeasurement(
            $"{own}, as the pod",
            count.RequireSent(own, PodTraffic.Pings),
            $"{pod.Address} not translated, left by {own}"
        );
    }

    /// <summary>On-premises host to pod: in and out through the pod's ENI.</summary>
    public async Task<PathMeasurement> FromOnPremisesAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await CountAsync(
            node,
            () =>
                PingAndConnectAsync(
                    lab.Fabric.OnPremises,
                    pod.Network,
                    pod.Address,
                    expectedSource: FabricAddresses.OnPremisesHost,
                    cancellationToken
                )
        );
        var own = traffic.LinkOf(node, pod);
        count.RequireSent(own, PodTraffic.Pings);
        return new PathMeasurement(
            $"in and out by {own}",
            count.RequireReceived(own, PodTraffic.Pings),
            $"{FabricAddresses.OnPremisesHost} -> {pod.Address}, in and out by {own}"
        );
    }

    /// <summary>
    /// Internet to a node port of a pod: in through the primary ENI, and the reply out through it, whichever ENI has the pod's address.
    /// </summary>
    public async Task<PathMeasurement> NodePortAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var kept = await ConnectManyAsync(
            node,
            lab.Fabric.Internet,
            pod,
            new IPEndPoint(node.Address, ServiceRules.NodePort),
            expectedSource: FabricAddresses.InternetHost,
            cancellationToken
        );
        var masqueraded = await ConnectManyAsync(
            node,
            lab.Fabric.Internet,
            pod,
            new IPEndPoint(node.Address, ServiceRules.MasqueradedNodePort),
            expectedSource: node.Address,
            cancellationToken
        );
        var own = traffic.LinkOf(node, pod);
        long packets = 0;
        foreach (var count in new[] { kept, masqueraded })
        {
            packets += count.RequireReceived(LinkWatch.PrimaryLink, Connections);
            count.RequireSent(LinkWatch.PrimaryLink, Connections);
            if (own != LinkWatch.PrimaryLink)
                count.RequireNotSent(own, Connections);
        }

        return new PathMeasurement(
            $"in and out by {LinkWatch.PrimaryLink}",
            packets,
            $"{node.Address}:{ServiceRules.NodePort} -> {pod.Address} ({own}), answered by {LinkWatch.PrimaryLink}"
        );
    }

    /// <summary>Pod to itself through a service address: masqueraded, within the node.</summary>
    public async Task<PathMeasurement> HairpinAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await ConnectManyAsync(node, pod.Network, pod, ServiceRules.Local, expectedSource: null, cancellationToken);
        count.RequireNotSentByAnyEni(Connections);
        return new PathMeasurement(
            "veth -> same veth",
            count.RequireSent(PodTraffic.HostLinkOf(pod), Connections),
            $"{pod.Address} -> {ServiceRules.Local.Address} -> {pod.Address}, no ENI used"
        );
    }

    /// <summary>
    /// Pod to a pod on another node through a service address: not translated and through the pod's ENI, although the service's address is
    /// outside the VPC.
    /// </summary>
    public async Task<PathMeasurement> ServiceAsync(LabNode node, LabPod pod, LabPod behind, CancellationToken cancellationToken)
    {
        var own = traffic.LinkOf(node, pod);
        var count = await ConnectManyAsync(node, pod.Network, behind, ServiceRules.Remote, expectedSource: pod.Address, cancellationToken);
        return new PathMeasurement(
            $"{own}, as the pod",
            count.RequireSent(own, Connections),
            $"{pod.Address} -> {ServiceRules.Remote.Address} -> {behind.Address}, by {own}"
        );
    }

    /// <summary>Packets of 9001 octets that must not be fragmented: 8973 of payload, 8 of ICMP, 20 of IP.</summary>
    public async Task<PathMeasurement> LargestPacketAsync(LabNode node, LabPod from, LabPod to, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(
            "ping",
            ["-M", "do", "-s", "8973", "-c", $"{LargePackets}", "-i", "0.002", "-W", "2", to.Address.ToString()]
        );
        var watch = new LinkWatch(node);
        var outcome = await NamespaceProcess.RunAsync(from.Network, start, input: "", PingDeadline, time, cancellationToken);
        if (outcome.ExitCode != 0 || !outcome.Output.Contains(" 0% packet loss", StringComparison.Ordinal))
            throw new CheckFailedException(
                $"ping with {FabricAddresses.Mtu} octets from {from.Address} to {to.Address}: {outcome.Output.Trim()} "
                    + $"{outcome.Errors.Trim()}"
            );
        var own = traffic.LinkOf(node, from);
        return new PathMeasurement(
            $"{own}, in one piece",
            watch.Stop().RequireSent(own, LargePackets),
            $"{from.Address} -> {to.Address}, {FabricAddresses.Mtu} octets, not fragmented, by {own}"
        );
    }

    /// <summary>Pod to a machine in a range that was added to the running VPC: not translated, through the pod's ENI.</summary>
    public async Task<PathMeasurement> ToMachineAsync(
        LabNode node,
        LabPod pod,
        NetworkNamespace machine,
        IPAddress address,
        CancellationToken cancellationToken
    )
    {
        var count = await CountAsync(
            node,
            () => PingAndConnectAsync(pod.Network, machine, address, expectedSource: pod.Address, cancellationToken)
        );
        var own = traffic.LinkOf(node, pod);
        return new PathMeasurement(
            $"{own}, as the pod",
            count.RequireSent(own, PodTraffic.Pings),
            $"{pod.Address} -> {address}, not translated, left by {own}"
        );
    }

    private async Task PingAndConnectAsync(
        NetworkNamespace from,
        NetworkNamespace to,
        IPAddress target,
        IPAddress expectedSource,
        CancellationToken cancellationToken
    )
    {
        await traffic.PingManyAsync(from, target, cancellationToken);
        Expect(await _probe.TcpAsync(from, to, target, cancellationToken), expectedSource);
    }

    private async Task<LinkDelta> ConnectManyAsync(
        LabNode node,
        NetworkNamespace from,
        LabPod server,
        IPEndPoint target,
        IPAddress? expectedSource,
        CancellationToken cancellationToken
    ) =>
        await CountAsync(
            node,
            async () =>
            {
                for (var count = 0; count < Connections; count++)
                {
                    var outcome = await _probe.TcpAsync(
                        from,
                        server.Network,
                        new IPEndPoint(server.Address, ServiceRules.PodPort),
                        target,
                        cancellationToken
                    );
                    if (expectedSource is not null)
                        Expect(outcome, expectedSource);
                    else if (outcome.ObservedSource.Equals(server.Address))
                        throw new CheckFailedException(
                            $"{server.Address} observed its own address as source; expected it to be masqueraded"
                        );
                }
            }
        );

    private static void Expect(TcpProbeOutcome outcome, IPAddress expectedSource)
    {
        if (!outcome.ObservedSource.Equals(expectedSource))
            throw new CheckFailedException($"the server observed the source {outcome.ObservedSource}; expected {expectedSource}");
    }

    private static async Task<LinkDelta> CountAsync(LabNode node, Func<Task> body)
    {
        var watch = new LinkWatch(node);
        await body();
        return watch.Stop();
    }
}
