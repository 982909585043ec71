// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Paths;

/// <summary>
/// The traffic checks. Each proves three things where they apply: an answer came (ICMP and TCP), the server saw the sender's own address (no NAT), and the packets took the
/// expected link, which its counters show.
/// </summary>
internal sealed class PodTraffic(VpcLab lab, TimeProvider time)
{
    /// <summary>Enough to stand out from the daemon's own traffic on the same links.</summary>
    public const int Pings = 200;

    private readonly Probe _probe = new(time, TimeSpan.FromSeconds(5));

    /// <summary>Pod to pod on one node: no link of the node but the pods' own carries it.</summary>
    public async Task<string> WithinNodeAsync(LabNode node, LabPod from, LabPod to, CancellationToken cancellationToken)
    {
        var before = LinkCounters.Read(node.Network);
        var ping = await PingManyAsync(from.Network, to.Address, cancellationToken);
        await TcpAsync(from.Network, to, from.Address, cancellationToken);
        foreach (var (link, counters) in Enis(node, LinkCounters.Read(node.Network)))
        {
            // An ENI that was attached meanwhile began at zero.
            var sent = counters.SentPackets - before.GetValueOrDefault(link).SentPackets;
            if (sent >= Pings) throw new CheckFailedException($"{sent} packets left {node.Name} by {link}, although both pods are on it");
        }

        return $"{from.Address} -> {to.Address}, ping {Milliseconds(ping)}, no ENI used";
    }

    /// <summary>Pod to pod on another node: through the ENI that owns the sender's address, and in by the one that owns the receiver's.</summary>
    public async Task<string> AcrossNodesAsync(LabNode fromNode, LabPod from, LabNode toNode, LabPod to, CancellationToken cancellationToken)
    {
        var (outLink, inLink) = (LinkOf(fromNode, from), LinkOf(toNode, to));
        var (outBefore, inBefore) = (LinkCounters.Read(fromNode.Network)[outLink], LinkCounters.Read(toNode.Network)[inLink]);
        var ping = await PingManyAsync(from.Network, to.Address, cancellationToken);
        await TcpAsync(from.Network, to, from.Address, cancellationToken);
        var sent = LinkCounters.Read(fromNode.Network)[outLink].SentPackets - outBefore.SentPackets;
        var received = LinkCounters.Read(toNode.Network)[inLink].ReceivedPackets - inBefore.ReceivedPackets;
        if (sent < Pings) throw new CheckFailedException($"only {sent} of {Pings} packets left {fromNode.Name} by {outLink}, whose ENI owns {from.Address}");
        if (received < Pings) throw new CheckFailedException($"only {received} of {Pings} packets reached {toNode.Name} by {inLink}, whose ENI owns {to.Address}");
        return $"{from.Address} -> {to.Address}, ping {Milliseconds(ping)}, {outLink} -> {inLink}";
    }

    public async Task<string> FromNodeAsync(LabNode node, LabPod pod, CancellationToken cancellationToken)
    {
        var ping = await _probe.PingAsync(node.Network, pod.Address, cancellationToken);
        await TcpAsync(node.Network, pod, expectedSource: null, cancellationToken);
        return $"{node.Name} -> {pod.Address}, ping {Milliseconds(ping)}";
    }

    /// <summary>A token of the metadata service, asked for from inside a pod.</summary>
    public static async Task<string> ToMetadataAsync(LabPod pod, CancellationToken cancellationToken)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancelled) =>
            {
                var socket = pod.Network.OpenSocket(System.Net.Sockets.AddressFamily.InterNetwork, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
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
        return response.IsSuccessStatusCode ? $"{pod.Address} -> {FabricAddresses.Imds}, token given" : throw new CheckFailedException($"the metadata service answered {(int)response.StatusCode}");
    }

    /// <summary>A source forged by a pod: the receiver gets nothing of it. The node itself drops it, by its reverse path filter on the pod's link.</summary>
    public async Task<string> ForgedByPodAsync(LabPod from, IPAddress forged, LabPod to, CancellationToken cancellationToken)
        => await _probe.ForgedArrivesAsync(from.Network, forged, to.Network, to.Address, cancellationToken)
            ? throw new CheckFailedException($"{to.Address} received a packet with the forged source {forged}")
            : $"{from.Address} as {forged}: not received";

    /// <summary>A source forged by the node: the VPC drops it, and the counter of the ENI by which it left goes up.</summary>
    public async Task<string> ForgedByNodeAsync(LabNode fromNode, IPAddress forged, LabPod to, CancellationToken cancellationToken)
    {
        var before = await SpoofedAsync(fromNode, cancellationToken);
        if (await _probe.ForgedArrivesAsync(fromNode.Network, forged, to.Network, to.Address, cancellationToken)) throw new CheckFailedException($"{to.Address} received a packet with the forged source {forged}");
        var after = await SpoofedAsync(fromNode, cancellationToken);
        return after > before ? $"{fromNode.Name} as {forged}: not received, counted {before} -> {after}" : throw new CheckFailedException($"the forged packet did not arrive, but no counter of {fromNode.Name} went up: it was lost elsewhere");
    }

    /// <summary>One answer from each of these pods, seen from another.</summary>
    public async Task ReachAllAsync(LabPod from, IEnumerable<LabPod> pods, CancellationToken cancellationToken)
    {
        foreach (var pod in pods) await _probe.PingAsync(from.Network, pod.Address, cancellationToken);
    }

    private async Task<long> SpoofedAsync(LabNode node, CancellationToken cancellationToken)
        => (await lab.StatusAsync(cancellationToken)).Nodes.First(status => status.Name == node.Name).Enis.Sum(eni => eni.Spoofed.Packets);

    /// <summary>The shortest time of <see cref="Pings"/> answers.</summary>
    public async Task<TimeSpan> PingManyAsync(NetworkNamespace from, IPAddress target, CancellationToken cancellationToken)
    {
        var best = TimeSpan.MaxValue;
        for (var count = 0; count < Pings; count++)
        {
            var elapsed = await _probe.PingAsync(from, target, cancellationToken);
            if (elapsed < best) best = elapsed;
        }

        return best;
    }

    private async Task TcpAsync(NetworkNamespace from, LabPod to, IPAddress? expectedSource, CancellationToken cancellationToken)
    {
        var outcome = await _probe.TcpAsync(from, to.Network, to.Address, cancellationToken);
        if (expectedSource is not null && !outcome.SeenSource.Equals(expectedSource))
            throw new CheckFailedException($"{to.Address} saw the connection come from {outcome.SeenSource}; expected the pod's own address {expectedSource}");
    }

    /// <summary>The link of the ENI that owns the pod's address, according to EC2.</summary>
    public string LinkOf(LabNode node, LabPod pod) => lab.World.With(world => world.FindOwner(pod.Address)?.Attachment is { } attachment && attachment.Instance == node.Instance.Id
        ? FabricNames.NodeLink(attachment.DeviceIndex, attachment.NetworkCard)
        : throw new CheckFailedException($"{pod.Address} of {pod.Name} belongs to no ENI of {node.Name}"));

    private static IEnumerable<KeyValuePair<string, LinkCounters>> Enis(LabNode node, IReadOnlyDictionary<string, LinkCounters> counters)
    {
        using var netlink = node.Network.OpenRouteNetlink();
        var names = netlink.GetLinks().Select(link => link.Name).Where(name => name is "eth0" || name.StartsWith("ens", StringComparison.Ordinal)).ToHashSet();
        return [.. counters.Where(pair => names.Contains(pair.Key))];
    }

    public static string Milliseconds(TimeSpan elapsed) => $"{elapsed.TotalMilliseconds:F2} ms";
}
