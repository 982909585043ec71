// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Tests.VpcModel;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

public sealed class TransitionTimerTests
{
    [Fact]
    public void Timer_completes_each_transition_when_it_is_due()
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
    public void Timer_continues_after_a_subscriber_throws()
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
    public void Timer_disposed_completes_no_further_transitions()
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
