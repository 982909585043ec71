// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Tests.VpcModel;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

public sealed class TransitionTimerTests
{
    [Fact]
    public void Pump_carries_out_each_change_at_its_time_when_nobody_calls()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        test.World.Timing.AttachLatency = TimeSpan.FromSeconds(3);
        var before = test.CreateAttached(instance, device: 1);
        using var pump = new TransitionTimer(test.World, test.Time, exception => Assert.Fail(exception.ToString()));
        test.Time.Advance(TimeSpan.FromSeconds(1));
        var after = test.CreateAttached(instance, device: 2);

        test.Time.Advance(TimeSpan.FromSeconds(2.5));
        Assert.Equal([before.Id], AttachedByEvents(test, instance));
        test.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([before.Id, after.Id], AttachedByEvents(test, instance));
    }

    [Fact]
    public void Pump_survives_a_subscriber_that_throws()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        List<Exception> errors = [];
        using var pump = new TransitionTimer(test.World, test.Time, errors.Add);
        test.World.Timing.AttachLatency = TimeSpan.FromSeconds(1);
        test.CreateAttached(instance, device: 1);
        test.CreateAttached(instance, device: 2);
        using (test.World.Subscribe(_ => throw new IOException("no link")))
            test.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.NotEmpty(errors);
        test.World.CompleteDueTransitions();
        Assert.All(test.World.InterfacesOf(instance.Id), eni => Assert.Equal(AttachmentStatus.Attached, eni.Attachment!.Status));
    }

    [Fact]
    public void Pump_disposed_of_leaves_the_world_alone()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        test.World.Timing.AttachLatency = TimeSpan.FromSeconds(1);
        using (new TransitionTimer(test.World, test.Time, exception => Assert.Fail(exception.ToString())))
            test.CreateAttached(instance, device: 1);
        test.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Empty(AttachedByEvents(test, instance));
    }

    private static IEnumerable<EniId> AttachedByEvents(TestWorld test, Instance instance) =>
        test
            .Events.OfType<VpcEvent.InterfaceAttached>()
            .Select(attached => attached.Interface)
            .Where(id => id != instance.PrimaryInterface);
}
