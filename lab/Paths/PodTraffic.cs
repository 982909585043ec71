// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Traffic within the VPC. Each check proves three things: answers came (ICMP and TCP), the server saw the sender's own address (no NAT),
/// and the packets took the expected links, which their counters show.
/// </summary>
internal sealed class PodTraffic(VpcLab lab, TimeProvider time)
{
    /// <summary>Enough to stand out from the daemon's own traffic on the same links.</summary>
    public const int Pings = 200;

    private readonly Probe _probe = new(time, TimeSpan.FromSeconds(5));

    /// <summary>Pod to pod on one node: by the pods' own links, and by no ENI.</summary>
    public async Task<PathMeasure> WithinNodeAsync(LabNode node, LabPod from, LabPod to, CancellationToken cancellationToken)
    {
        var watch = new LinkWatch(node);
        var ping = await PingManyAsync(from.Network, to.Address, cancellationToken);
        await TcpAsync(from.Network, to, from.Address, cancellationToken);
        var carried = watch.Stop();
        carried.NotSentByAnyEni(Pings);
        return new PathMeasure(
            "veth -> veth",
            carried.Sent(HostLinkOf(to), Pings),
            $"{from.Address} -> {to.Address}, ping {Milliseconds(ping)}, no ENI used"
        );
    }

    /// <summary>
    /// Pod to pod on another node: through the ENI that owns the sender's address, and in by the one that owns the receiver's.
    /// </summary>
    public async Task<PathMeasure> AcrossNodesAsync(
        LabNode fromNode,
        LabPod from,
        LabNode toNode,
        LabPod to,
        CancellationToken cancellationToken
    )
    {
        var (outLink, inLink) = (LinkOf(fromNode, from), LinkOf(toNode, to));
        var (left, arrived) = (new LinkWatch(fromNode), new LinkWatch(toNode));
        var ping = await PingManyAsync(from.Network, to.Address, cancellationToken);
        await TcpAsync(from.Network, to, from.Address, cancellationToken);
        arrived.Stop().Received(inLink, Pings);
        return new PathMeasure(
            $"{outLink} -> {inLink}",
            left.Stop().Sent(outLink, Pings),
            $"{from.Address} -> {to.Address}, ping {Milliseconds(ping)}, {outLink} -> {inLink}"
        );
    }

    /// <summary>A node to one of its own pods, as the kubelet probes it: by the pod's link, and by no ENI.</summary>
    public async Task<PathMeasure> FromOwnNodeAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var watch = new LinkWatch(node);
        var ping = await PingManyAsync(node.Network, pod.Address, cancellationToken);
        await TcpAsync(node.Network, pod, expectedSource: null, cancellationToken);
        var carried = watch.Stop();
        carried.NotSentByAnyEni(Pings);
        return new PathMeasure(
            "node -> veth",
            carried.Sent(HostLinkOf(pod), Pings),
            $"{node.Name} -> {pod.Address}, ping {Milliseconds(ping)}, no ENI used"
        );
    }

    /// <summary>A node to a pod of another one: out by the primary ENI, in by the one that owns the pod's address.</summary>
    public async Task<PathMeasure> FromOtherNodeAsync(LabNode fromNode, LabNode toNode, LabPod pod, CancellationToken cancellationToken)
    {
        var inLink = LinkOf(toNode, pod);
        var (left, arrived) = (new LinkWatch(fromNode), new LinkWatch(toNode));
        var ping = await PingManyAsync(fromNode.Network, pod.Address, cancellationToken);
        await TcpAsync(fromNode.Network, pod, fromNode.Address, cancellationToken);
        left.Stop().Sent(LinkWatch.PrimaryLink, Pings);
        return new PathMeasure(
            $"{LinkWatch.PrimaryLink} -> {inLink}",
            arrived.Stop().Received(inLink, Pings),
            $"{fromNode.Name} -> {pod.Address}, ping {Milliseconds(ping)}, {LinkWatch.PrimaryLink} -> {inLink}"
        );
    }

    /// <summary>A token of the metadata service, asked for from inside a pod.</summary>
    public static async Task<string> ToMetadataAsync(LabPod pod, CancellationToken cancellationToken)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancelled) =>
            {
                var socket = pod.Network.OpenSocket(
                    System.Net.Sockets.AddressFamily.InterNetwork,
                    System.Net.Sockets.SocketType.Stream,
                    System.Net.Sockets.ProtocolType.Tcp
                );
                try
                {
                    await socket.ConnectAsync(context.DnsEndPoint, cancelled);
                    return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
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
            ? $"{pod.Address} -> {FabricAddresses.Imds}, token given"
            : throw new CheckFailedException($"the metadata service answered {(int)response.StatusCode}");
    }

    /// <summary>
    /// A source forged by a pod: the receiver gets nothing of it. The node itself drops it, by its reverse path filter on the pod's link.
    /// </summary>
    public async Task<string> ForgedByPodAsync(LabPod from, IPAddress forged, LabPod to, CancellationToken cancellationToken) =>
        await _probe.ForgedArrivesAsync(from.Network, forged, to.Network, to.Address, cancellationToken)
            ? throw new CheckFailedException($"{to.Address} received a packet with the forged source {forged}")
            : $"{from.Address} as {forged}: not received";

    /// <summary>A source forged by the node: the VPC drops it, and the counter of the ENI by which it left goes up.</summary>
    public async Task<string> ForgedByNodeAsync(LabNode fromNode, IPAddress forged, LabPod to, CancellationToken cancellationToken)
    {
        var before = await SpoofedAsync(fromNode, cancellationToken);
        if (await _probe.ForgedArrivesAsync(fromNode.Network, forged, to.Network, to.Address, cancellationToken))
            throw new CheckFailedException($"{to.Address} received a packet with the forged source {forged}");
        var after = await SpoofedAsync(fromNode, cancellationToken);
        return after > before
            ? $"{fromNode.Name} as {forged}: not received, counted {before} -> {after}"
            : throw new CheckFailedException(
                $"the forged packet did not arrive, but no counter of {fromNode.Name} went up: it was lost elsewhere"
            );
    }

    /// <summary>One answer from each of these pods, seen from another.</summary>
    public async Task ReachAllAsync(LabPod from, IEnumerable<LabPod> pods, CancellationToken cancellationToken)
    {
        foreach (var pod in pods)
            await _probe.PingAsync(from.Network, pod.Address, cancellationToken);
    }

    private async Task<long> SpoofedAsync(LabNode node, CancellationToken cancellationToken) =>
        (await lab.StatusAsync(cancellationToken)).Nodes.First(status => status.Name == node.Name).Enis.Sum(eni => eni.Spoofed.Packets);

    /// <summary>The shortest time of <see cref="Pings"/> answers.</summary>
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
        var outcome = await _probe.TcpAsync(from, to.Network, to.Address, cancellationToken);
        if (expectedSource is not null && !outcome.SeenSource.Equals(expectedSource))
            throw new CheckFailedException(
                $"{to.Address} saw the connection come from {outcome.SeenSource}; expected the pod's own address {expectedSource}"
            );
    }

    /// <summary>The link of the ENI that owns the pod's address, according to EC2.</summary>
    public string LinkOf(LabNode node, LabPod pod) =>
        lab.World.With(world =>
            world.FindOwner(pod.Address)?.Attachment is { } attachment && attachment.Instance == node.Instance.Id
                ? FabricNames.NodeLink(attachment.DeviceIndex, attachment.NetworkCard)
                : throw new CheckFailedException($"{pod.Address} of {pod.Name} belongs to no ENI of {node.Name}")
        );

    /// <summary>The node's end of the pod's link: the first interface of the plugin's result.</summary>
    public static string HostLinkOf(LabPod pod) =>
        (string?)pod.Result["interfaces"]?[0]?["name"]
        ?? throw new CheckFailedException($"the result of {pod.Name}'s ADD names no host link");

    public static string Milliseconds(TimeSpan elapsed) => $"{elapsed.TotalMilliseconds:F2} ms";
}
