// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Options;
using Xunit;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>
/// A node whose every address is assigned or cooling: a new pod gets an address when the first cooldown ends, without a delay from earlier
/// failures. The bound is the cooldown; kubelet retries after 10 s with a new sandbox.
/// </summary>
public sealed class FullNodeTests
{
    private const int Full = 27;
    private static readonly TimeSpan Cooldown = new IpamdOptions().Cooldown;
    private static readonly TimeSpan KubeletRetry = TimeSpan.FromSeconds(10);

    /// <summary>Time for collecting events and writing the checkpoint.</summary>
    private static readonly TimeSpan Overhead = TimeSpan.FromMilliseconds(100);

    private readonly ComparedNode _node = new("m5.large");
    private readonly OurPolicy _ours;

    public FullNodeTests() => _ours = new OurPolicy(_node, new Dictionary<string, string>()) { Retry = KubeletRetry };

    [Fact]
    public void Rolling_update_of_a_full_node_costs_each_pod_one_cooldown()
    {
        At(TimeSpan.Zero, () => Start(0, Full));
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal((Full, 0), (_ours.Waits.Count, _ours.Refused));

        // A quarter at a time, as a Deployment does by default: old pods end, new ones start at once.
        const int batch = 7;
        for (var done = 0; done < 21; done += batch)
        {
            var first = done;
            At(
                TimeSpan.Zero,
                () =>
                {
                    Stop(first, first + batch);
                    Start(Full + first, Full + first + batch);
                }
            );
            _node.Time.Advance(TimeSpan.FromMinutes(1));
        }

        var waits = _ours.Waits.Skip(Full).ToArray();
        Assert.Equal(21, waits.Length);
        Assert.All(waits, wait => Assert.InRange(wait, Cooldown, Cooldown + Overhead));
        // The first ADD fails at once with the time of the next free address; the second sandbox waits for it.
        Assert.Equal(21, _ours.Refused);
    }

    [Fact]
    public void Returning_pods_are_served_as_each_cooldown_ends()
    {
        At(TimeSpan.Zero, () => Start(0, Full));
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        // Scaled down one after the other, and up again before any cooldown has ended.
        for (var pod = 0; pod < 20; pod++)
        {
            var one = pod;
            At(TimeSpan.FromMilliseconds(500 * pod), () => Stop(one, one + 1));
        }

        At(TimeSpan.FromSeconds(15), () => Start(100, 120));
        _node.Time.Advance(TimeSpan.FromMinutes(2));
        var waits = _ours.Waits.Skip(Full).ToArray();
        // The first ten wait. The others would exceed the limit of an ADD, fail at once, and wait when they are retried.
        Assert.Equal((20, 10), (waits.Length, _ours.Refused));
        // Oldest cooldown first, first come first served.
        for (var pod = 0; pod < 20; pod++)
            Assert.InRange(waits[pod], EndOf(pod), EndOf(pod) + Overhead);

        TimeSpan EndOf(int pod) => Cooldown + TimeSpan.FromMilliseconds(500 * pod) - TimeSpan.FromSeconds(15);
    }

    private void At(TimeSpan after, Action action) => _node.Time.After(after, action);

    private void Start(int first, int end)
    {
        for (var pod = first; pod < end; pod++)
            _ours.StartPod(pod);
    }

    private void Stop(int first, int end)
    {
        for (var pod = first; pod < end; pod++)
            _ours.StopPod(pod);
    }
}
