// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Paths that need more than routes: to and from the world outside of the VPC, through services, with packets as large as they come. Each
/// check proves by the counters of the node's links which ENI carried it, and by what the server saw whether it was translated.
/// </summary>
internal sealed class OutsideTraffic(VpcLab lab, PodTraffic traffic, TimeProvider time)
{
    /// <summary>Of each check that counts connections instead of pings; a connection has three packets or more each way.</summary>
    private const int Connections = 40;

    /// <summary>More than the daemon sends in as short a time, and still soon over.</summary>
    private const int LargePackets = 30;

    private static readonly TimeSpan PingDeadline = TimeSpan.FromSeconds(10);

    private readonly Probe _probe = new(time, TimeSpan.FromSeconds(5));

    /// <summary>
    /// To the internet: translated to the node's primary address, by the primary ENI. The lab's router drops everything else.
    /// </summary>
    public async Task<PathMeasure> ToInternetAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await CountAsync(
            node,
            () => PingAndConnectAsync(pod.Network, lab.Fabric.Internet, FabricAddresses.InternetHost, seen: node.Address, cancellationToken)
        );
        var own = traffic.LinkOf(node, pod);
        if (own != LinkWatch.PrimaryLink)
            count.NotSent(own, PodTraffic.Pings);
        return new PathMeasure(
            $"{LinkWatch.PrimaryLink}, as the node",
            count.Sent(LinkWatch.PrimaryLink, PodTraffic.Pings),
            $"{pod.Address} ({own}) seen as {node.Address}, left by {LinkWatch.PrimaryLink}"
        );
    }

    /// <summary>To a network behind a VPN that is excluded from translation: as the pod, by the pod's own ENI.</summary>
    public async Task<PathMeasure> ToOnPremisesAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await CountAsync(
            node,
            () =>
                PingAndConnectAsync(
                    pod.Network,
                    lab.Fabric.OnPremises,
                    FabricAddresses.OnPremisesHost,
                    seen: pod.Address,
                    cancellationToken
                )
        );
        var own = traffic.LinkOf(node, pod);
        return new PathMeasure($"{own}, as the pod", count.Sent(own, PodTraffic.Pings), $"{pod.Address} seen as itself, left by {own}");
    }

    /// <summary>The other way round: in and out by the pod's own ENI.</summary>
    public async Task<PathMeasure> FromOnPremisesAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await CountAsync(
            node,
            () =>
                PingAndConnectAsync(
                    lab.Fabric.OnPremises,
                    pod.Network,
                    pod.Address,
                    seen: FabricAddresses.OnPremisesHost,
                    cancellationToken
                )
        );
        var own = traffic.LinkOf(node, pod);
        count.Sent(own, PodTraffic.Pings);
        return new PathMeasure(
            $"in and out by {own}",
            count.Received(own, PodTraffic.Pings),
            $"{FabricAddresses.OnPremisesHost} -> {pod.Address}, in and out by {own}"
        );
    }

    /// <summary>
    /// From the internet to a node port of a pod: in by the primary ENI, and the answer out by it, whatever ENI the pod is on.
    /// </summary>
    public async Task<PathMeasure> NodePortAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var kept = await ConnectManyAsync(
            node,
            lab.Fabric.Internet,
            pod,
            new IPEndPoint(node.Address, ServiceRules.NodePort),
            seen: FabricAddresses.InternetHost,
            cancellationToken
        );
        var masqueraded = await ConnectManyAsync(
            node,
            lab.Fabric.Internet,
            pod,
            new IPEndPoint(node.Address, ServiceRules.MasqueradedNodePort),
            seen: node.Address,
            cancellationToken
        );
        var own = traffic.LinkOf(node, pod);
        long packets = 0;
        foreach (var count in new[] { kept, masqueraded })
        {
            packets += count.Received(LinkWatch.PrimaryLink, Connections);
            count.Sent(LinkWatch.PrimaryLink, Connections);
            if (own != LinkWatch.PrimaryLink)
                count.NotSent(own, Connections);
        }

        return new PathMeasure(
            $"in and out by {LinkWatch.PrimaryLink}",
            packets,
            $"{node.Address}:{ServiceRules.NodePort} -> {pod.Address} ({own}), answered by {LinkWatch.PrimaryLink}"
        );
    }

    /// <summary>A service address that comes back to the pod that asks: masqueraded, within the node.</summary>
    public async Task<PathMeasure> HairpinAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await ConnectManyAsync(node, pod.Network, pod, ServiceRules.Local, seen: null, cancellationToken);
        count.NotSentByAnyEni(Connections);
        return new PathMeasure(
            "veth -> same veth",
            count.Sent(PodTraffic.HostLinkOf(pod), Connections),
            $"{pod.Address} -> {ServiceRules.Local.Address} -> {pod.Address}, no ENI used"
        );
    }

    /// <summary>
    /// A service address of a pod on another node: not translated, by the pod's own ENI, although the service's address is outside of the
    /// VPC.
    /// </summary>
    public async Task<PathMeasure> ServiceAsync(LabNode node, LabPod pod, LabPod behind, CancellationToken cancellationToken)
    {
        var own = traffic.LinkOf(node, pod);
        var count = await ConnectManyAsync(node, pod.Network, behind, ServiceRules.Remote, seen: pod.Address, cancellationToken);
        return new PathMeasure(
            $"{own}, as the pod",
            count.Sent(own, Connections),
            $"{pod.Address} -> {ServiceRules.Remote.Address} -> {behind.Address}, by {own}"
        );
    }

    /// <summary>Packets that fill 9001 octets, not to be fragmented: 8973 of payload, 8 of ICMP, 20 of IP.</summary>
    public async Task<PathMeasure> LargestPacketAsync(LabNode node, LabPod from, LabPod to, CancellationToken cancellationToken)
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
        return new PathMeasure(
            $"{own}, in one piece",
            watch.Stop().Sent(own, LargePackets),
            $"{from.Address} -> {to.Address}, {FabricAddresses.Mtu} octets, not fragmented, by {own}"
        );
    }

    /// <summary>To a machine in a range of the VPC that was added while the nodes ran: as the pod, by the pod's own ENI.</summary>
    public async Task<PathMeasure> ToMachineAsync(
        LabNode node,
        LabPod pod,
        NetworkNamespace machine,
        IPAddress address,
        CancellationToken cancellationToken
    )
    {
        var count = await CountAsync(node, () => PingAndConnectAsync(pod.Network, machine, address, seen: pod.Address, cancellationToken));
        var own = traffic.LinkOf(node, pod);
        return new PathMeasure(
            $"{own}, as the pod",
            count.Sent(own, PodTraffic.Pings),
            $"{pod.Address} -> {address}, seen as itself, left by {own}"
        );
    }

    private async Task PingAndConnectAsync(
        NetworkNamespace from,
        NetworkNamespace to,
        IPAddress target,
        IPAddress seen,
        CancellationToken cancellationToken
    )
    {
        await traffic.PingManyAsync(from, target, cancellationToken);
        Expect(await _probe.TcpAsync(from, to, target, cancellationToken), seen);
    }

    private async Task<LinkDelta> ConnectManyAsync(
        LabNode node,
        NetworkNamespace from,
        LabPod server,
        IPEndPoint asked,
        IPAddress? seen,
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
                        asked,
                        cancellationToken
                    );
                    if (seen is not null)
                        Expect(outcome, seen);
                    else if (outcome.SeenSource.Equals(server.Address))
                        throw new CheckFailedException($"{server.Address} saw the connection come from itself");
                }
            }
        );

    private static void Expect(TcpProbeOutcome outcome, IPAddress seen)
    {
        if (!outcome.SeenSource.Equals(seen))
            throw new CheckFailedException($"the server saw the connection come from {outcome.SeenSource}; expected {seen}");
    }

    private static async Task<LinkDelta> CountAsync(LabNode node, Func<Task> body)
    {
        var watch = new LinkWatch(node);
        await body();
        return watch.Stop();
    }
}
