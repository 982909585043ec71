// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace VpcCni.Bench;

/// <summary>Durations of one contender.</summary>
internal sealed class Samples
{
    public List<double> Add { get; } = [];
    public List<double> Delete { get; } = [];

    /// <summary>From the start of DEL until the link of the pod is gone, whichever process deletes it.</summary>
    public List<double> Gone { get; } = [];
}

/// <summary>
/// Runs the measurements. Contenders alternate and each round starts with another one, so that drift of the machine affects all of them
/// alike.
/// </summary>
internal static class Measurements
{
    /// <summary>
    /// Pause between two contenders, so that the time of one does not include work that the other started in the kernel or the daemon.
    /// </summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(30);

    /// <summary>Sequential ADDs and DELs, in milliseconds.</summary>
    public static Dictionary<Contender, Samples> Sequential(Arena arena, IReadOnlyList<Contender> contenders, int warmup, int rounds) =>
        arena.Node.Network.Run(() =>
        {
            var samples = contenders.ToDictionary(contender => contender, _ => new Samples());
            for (var round = -warmup; round < rounds; round++)
            {
                for (var turn = 0; turn < contenders.Count; turn++)
                {
                    var contender = contenders[Math.Abs(round + turn) % contenders.Count];
                    var sandbox = arena.Take();
                    var (add, result) = contender.Add(sandbox);
                    var started = Stopwatch.GetTimestamp();
                    var delete = contender.Delete(sandbox, result);
                    arena.Settle(pods: 0);
                    var gone = Stopwatch.GetElapsedTime(started);
                    Thread.Sleep(Pause);
                    arena.Return(sandbox);
                    if (round < 0)
                        continue;
                    samples[contender].Add.Add(add.TotalMilliseconds);
                    samples[contender].Delete.Add(delete.TotalMilliseconds);
                    samples[contender].Gone.Add(gone.TotalMilliseconds);
                }
            }

            return samples;
        });

    /// <summary>
    /// Concurrent ADDs and DELs, as when a node is drained onto another: pods per second from the first start to the last end.
    /// </summary>
    public static Dictionary<Contender, Samples> Bursts(Arena arena, IReadOnlyList<Contender> contenders, int pods, int rounds)
    {
        var samples = contenders.ToDictionary(contender => contender, _ => new Samples());
        for (var round = -1; round < rounds; round++)
        {
            for (var turn = 0; turn < contenders.Count; turn++)
            {
                var contender = contenders[(round + 1 + turn) % contenders.Count];
                var sandboxes = Enumerable.Range(0, pods).Select(_ => arena.Take()).ToList();
                var results = new string[pods];
                var add = AtOnce(arena, pods, index => results[index] = contender.Add(sandboxes[index]).Result);
                var delete = AtOnce(arena, pods, index => contender.Delete(sandboxes[index], results[index]));
                arena.Settle(pods: 0);
                Thread.Sleep(Pause);
                foreach (var sandbox in sandboxes)
                    arena.Return(sandbox);
                if (round < 0)
                    continue;
                samples[contender].Add.Add(pods / add.TotalSeconds);
                samples[contender].Delete.Add(pods / delete.TotalSeconds);
            }
        }

        return samples;
    }

    /// <summary>Resident memory of the daemon in MiB: idle, and with pods, each half a minute after the last change.</summary>
    public static (double Idle, double WithPods) Memory(Arena arena, Contender ours, int pods)
    {
        Thread.Sleep(Settled);
        var idle = arena.Node.Ipamd!.ResidentMebibytes!.Value;
        var added = new List<(Sandbox Sandbox, string Result)>();
        arena.Node.Network.Run(() =>
        {
            for (var index = 0; index < pods; index++)
            {
                var sandbox = arena.Take();
                added.Add((sandbox, ours.Add(sandbox).Result));
            }
        });
        Thread.Sleep(Settled);
        var withPods = arena.Node.Ipamd.ResidentMebibytes!.Value;
        arena.Node.Network.Run(() =>
        {
            foreach (var (sandbox, result) in added)
            {
                ours.Delete(sandbox, result);
                arena.Return(sandbox);
            }
        });
        arena.Settle(pods: 0);
        return (idle, withPods);
    }

    private static TimeSpan AtOnce(Arena arena, int count, Action<int> body)
    {
        var failures = new Exception?[count];
        using var gate = new Barrier(count + 1);
        var threads = Enumerable
            .Range(0, count)
            .Select(index => new Thread(() =>
                arena.Node.Network.Run(() =>
                {
                    gate.SignalAndWait();
                    try
                    {
                        body(index);
                    }
                    catch (Exception exception)
                    {
                        failures[index] = exception;
                    }
                })
            ))
            .ToList();
        foreach (var thread in threads)
            thread.Start();
        gate.SignalAndWait();
        var started = Stopwatch.GetTimestamp();
        foreach (var thread in threads)
            thread.Join();
        var elapsed = Stopwatch.GetElapsedTime(started);
        if (failures.OfType<Exception>().ToList() is { Count: > 0 } failed)
            throw new AggregateException($"{failed.Count} of {count} failed", failed);
        return elapsed;
    }
}
