// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Paths;

/// <summary>Counts the packets of a node's links from its construction until <see cref="Stop"/>, to prove which path they took.</summary>
internal sealed class LinkWatch(LabNode node)
{
    public const string PrimaryLink = "eth0";

    private readonly IReadOnlyDictionary<string, LinkCounters> _before = LinkCounters.Read(node.Network);

    /// <summary>Reads the counters again and returns the difference.</summary>
    public LinkDelta Stop() => new(node.Name, _before, LinkCounters.Read(node.Network));
}

/// <summary>Packets that a node's links carried between two readings of their counters.</summary>
internal sealed class LinkDelta(
    string node,
    IReadOnlyDictionary<string, LinkCounters> before,
    IReadOnlyDictionary<string, LinkCounters> after
)
{
    /// <summary>Returns the number of packets that the link sent.</summary>
    /// <exception cref="CheckFailedException">It sent fewer than <paramref name="atLeast"/>.</exception>
    public long RequireSent(string link, int atLeast) => RequireAtLeast(Delta(link).SentPackets, atLeast, $"left {node} by {link}");

    /// <summary>Returns the number of packets that the link received.</summary>
    /// <exception cref="CheckFailedException">It received fewer than <paramref name="atLeast"/>.</exception>
    public long RequireReceived(string link, int atLeast) =>
        RequireAtLeast(Delta(link).ReceivedPackets, atLeast, $"reached {node} by {link}");

    /// <summary>Checks that a link sent few packets, such as those of the daemon.</summary>
    /// <exception cref="CheckFailedException">It sent <paramref name="limit"/> or more.</exception>
    public void RequireNotSent(string link, int limit)
    {
        var sent = Delta(link).SentPackets;
        if (sent >= limit)
            throw new CheckFailedException($"{sent} packets left {node} by {link}; expected fewer than {limit}");
    }

    /// <summary>Checks that every ENI sent few packets.</summary>
    /// <exception cref="CheckFailedException">One sent <paramref name="limit"/> or more.</exception>
    public void RequireNotSentByAnyEni(int limit)
    {
        foreach (var link in after.Keys.Where(name => name == LinkWatch.PrimaryLink || name.StartsWith("ens", StringComparison.Ordinal)))
            RequireNotSent(link, limit);
    }

    /// <summary>The counters' difference; the counters of a link that was added meanwhile started at zero.</summary>
    private LinkCounters Delta(string link)
    {
        if (!after.TryGetValue(link, out var now))
            throw new CheckFailedException($"{node} has no link {link}");
        var then = before.GetValueOrDefault(link);
        return new LinkCounters(now.ReceivedPackets - then.ReceivedPackets, now.SentPackets - then.SentPackets);
    }

    private static long RequireAtLeast(long packets, int atLeast, string how) =>
        packets >= atLeast ? packets : throw new CheckFailedException($"only {packets} packets {how}; expected {atLeast} or more");
}
