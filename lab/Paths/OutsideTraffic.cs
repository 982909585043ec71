// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Checks paths that need more than routes: to and from hosts outside the VPC, through services, and with packets of the full MTU. Each
/// check proves by the counters of the node's links which ENI carried the packets, and by the source that the server observed whether NAT
/// applied.
/// </summary>
internal sealed class OutsideTraffic(VpcLab lab, PodTraffic traffic, AddressFamily family, TimeProvider time)
{
    /// <summary>
    /// Number of connections of a check that makes connections instead of pings. Each has at least three packets each way.
    /// </summary>
    private const int Connections = 40;

    /// <summary>Number of packets of full size: more than the daemon sends in the same time.</summary>
    private const int LargePackets = 30;

    private static readonly TimeSpan PingDeadline = TimeSpan.FromSeconds(10);

    /// <summary>Deadline of a probe that must get no reply.</summary>
    private static readonly TimeSpan RefusalDeadline = TimeSpan.FromMilliseconds(500);

    private readonly ServiceRules _services = ServiceRules.Of(family);
    private readonly Probe _probe = new(time, TimeSpan.FromSeconds(5));

    /// <summary>
    /// Pod to the internet. IPv4: translated to the node's primary address, through the primary ENI; the lab's router drops everything
    /// else. IPv6: not translated, through the pod's ENI.
    /// </summary>
    public async Task<PathMeasurement> ToInternetAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var own = traffic.LinkOf(node, pod);
        var isTranslated = family == IpFamily.V4;
        var (source, link) = isTranslated ? (traffic.AddressOf(node), LinkWatch.PrimaryLink) : (traffic.AddressOf(pod), own);
        var count = await CountAsync(
            node,
            () =>
                PingAndConnectAsync(
                    pod.Network,
                    lab.Fabric.Internet,
                    FabricAddresses.InternetHostOf(family),
                    expectedSource: source,
                    cancellationToken
                )
        );
        foreach (var other in new[] { own, LinkWatch.PrimaryLink }.Where(other => other != link))
            count.RequireNotSent(other, PodTraffic.Pings);
        return new PathMeasurement(
            $"{link}, as the {(isTranslated ? "node" : "pod")}",
            count.RequireSent(link, PodTraffic.Pings),
            isTranslated
                ? $"{traffic.AddressOf(pod)} ({own}) translated to {source}, left by {link}"
                : $"{source} not translated, left by {link}"
        );
    }

    /// <summary>
    /// Pod to the internet over the family that it has no address of: translated from a node-local address to the node's, through the
    /// primary ENI.
    /// </summary>
    public async Task<PathMeasurement> ToOtherInternetAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var other = PodTraffic.OtherThan(family);
        var source = node.AddressOf(other) ?? throw new CheckFailedException($"{node.Name} has no {IpFamily.Name(other)} address");
        var count = await CountAsync(
            node,
            () =>
                PingAndConnectAsync(
                    pod.Network,
                    lab.Fabric.Internet,
                    FabricAddresses.InternetHostOf(other),
                    expectedSource: source,
                    cancellationToken
                )
        );
        return new PathMeasurement(
            $"{LinkWatch.PrimaryLink}, as the node",
            count.RequireSent(LinkWatch.PrimaryLink, PodTraffic.Pings),
            $"{pod.Name} over {IpFamily.Name(other)}, translated to {source}, left by {LinkWatch.PrimaryLink}"
        );
    }

    /// <summary>
    /// Internet to pod over IPv6: not delivered, although the address is public. The egress-only internet gateway drops and counts it.
    /// </summary>
    public async Task<PathMeasurement> FromInternetAsync(LabPod pod, CancellationToken cancellationToken)
    {
        var target = traffic.AddressOf(pod);
        var before = (await lab.Fabric.ReadDropsAsync(cancellationToken)).InternetInbound.Packets;
        try
        {
            await new Probe(time, RefusalDeadline).TcpAsync(lab.Fabric.Internet, pod.Network, target, cancellationToken);
        }
        catch (TimeoutException)
        {
            var dropped = (await lab.Fabric.ReadDropsAsync(cancellationToken)).InternetInbound.Packets - before;
            return dropped > 0
                ? new PathMeasurement(
                    "dropped",
                    dropped,
                    $"{FabricAddresses.InternetHostOf(family)} -> {target}, {dropped} packets dropped"
                )
                : throw new CheckFailedException($"the connection to {target} failed, but not at the gateway: it dropped no packet");
        }

        throw new CheckFailedException($"the internet connected to {target} through an egress-only gateway");
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
                    FabricAddresses.OnPremisesHostOf(family),
                    expectedSource: traffic.AddressOf(pod),
                    cancellationToken
                )
        );
        var own = traffic.LinkOf(node, pod);
        return new PathMeasurement(
            $"{own}, as the pod",
            count.RequireSent(own, PodTraffic.Pings),
            $"{traffic.AddressOf(pod)} not translated, left by {own}"
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
                    traffic.AddressOf(pod),
                    expectedSource: FabricAddresses.OnPremisesHostOf(family),
                    cancellationToken
                )
        );
        var own = traffic.LinkOf(node, pod);
        count.RequireSent(own, PodTraffic.Pings);
        return new PathMeasurement(
            $"in and out by {own}",
            count.RequireReceived(own, PodTraffic.Pings),
            $"{FabricAddresses.OnPremisesHostOf(family)} -> {traffic.AddressOf(pod)}, in and out by {own}"
        );
    }

    /// <summary>
    /// Outside host to a node port of a pod: in through the primary ENI, and the reply out through it, whichever ENI has the pod's address.
    /// </summary>
    /// <param name="client">
    /// The outside host: the internet host for IPv4, the on-premises host for IPv6, whose internet gateway lets no connection in.
    /// </param>
    public async Task<PathMeasurement> NodePortAsync(
        LabNode node,
        LabPod pod,
        NetworkNamespace client,
        IPAddress clientAddress,
        CancellationToken cancellationToken
    )
    {
        var kept = await ConnectManyAsync(
            node,
            client,
            pod,
            new IPEndPoint(traffic.AddressOf(node), ServiceRules.NodePort),
            expectedSource: clientAddress,
            cancellationToken
        );
        var masqueraded = await ConnectManyAsync(
            node,
            client,
            pod,
            new IPEndPoint(traffic.AddressOf(node), ServiceRules.MasqueradedNodePort),
            expectedSource: traffic.AddressOf(node),
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
            $"{new IPEndPoint(traffic.AddressOf(node), ServiceRules.NodePort)} -> {traffic.AddressOf(pod)} ({own}), "
                + $"answered by {LinkWatch.PrimaryLink}"
        );
    }

    /// <summary>Pod to itself through a service address: masqueraded, within the node.</summary>
    public async Task<PathMeasurement> HairpinAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var count = await ConnectManyAsync(node, pod.Network, pod, _services.Local, expectedSource: null, cancellationToken);
        count.RequireNotSentByAnyEni(Connections);
        return new PathMeasurement(
            "veth -> same veth",
            count.RequireSent(PodTraffic.HostLinkOf(pod), Connections),
            $"{traffic.AddressOf(pod)} -> {_services.Local.Address} -> {traffic.AddressOf(pod)}, no ENI used"
        );
    }

    /// <summary>
    /// Pod to a pod on another node through a service address: not translated and through the pod's ENI, although the service's address is
    /// outside the VPC.
    /// </summary>
    public async Task<PathMeasurement> ServiceAsync(LabNode node, LabPod pod, LabPod behind, CancellationToken cancellationToken)
    {
        var own = traffic.LinkOf(node, pod);
        var count = await ConnectManyAsync(
            node,
            pod.Network,
            behind,
            _services.Remote,
            expectedSource: traffic.AddressOf(pod),
            cancellationToken
        );
        return new PathMeasurement(
            $"{own}, as the pod",
            count.RequireSent(own, Connections),
            $"{traffic.AddressOf(pod)} -> {_services.Remote.Address} -> {traffic.AddressOf(behind)}, by {own}"
        );
    }

    /// <summary>Packets of 9001 octets that must not be fragmented: the payload, 8 of ICMP, and 20 of IPv4 or 40 of IPv6.</summary>
    public async Task<PathMeasurement> LargestPacketAsync(LabNode node, LabPod from, LabPod to, CancellationToken cancellationToken)
    {
        var payload = FabricAddresses.Mtu - 8 - (family == IpFamily.V6 ? 40 : 20);
        var start = new ProcessStartInfo(
            "ping",
            ["-M", "do", "-s", $"{payload}", "-c", $"{LargePackets}", "-i", "0.002", "-W", "2", traffic.AddressOf(to).ToString()]
        );
        var watch = new LinkWatch(node);
        var outcome = await NamespaceProcess.RunAsync(from.Network, start, input: "", PingDeadline, time, cancellationToken);
        if (outcome.ExitCode != 0 || !outcome.Output.Contains(" 0% packet loss", StringComparison.Ordinal))
            throw new CheckFailedException(
                $"ping with {FabricAddresses.Mtu} octets from {traffic.AddressOf(from)} to {traffic.AddressOf(to)}: "
                    + $"{outcome.Output.Trim()} {outcome.Errors.Trim()}"
            );
        var own = traffic.LinkOf(node, from);
        return new PathMeasurement(
            $"{own}, in one piece",
            watch.Stop().RequireSent(own, LargePackets),
            $"{traffic.AddressOf(from)} -> {traffic.AddressOf(to)}, {FabricAddresses.Mtu} octets, not fragmented, by {own}"
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
            () => PingAndConnectAsync(pod.Network, machine, address, expectedSource: traffic.AddressOf(pod), cancellationToken)
        );
        var own = traffic.LinkOf(node, pod);
        return new PathMeasurement(
            $"{own}, as the pod",
            count.RequireSent(own, PodTraffic.Pings),
            $"{traffic.AddressOf(pod)} -> {address}, not translated, left by {own}"
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
                        new IPEndPoint(traffic.AddressOf(server), ServiceRules.PodPort),
                        target,
                        cancellationToken
                    );
                    if (expectedSource is not null)
                        Expect(outcome, expectedSource);
                    else if (outcome.ObservedSource.Equals(traffic.AddressOf(server)))
                        throw new CheckFailedException(
                            $"{traffic.AddressOf(server)} observed its own address as source; expected it to be masqueraded"
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
