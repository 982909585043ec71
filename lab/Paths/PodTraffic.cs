// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Checks traffic within the VPC. Each check proves that replies arrive (ICMP and TCP), that the server observes the sender's own address
/// (no NAT), and, by the links' counters, that the packets took the expected links. All use the addresses of one family.
/// </summary>
internal sealed class PodTraffic(VpcLab lab, AddressFamily family, TimeProvider time)
{
    /// <summary>Number of pings of a check: more packets than the daemon sends on the same links in the same time.</summary>
    public const int Pings = 200;

    private readonly Probe _probe = new(time, TimeSpan.FromSeconds(5));

    /// <summary>Pod to pod on one node: through the pods' links, and through no ENI.</summary>
    public async Task<PathMeasurement> WithinNodeAsync(LabNode node, LabPod from, LabPod to, CancellationToken cancellationToken)
    {
        var watch = new LinkWatch(node);
        var ping = await PingManyAsync(from.Network, AddressOf(to), cancellationToken);
        await TcpAsync(from.Network, to, AddressOf(from), cancellationToken);
        var carried = watch.Stop();
        carried.RequireNotSentByAnyEni(Pings);
        return new PathMeasurement(
            "veth -> veth",
            carried.RequireSent(HostLinkOf(to), Pings),
            $"{AddressOf(from)} -> {AddressOf(to)}, ping {Milliseconds(ping)}, no ENI used"
        );
    }

    /// <summary>
    /// Pod to pod on another node: out through the ENI that owns the sender's address, in through the one that owns the receiver's.
    /// </summary>
    public async Task<PathMeasurement> AcrossNodesAsync(
        LabNode fromNode,
        LabPod from,
        LabNode toNode,
        LabPod to,
        CancellationToken cancellationToken
    )
    {
        var (outLink, inLink) = (LinkOf(fromNode, from), LinkOf(toNode, to));
        var (left, arrived) = (new LinkWatch(fromNode), new LinkWatch(toNode));
        var ping = await PingManyAsync(from.Network, AddressOf(to), cancellationToken);
        await TcpAsync(from.Network, to, AddressOf(from), cancellationToken);
        arrived.Stop().RequireReceived(inLink, Pings);
        return new PathMeasurement(
            $"{outLink} -> {inLink}",
            left.Stop().RequireSent(outLink, Pings),
            $"{AddressOf(from)} -> {AddressOf(to)}, ping {Milliseconds(ping)}, {outLink} -> {inLink}"
        );
    }

    /// <summary>Node to one of its pods, as kubelet probes it: through the pod's link, and through no ENI.</summary>
    public async Task<PathMeasurement> FromOwnNodeAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var watch = new LinkWatch(node);
        var ping = await PingManyAsync(node.Network, AddressOf(pod), cancellationToken);
        await TcpAsync(node.Network, pod, expectedSource: null, cancellationToken);
        var carried = watch.Stop();
        carried.RequireNotSentByAnyEni(Pings);
        return new PathMeasurement(
            "node -> veth",
            carried.RequireSent(HostLinkOf(pod), Pings),
            $"{node.Name} -> {AddressOf(pod)}, ping {Milliseconds(ping)}, no ENI used"
        );
    }

    /// <summary>Node to a pod of another node: out through the primary ENI, in through the one that owns the pod's address.</summary>
    public async Task<PathMeasurement> FromOtherNodeAsync(LabNode fromNode, LabNode toNode, LabPod pod, CancellationToken cancellationToken)
    {
        var inLink = LinkOf(toNode, pod);
        var (left, arrived) = (new LinkWatch(fromNode), new LinkWatch(toNode));
        var ping = await PingManyAsync(fromNode.Network, AddressOf(pod), cancellationToken);
        await TcpAsync(fromNode.Network, pod, AddressOf(fromNode), cancellationToken);
        left.Stop().RequireSent(LinkWatch.PrimaryLink, Pings);
        return new PathMeasurement(
            $"{LinkWatch.PrimaryLink} -> {inLink}",
            arrived.Stop().RequireReceived(inLink, Pings),
            $"{fromNode.Name} -> {AddressOf(pod)}, ping {Milliseconds(ping)}, {LinkWatch.PrimaryLink} -> {inLink}"
        );
    }

    /// <summary>Pod to the metadata service: requests a token.</summary>
    public static async Task<string> ToMetadataAsync(LabPod pod, CancellationToken cancellationToken)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancelled) =>
            {
                var socket = pod.Network.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                try
                {
                    await socket.ConnectAsync(context.DnsEndPoint, cancelled);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        using var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(5) };
        using var request = new HttpRequestMessage(HttpMethod.Put, $"http://{FabricAddresses.Imds}/latest/api/token");
        request.Headers.Add("X-aws-ec2-metadata-token-ttl-seconds", "60");
        using var response = await client.SendAsync(request, cancellationToken);
        return response.IsSuccessStatusCode
            ? $"{pod.Address} -> {FabricAddresses.Imds}, token received"
            : throw new CheckFailedException($"the metadata service returned status {(int)response.StatusCode}");
    }

    /// <summary>
    /// Pod with a forged source: not delivered. The node drops an IPv4 packet, by the reverse path filter of the pod's link; IPv6 has none,
    /// and the VPC drops the packet.
    /// </summary>
    public async Task<string> ForgedByPodAsync(LabPod from, IPAddress forged, LabPod to, CancellationToken cancellationToken) =>
        await _probe.IsForgedSourceDeliveredAsync(from.Network, forged, to.Network, AddressOf(to), cancellationToken)
            ? throw new CheckFailedException($"{AddressOf(to)} received a packet with the forged source {forged}")
            : $"{AddressOf(from)} as {forged}: not received";

    /// <summary>Node with a forged source: not delivered. The VPC drops the packet and counts it for the ENI by which it left.</summary>
    public async Task<string> ForgedByNodeAsync(LabNode fromNode, IPAddress forged, LabPod to, CancellationToken cancellationToken)
    {
        var before = await SpoofedAsync(fromNode, cancellationToken);
        if (await _probe.IsForgedSourceDeliveredAsync(fromNode.Network, forged, to.Network, AddressOf(to), cancellationToken))
            throw new CheckFailedException($"{AddressOf(to)} received a packet with the forged source {forged}");
        var after = await SpoofedAsync(fromNode, cancellationToken);
        return after > before
            ? $"{fromNode.Name} as {forged}: not received, counted {before} -> {after}"
            : throw new CheckFailedException(
                $"the forged packet did not arrive, but no counter of {fromNode.Name} increased: something else dropped it"
            );
    }

    /// <summary>Pings each of these pods once from another pod.</summary>
    public async Task ReachAllAsync(LabPod from, IEnumerable<LabPod> pods, CancellationToken cancellationToken)
    {
        foreach (var pod in pods)
            await _probe.PingAsync(from.Network, AddressOf(pod), cancellationToken);
    }

    private async Task<long> SpoofedAsync(LabNode node, CancellationToken cancellationToken) =>
        (await lab.StatusAsync(cancellationToken)).Nodes.First(status => status.Name == node.Name).Enis.Sum(eni => eni.Spoofed.Packets);

    /// <summary>Pings the target <see cref="Pings"/> times and returns the shortest round trip.</summary>
    public async Task<TimeSpan> PingManyAsync(NetworkNamespace from, IPAddress target, CancellationToken cancellationToken)
    {
        var best = TimeSpan.MaxValue;
        for (var count = 0; count < Pings; count++)
        {
            var elapsed = await _probe.PingAsync(from, target, cancellationToken);
            if (elapsed < best)
                best = elapsed;
        }

        return best;
    }

    private async Task TcpAsync(NetworkNamespace from, LabPod to, IPAddress? expectedSource, CancellationToken cancellationToken)
    {
        var outcome = await _probe.TcpAsync(from, to.Network, AddressOf(to), cancellationToken);
        if (expectedSource is not null && !outcome.ObservedSource.Equals(expectedSource))
            throw new CheckFailedException(
                $"{AddressOf(to)} observed the source {outcome.ObservedSource}; expected the sender's own address {expectedSource}"
            );
    }

    /// <summary>The pod's address of this family.</summary>
    /// <exception cref="CheckFailedException">It has none.</exception>
    public IPAddress AddressOf(LabPod pod) =>
        pod.AddressOf(family) ?? throw new CheckFailedException($"{pod.Name} has no {IpFamily.Name(family)} address");

    /// <summary>The node's address of this family.</summary>
    /// <exception cref="CheckFailedException">It has none.</exception>
    public IPAddress AddressOf(LabNode node) =>
        node.AddressOf(family) ?? throw new CheckFailedException($"{node.Name} has no {IpFamily.Name(family)} address");

    public static AddressFamily OtherThan(AddressFamily family) => family == IpFamily.V6 ? IpFamily.V4 : IpFamily.V6;

    /// <summary>Name of the link of the ENI that owns the pod's address, according to EC2.</summary>
    public string LinkOf(LabNode node, LabPod pod) =>
        lab.World.With(world =>
            world.FindOwner(AddressOf(pod))?.Attachment is { } attachment && attachment.Instance == node.Instance.Id
                ? FabricNames.NodeLink(attachment.DeviceIndex, attachment.NetworkCard)
                : throw new CheckFailedException($"{AddressOf(pod)} of {pod.Name} belongs to no ENI of {node.Name}")
        );

    /// <summary>Name of the node's end of the pod's link: the first interface of the plugin's result.</summary>
    public static string HostLinkOf(LabPod pod) =>
        (string?)pod.Result["interfaces"]?[0]?["name"]
        ?? throw new CheckFailedException($"the result of {pod.Name}'s ADD names no host link");

    public static string Milliseconds(TimeSpan elapsed) => $"{elapsed.TotalMilliseconds:F2} ms";
}
