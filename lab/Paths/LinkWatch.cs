// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Paths;

/// <summary>What a node's links carry from the making of this on: the proof that packets took the intended way, and no other.</summary>
internal sealed class LinkWatch(LabNode node)
{
    public const string PrimaryLink = "eth0";

    private readonly IReadOnlyDictionary<string, LinkCounters> _before = LinkCounters.Read(node.Network);

    /// <summary>Looks again: everything until now is counted.</summary>
    public LinkDelta Stop() => new(node.Name, _before, LinkCounters.Read(node.Network));
}

/// <summary>What a node's links carried between two looks.</summary>
internal sealed class LinkDelta(
    string node,
    IReadOnlyDictionary<string, LinkCounters> before,
    IReadOnlyDictionary<string, LinkCounters> after
)
{
    /// <summary>Packets that left by a link, which had to be so many or more.</summary>
    /// <exception cref="CheckFailedException">They were fewer.</exception>
    public long Sent(string link, int atLeast) => Need(Delta(link).SentPackets, atLeast, $"left {node} by {link}");

    /// <summary>Packets that arrived by a link, which had to be so many or more.</summary>
    /// <exception cref="CheckFailedException">They were fewer.</exception>
    public long Received(string link, int atLeast) => Need(Delta(link).ReceivedPackets, atLeast, $"reached {node} by {link}");

    /// <exception cref="CheckFailedException">So many packets or more left by the link.</exception>
    public void NotSent(string link, int atMost)
    {
        var sent = Delta(link).SentPackets;
        if (sent >= atMost)
            throw new CheckFailedException($"{sent} packets left {node} by {link}, which is not their way");
    }

    /// <exception cref="CheckFailedException">So many packets or more left by an ENI.</exception>
    public void NotSentByAnyEni(int atMost)
    {
        foreach (var link in after.Keys.Where(name => name == LinkWatch.PrimaryLink || name.StartsWith("ens", StringComparison.Ordinal)))
            NotSent(link, atMost);
    }

    /// <summary>A link that came meanwhile began at zero.</summary>
    private LinkCounters Delta(string link)
    {
        if (!after.TryGetValue(link, out var now))
            throw new CheckFailedException($"{node} has no link {link}");
        var then = before.GetValueOrDefault(link);
        return new LinkCounters(now.ReceivedPackets - then.ReceivedPackets, now.SentPackets - then.SentPackets);
    }

    private static long Need(long packets, int atLeast, string how) =>
        packets >= atLeast ? packets : throw new CheckFailedException($"only {packets} packets {how}; expected {atLeast} or more");
}
