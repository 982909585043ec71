// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>A pod starts or stops.</summary>
internal readonly record struct PodEvent(TimeSpan At, int Pod, bool Starts);

/// <summary>
/// One node's pods over hours: a steady stream of short-lived ones, and a job of many at once every ten minutes. Each policy runs on the
/// same trace.
/// </summary>
internal static class PodTrace
{
    /// <param name="pods">Number of pods.</param>
    /// <param name="most">Most pods at the same time.</param>
    /// <param name="seed">Seed of the trace.</param>
    public static IReadOnlyList<PodEvent> Create(int pods, int most, int seed)
    {
        var random = new Random(seed);
        List<PodEvent> events = [];
        var running = new PriorityQueue<int, TimeSpan>();
        var now = TimeSpan.Zero;
        var nextJob = TimeSpan.FromMinutes(10);
        for (var pod = 0; pod < pods; )
        {
            now += Scenario.Exponential(random, TimeSpan.FromSeconds(8));
            var count = 1;
            if (now >= nextJob)
            {
                nextJob += TimeSpan.FromMinutes(10);
                count = 15;
            }

            for (var one = 0; one < count && pod < pods; one++)
            {
                while (running.TryPeek(out _, out var ends) && ends <= now)
                    running.Dequeue();
                if (running.Count >= most)
                    break;
                var end = now + TimeSpan.FromSeconds(5) + Scenario.Exponential(random, TimeSpan.FromSeconds(90));
                running.Enqueue(pod, end);
                events.Add(new PodEvent(now, pod, Starts: true));
                events.Add(new PodEvent(end, pod, Starts: false));
                pod++;
            }
        }

        return [.. events.OrderBy(item => item.At).ThenBy(item => item.Pod).ThenByDescending(item => item.Starts)];
    }
}
