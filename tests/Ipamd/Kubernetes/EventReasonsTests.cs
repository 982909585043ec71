// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class EventReasonsTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly EventSubject Pod = new("default", "web"),
        Node = new("", "node-1");

    [Fact]
    public void Every_obstacle_has_a_distinct_reason()
    {
        string[] reasons = [.. Enum.GetValues<GrowthObstacleKind>().Select(EventReasons.ReasonOf)];
        Assert.Equal(reasons.Distinct(), reasons);
        Assert.All(reasons, reason => Assert.Matches("^[A-Z][A-Za-z]+$", reason));
    }

    [Fact]
    public void Failed_add_is_an_event_on_the_pod()
    {
        Assert.Equal(
            new Occurrence(Pod, "SubnetExhausted", "because"),
            Of(Failed(AddFailureKind.NoAddress, GrowthObstacleKind.SubnetExhausted))
        );
        Assert.Equal("InsufficientAddresses", Of(Failed(AddFailureKind.NoAddress, null))?.Reason);
        Assert.Equal("AddressLost", Of(Failed(AddFailureKind.Orphaned, null))?.Reason);
        Assert.Equal("CheckpointNotWritten", Of(Failed(AddFailureKind.NotDurable, null))?.Reason);
    }

    [Fact]
    public void Cancelled_add_and_container_outside_kubernetes_are_no_event()
    {
        Assert.Null(Of(Failed(AddFailureKind.ClientGone, null)));
        Assert.Null(Of(Failed(AddFailureKind.NoAddress, null) with { Pod = new PodReference("", "") }));
        Assert.Null(Of(Failed(AddFailureKind.NoAddress, null) with { Pod = new PodReference("default", "..") }));
    }

    [Theory]
    [InlineData("SubnetExhausted", true)]
    [InlineData("NotPermitted", true)]
    [InlineData("EniConfig", true)]
    [InlineData("InterfaceLimit", false)]
    [InlineData("MaxPods", false)]
    public void Growth_obstacle_is_an_event_on_the_node_unless_it_is_full(string kind, bool isTold)
    {
        var plan = new PoolPlan
        {
            Changes = [],
            Shortage = 1,
            Surplus = 0,
            Unservable = [],
            Obstacle = new GrowthObstacle(Enum.Parse<GrowthObstacleKind>(kind), null, "so"),
        };
        Assert.Equal(isTold ? Node : null, Of(new PoolEvent.Planned(At, plan))?.Subject);
        Assert.Null(Of(new PoolEvent.Planned(At, plan with { Obstacle = null })));
    }

    [Fact]
    public void Missing_permission_and_failed_disk_are_events_on_the_node()
    {
        Assert.Equal(
            new Occurrence(Node, "MissingIAMPermissions", "DescribeNetworkInterfaces"),
            Of(new PoolEvent.ObserveFailed(At, CloudErrorKind.NotPermitted, "DescribeNetworkInterfaces"))
        );
        Assert.Null(Of(new PoolEvent.ObserveFailed(At, CloudErrorKind.Transient, "x")));
        Assert.Equal(
            new Occurrence(Node, "CheckpointNotWritten", "pods cannot be added: full"),
            Of(new PoolEvent.CheckpointWritten(At, TimeSpan.Zero, "full"))
        );
        Assert.Null(Of(new PoolEvent.CheckpointWritten(At, TimeSpan.Zero, null)));
    }

    private static Occurrence? Of(PoolEvent happened) => EventReasons.Of(happened, "node-1").Cast<Occurrence?>().SingleOrDefault();

    private static PoolEvent.AddFailed Failed(AddFailureKind kind, GrowthObstacleKind? obstacle) =>
        new(
            At,
            new AttachmentKey("net", "container", "eth0"),
            new PodReference("default", "web"),
            kind,
            obstacle,
            "because",
            TimeSpan.Zero
        );
}
