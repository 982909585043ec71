// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;
using VpcCni.Netlink;

namespace VpcCni.Lab.Cli.Demo;

/// <summary>Steps and checks of the demo on a running lab with three nodes.</summary>
/// <param name="lab">The lab.</param>
/// <param name="family">The family of the pods' addresses that the checks of traffic use.</param>
/// <param name="podsPerNode">Number of pods that <see cref="AddPodsAsync"/> adds to each node.</param>
/// <param name="report">The report.</param>
/// <param name="cooldown">The daemons' IP_COOLDOWN_PERIOD.</param>
/// <param name="time">The clock.</param>
/// <param name="cancellationToken">Cancels the steps.</param>
internal sealed class DemoRun(
    VpcLab lab,
    AddressFamily family,
    IReadOnlyList<int> podsPerNode,
    DemoReport report,
    TimeSpan cooldown,
    TimeProvider time,
    CancellationToken cancellationToken
)
{
    /// <summary>Number of concurrent ADDs, as many as a busy kubelet runs.</summary>
    private const int Parallel = 10;

    private const int Deleted = 6;

    private readonly PodTraffic _traffic = new(lab, family, time);
    private readonly LabNode _firstNode = lab.Nodes[0],
        _secondNode = lab.Nodes[1],
        _thirdNode = lab.Nodes[2];

    public async Task AddPodsAsync()
    {
        var enisBefore = EniCounts();
        await report.StepAsync(
            $"{podsPerNode.Sum()} pods through the CNI plugin",
            async () =>
            {
                var pods = podsPerNode.SelectMany(
                    (count, node) =>
                        Enumerable.Range(0, count).Select(pod => (lab.Nodes[node], new PodName("demo", $"web-{node + 1}-{pod}")))
                );
                var times = await AddAsync(pods);
                times.Sort();
                return $"ADD median {times[times.Count / 2].TotalMilliseconds:F0} ms, slowest {times[^1].TotalMilliseconds:F0} ms";
            }
        );
        await report.CheckAsync("every pod has a VPC address of its node", () => Task.FromResult(CheckOwners()));
        // One IPv6 prefix is enough for all pods of a node.
        if (family == IpFamily.V6)
            return;
        await report.CheckAsync(
            "ENIs grew on demand",
            () =>
            {
                var after = EniCounts();
                return after.Zip(enisBefore).Any(pair => pair.First > pair.Second)
                    ? Task.FromResult($"ENIs per node {string.Join('/', enisBefore)} -> {string.Join('/', after)}")
                    : throw new CheckFailedException($"still {string.Join('/', after)} ENIs per node");
            }
        );
    }

    /// <summary>Checks that a pod reaches the instance metadata, and that packets with forged sources are dropped.</summary>
    public async Task CheckTrafficAsync()
    {
        var first = _firstNode.Pods[0];
        var suffix = family == IpFamily.V4 ? "" : ", IPv6";
        // The metadata has an IPv4 address only.
        if (family == IpFamily.V4)
            await report.CheckAsync("pod to the instance metadata", () => PodTraffic.ToMetadataAsync(first, cancellationToken));
        await report.CheckAsync(
            $"a source forged by a pod is dropped{suffix}",
            () => _traffic.ForgedByPodAsync(first, _traffic.AddressOf(_secondNode.Pods[0]), _thirdNode.Pods[0], cancellationToken)
        );
        await report.CheckAsync(
            $"a source forged by a node is dropped{suffix}",
            () => _traffic.ForgedByNodeAsync(_firstNode, _traffic.AddressOf(_secondNode.Pods[0]), _thirdNode.Pods[0], cancellationToken)
        );
    }

    /// <summary>
    /// Deletes pods and checks that their addresses are not reused before the cooldown has passed, and are then reused or released to EC2.
    /// </summary>
    public async Task CheckDeletionAsync()
    {
        var gone = _firstNode.Pods.Take(Deleted).ToArray();
        var deletedAt = time.GetTimestamp();
        await report.StepAsync(
            $"delete {Deleted} pods of {_firstNode.Name}",
            async () =>
            {
                await Task.WhenAll(gone.Select(pod => lab.DeletePodAsync(_firstNode.Name, PodName.Parse(pod.Name), cancellationToken)));
                return "";
            }
        );
        await report.CheckAsync(
            "deleted addresses cool before reuse",
            async () =>
            {
                var pod = await lab.AddPodAsync(_firstNode.Name, new PodName("demo", "early"), cancellationToken);
                var since = time.GetElapsedTime(deletedAt);
                var reused = gone.Any(old => old.Address.Equals(pod.Address));
                var cooling = await CoolingAsync();
                if (since < cooldown && cooling < Deleted)
                    throw new CheckFailedException(
                        $"{cooling} addresses are cooling {since.TotalSeconds:F1} s after {Deleted} pods were deleted"
                    );
                return reused && since < cooldown
                    ? throw new CheckFailedException(
                        $"{pod.Address} was assigned again {since.TotalSeconds:F1} s after its pod was deleted; the cooldown is "
                            + $"{cooldown.TotalSeconds} s"
                    )
                    : $"{cooling} cooling; a new pod has another address, {pod.Address}";
            }
        );
        await report.CheckAsync(
            "deleted addresses leave the cooldown",
            async () =>
            {
                await Waiting.UntilAsync(async () => await CoolingAsync() == 0, "addresses are still cooling", time, cancellationToken);
                var since = time.GetElapsedTime(deletedAt);
                return since >= cooldown
                    ? $"none cooling {since.TotalSeconds:F1} s after DEL"
                    : throw new CheckFailedException(
                        $"none cooling {since.TotalSeconds:F1} s after DEL; the cooldown is {cooldown.TotalSeconds} s"
                    );
            }
        );
        await report.CheckAsync(
            "they are reused, or released to EC2",
            async () =>
            {
                await AddAsync(Enumerable.Range(0, Deleted).Select(pod => (_firstNode, new PodName("demo", $"again-{pod}"))));
                CheckOwners();
                var used = gone.Count(old => _firstNode.Pods.Any(pod => pod.Address.Equals(old.Address)));
                var released = gone.Count(old => lab.World.With(world => world.FindOwner(old.Address)) is null);
                return used + released > 0
                    ? $"{used} of {Deleted} reused, {released} released"
                    : throw new CheckFailedException($"{Deleted} new pods, but none of the {Deleted} addresses was reused or released");
            }
        );
    }

    /// <summary>Kills a daemon and checks that its pods keep running and keep their addresses, and that new pods get others.</summary>
    public async Task CheckRestartAsync()
    {
        var before = _secondNode.Pods;
        await report.CheckAsync(
            "pods keep running while ipamd is down",
            async () =>
            {
                await _secondNode.Ipamd!.KillAsync(cancellationToken);
                await _traffic.ReachAllAsync(_firstNode.Pods[0], before, cancellationToken);
                return $"{before.Count} pods of {_secondNode.Name} answer";
            }
        );
        await report.StepAsync(
            "restart ipamd",
            async () =>
            {
                await lab.RestartIpamdAsync(_secondNode.Name, cancellationToken);
                return "kill -9, start, serving";
            }
        );
        await report.CheckAsync(
            "pods keep their addresses after the restart",
            async () =>
            {
                await _traffic.ReachAllAsync(_firstNode.Pods[0], before, cancellationToken);
                await AddAsync([
                    (_secondNode, new PodName("demo", "late-0")),
                    (_secondNode, new PodName("demo", "late-1")),
                    (_secondNode, new PodName("demo", "late-2")),
                ]);
                CheckOwners();
                return $"3 more pods, {lab.Nodes.Sum(node => node.Pods.Count)} distinct addresses";
            }
        );
        await report.CheckAsync(
            "a pod from before the restart is deleted",
            async () =>
            {
                await lab.DeletePodAsync(_secondNode.Name, PodName.Parse(before[0].Name), cancellationToken);
                return before[0].Name;
            }
        );
    }

    private async Task<List<TimeSpan>> AddAsync(IEnumerable<(LabNode Node, PodName Pod)> pods)
    {
        var times = new ConcurrentBag<TimeSpan>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = Parallel, CancellationToken = cancellationToken };
        await System.Threading.Tasks.Parallel.ForEachAsync(
            pods,
            options,
            async (one, cancelled) => times.Add((await lab.AddPodAsync(one.Node.Name, one.Pod, cancelled)).AddElapsed)
        );
        return [.. times];
    }

    /// <summary>Checks that all pods have distinct addresses, each owned, according to EC2, by an ENI of the pod's node.</summary>
    private string CheckOwners()
    {
        var addresses = lab
            .Nodes.SelectMany(node =>
                node.Pods.SelectMany(pod => pod.Addresses.Select(address => (Node: node, Pod: pod, Address: address)))
            )
            .ToArray();
        var twice = addresses.GroupBy(one => one.Address).FirstOrDefault(group => group.Count() > 1);
        if (twice is not null)
            throw new CheckFailedException($"{twice.Key} is assigned to {string.Join(" and ", twice.Select(one => one.Pod.Name))}");
        foreach (var (node, pod, address) in addresses)
        {
            var owner = lab.World.With(world => world.FindOwner(address));
            if (owner?.Attachment?.Instance != node.Instance.Id)
                throw new CheckFailedException($"{pod.Name} on {node.Name} has {address}, which belongs to {owner?.Id.Value ?? "no ENI"}");
            // Of the IPv6 addresses, the node itself has the first one of its primary ENI.
            var ownIpv6 = owner.Attachment.IsPrimary ? owner.Ipv6Addresses.FirstOrDefault() : owner.PrimaryIpv6Address;
            if (address.Equals(owner.PrimaryAddress) || address.Equals(ownIpv6))
                throw new CheckFailedException($"{pod.Name} has {address}, the primary address of {owner.Id}");
        }

        return $"{addresses.Length} distinct, each owned by an ENI of its node";
    }

    private int[] EniCounts() => [.. lab.Nodes.Select(node => lab.World.With(world => world.InterfacesOf(node.Instance.Id).Count))];

    /// <summary>Number of cooling addresses that the first node's daemon reports. Its JSON omits zeros.</summary>
    private async Task<int> CoolingAsync()
    {
        var outcome = await _firstNode.Ipamd!.RunCommandAsync(["status", "--json"], cancellationToken);
        if (outcome.ExitCode != 0)
            throw new CheckFailedException($"ipamd status failed with {outcome.ExitCode}: {outcome.Errors.Trim()}");
        return (int?)JsonNode.Parse(outcome.Output)?["pool"]?["cooling"] ?? 0;
    }
}
