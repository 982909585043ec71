// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// The events of a run in order: the newest lines for a reader, and a hash over all, which is equal in two runs of one seed.
/// </summary>
internal sealed class Trace(VirtualTime time)
{
    private const int KeptLines = 300;
    private const ulong FnvOffset = 14695981039346656037;
    private const ulong FnvPrime = 1099511628211;

    private readonly Queue<string> _tail = new();
    private readonly DateTimeOffset _start = time.GetUtcNow();

    /// <summary>FNV-1a, 64 bits, over every line.</summary>
    public ulong Hash { get; private set; } = FnvOffset;

    public long Lines { get; private set; }

    public IEnumerable<string> Tail => _tail;

    /// <summary>When set, every line is also written here.</summary>
    public TextWriter? Echo { get; init; }

    public void Add(string line)
    {
        var stamped = $"{(time.GetUtcNow() - _start).TotalSeconds, 10:0.000}  {line}";
        foreach (var character in stamped)
        {
            Hash = (Hash ^ (byte)character) * FnvPrime;
            Hash = (Hash ^ (byte)(character >> 8)) * FnvPrime;
        }

        Lines++;
        _tail.Enqueue(stamped);
        if (_tail.Count > KeptLines)
            _tail.Dequeue();
        Echo?.WriteLine(stamped);
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        if (Lines > _tail.Count)
            text.AppendLine($"... {Lines - _tail.Count} lines before");
        foreach (var line in _tail)
            text.AppendLine(line);
        return text.ToString();
    }
}
