// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>The kernel's packet counters of a link. They prove which path a packet took.</summary>
internal readonly record struct LinkCounters(long ReceivedPackets, long SentPackets)
{
    /// <summary>Reads the counters of all links of a namespace from <c>/proc/net/dev</c> of a thread in it.</summary>
    public static IReadOnlyDictionary<string, LinkCounters> Read(NetworkNamespace network) =>
        Parse(network.Run(() => File.ReadAllLines("/proc/thread-self/net/dev")));

    /// <summary>Parses two header lines, then <c>name: rx-bytes rx-packets (6 more) tx-bytes tx-packets ...</c>.</summary>
    internal static IReadOnlyDictionary<string, LinkCounters> Parse(IReadOnlyList<string> lines)
    {
        var counters = new Dictionary<string, LinkCounters>();
        foreach (var line in lines.Skip(2))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0)
                throw new FormatException($"/proc/net/dev: expected 'name: numbers', got '{line}'");
            var fields = line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            counters[line[..colon].Trim()] = new LinkCounters(long.Parse(fields[1]), long.Parse(fields[9]));
        }

        return counters;
    }
}
