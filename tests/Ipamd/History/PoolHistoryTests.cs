// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using Xunit;

namespace VpcCni.Ipamd.Tests.History;

public sealed class PoolHistoryTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private readonly PoolHistory _history = new();

    [Fact]
    public void Deleted_pod_is_dropped_before_running_ones()
    {
        Served("runs");
        for (var index = 0; index < PoolHistory.MaxPods * 2; index++)
        {
            Served($"job-{index}");
            _history.Observe(new PoolEvent.Deleted(Start, Key($"job-{index}"), Of($"job-{index}"), TimeSpan.Zero));
        }

        Assert.NotNull(_history.Find(Pod("runs")));
        Assert.Null(_history.Find(Pod("job-0")));
        Assert.NotNull(_history.Find(Pod($"job-{(PoolHistory.MaxPods * 2) - 1}")));
        Assert.Empty(_history.FindByContainer("job-0-sandbox"));
    }

    [Fact]
    public void Running_pod_with_the_oldest_last_event_is_dropped()
    {
        for (var index = 0; index <= PoolHistory.MaxPods; index++)
            Served($"pod-{index}");
        Assert.Null(_history.Find(Pod("pod-0")));
        Assert.NotNull(_history.Find(Pod("pod-1")));
    }

    [Fact]
    public void Pod_keeps_its_first_event_and_the_latest_ones()
    {
        Served("a");
        for (var index = 0; index < 100; index++)
            _history.Observe(new PoolEvent.Checked(Start.AddSeconds(index), Key("a"), null));
        var memory = _history.Find(Pod("a"))!;
        Assert.Equal((PodRecord.MaxEvents, 101 - PodRecord.MaxEvents), (memory.Events.Count, memory.Dropped));
        Assert.IsType<PoolEvent.AddServed>(memory.Events[0]);
        Assert.Equal(Start.AddSeconds(99), memory.Events[^1].At);
    }

    [Fact]
    public void Missed_del_ends_a_pod_at_its_own_time()
    {
        Served("a");
        _history.Observe(
            new PoolEvent.MissedDelete(Start.AddMinutes(2), MissedDelOutcome.Released) { Released = Of("a"), AskedAt = Start.AddMinutes(1) }
        );
        // An outdated missed DEL belongs to no pod.
        _history.Observe(new PoolEvent.MissedDelete(Start.AddMinutes(2), MissedDelOutcome.Outdated));

        var explanation = Explanation.Of(
            new ExplainedFacts
            {
                Now = Start.AddMinutes(3),
                Name = "default/a",
                History = _history.Find(Pod("a")),
                Attachments = [],
                PendingAdds = [],
                Cooldown = TimeSpan.FromSeconds(30),
                Since = Start,
                View = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false).View(Start),
            }
        );

        Assert.Equal(PodState.Gone, explanation.State);
        Assert.Contains("DEL at 03:05:05, while the daemon was down", explanation.Summary, StringComparison.Ordinal);
        var step = Assert.Single(explanation.Steps, step => step.Kind == "missed-delete");
        Assert.Contains("10.0.0.5 on eni-1", step.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Crash_loop_of_sandboxes_keeps_a_bounded_number_of_keys()
    {
        for (var index = 0; index < 100; index++)
            _history.Observe(
                new PoolEvent.AddFailed(
                    Start,
                    new AttachmentKey("aws-cni", $"sandbox-{index}", "eth0"),
                    Pod("a"),
                    AddFailureKind.NoAddress,
                    null,
                    "none",
                    TimeSpan.Zero
                )
            );
        Assert.Empty(_history.FindByContainer("sandbox-0"));
        Assert.Equal(Pod("a"), Assert.Single(_history.FindByContainer("sandbox-99")).Pod);
    }

    [Fact]
    public void Growth_is_recorded_only_with_waiting_pods()
    {
        Served("served");
        var under = new Intent(
            1,
            Start,
            "token",
            new PoolChange.AssignBlocks(new NetworkInterfaceId("eni-1"), "subnet-1", new BlockRequest(Shapes.Ipv4Address, 3))
        );
        _history.Observe(new PoolEvent.ChangeBegan(Start, under, IsRepeated: false));
        _history.Observe(new PoolEvent.AddQueued(Start, Key("waits"), Pod("waits"), 0, Start.AddSeconds(20)));
        _history.Observe(new PoolEvent.ChangeEnded(Start.AddSeconds(1), under, TimeSpan.FromSeconds(1), Failure: null));
        _history.Observe(
            new PoolEvent.AddServed(Start.AddSeconds(1), Of("waits"), true, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), null)
        );
        var release = new Intent(2, Start, "token", new PoolChange.ReleaseBlocks(new NetworkInterfaceId("eni-1"), []));
        _history.Observe(new PoolEvent.ChangeBegan(Start, release, IsRepeated: false));
        Assert.Equal(
            [typeof(PoolEvent.AddQueued), typeof(PoolEvent.ChangeBegan), typeof(PoolEvent.ChangeEnded), typeof(PoolEvent.AddServed)],
            _history.Find(Pod("waits"))!.Events.Select(item => item.GetType())
        );
        Assert.Single(_history.Find(Pod("served"))!.Events);
    }

    [Fact]
    public void Pod_without_a_name_is_found_by_its_sandbox()
    {
        var attachment = Of("x") with { Pod = default };
        _history.Observe(new PoolEvent.AddServed(Start, attachment, true, TimeSpan.Zero, TimeSpan.Zero, null));
        Assert.Equal(new PodReference("", "x-sandbox"), Assert.Single(_history.FindByContainer("x-sand")).Pod);
    }

    [Fact]
    public void Failures_of_one_kind_are_counted_and_listed_newest_first()
    {
        for (var index = 0; index < 3; index++)
            _history.Observe(
                new PoolEvent.AddFailed(
                    Start.AddSeconds(index),
                    Key($"p{index}"),
                    Pod($"p{index}"),
                    AddFailureKind.NoAddress,
                    GrowthObstacleKind.Throttled,
                    $"reason {index}",
                    TimeSpan.Zero
                )
            );
        _history.Observe(new PoolEvent.CheckpointWritten(Start.AddSeconds(9), TimeSpan.Zero, "no space left"));
        _history.Observe(new PoolEvent.CheckpointWritten(Start.AddSeconds(10), TimeSpan.Zero, null));
        Assert.Equal(
            [
                new RecentFailure(Start.AddSeconds(9), 1, "write the checkpoint: no space left"),
                new RecentFailure(Start.AddSeconds(2), 3, "ADD of default/p2: reason 2"),
            ],
            _history.Failures()
        );
    }

    private void Served(string name) =>
        _history.Observe(new PoolEvent.AddServed(Start, Of(name), IsNew: true, TimeSpan.Zero, TimeSpan.FromMilliseconds(1), null));

    private static PodReference Pod(string name) => new("default", name);

    private static AttachmentKey Key(string name) => new("aws-cni", $"{name}-sandbox", "eth0");

    private static Attachment Of(string name) =>
        new()
        {
            Key = Key(name),
            Pod = Pod(name),
            Interfaces =
            [
                new AttachmentInterface(
                    "eth0",
                    [IPAddress.Parse("10.0.0.5")],
                    new InterfaceSlot(new NetworkInterfaceId("eni-1"), new Slot(0, 0))
                ),
            ],
            AssignedAt = Start,
        };
}
