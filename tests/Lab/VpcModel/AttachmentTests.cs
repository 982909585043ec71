// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

public sealed class AttachmentTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void Instance_launched_has_its_primary_interface_attached()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        var primary = test.Current(instance.PrimaryInterface);
        Assert.Equal(AttachmentStatus.Attached, primary.Attachment!.Status);
        Assert.True(primary.Attachment.IsPrimary);
        Assert.True(primary.Attachment.DeleteOnTermination);
        var attached = Assert.Single(test.Events.OfType<VpcEvent.InterfaceAttached>());
        Assert.Equal(
            (instance.Id, primary.Id, 0, 0, primary.Mac, test.SubnetA.Id, primary.PrimaryAddress),
            (
                attached.Instance,
                attached.Interface,
                attached.DeviceIndex,
                attached.NetworkCard,
                attached.Mac,
                attached.Subnet,
                attached.PrimaryAddress
            )
        );
    }

    [Fact]
    public void Attach_completes_after_its_latency_and_raises_an_event()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        test.World.Timing.AttachLatency = 3 * Second;
        var eni = test.CreateAttached(instance, device: 1, AddressRequest.Any(2));
        test.Events.Clear();
        Assert.Equal((AttachmentStatus.Attaching, "in-use"), (eni.Attachment!.Status, EnumText.StatusOf(eni)));
        Assert.Equal(test.World.Now + 3 * Second, test.World.NextTransitionAt);

        test.Time.Advance(2 * Second);
        test.World.CompleteDueTransitions();
        Assert.Empty(test.Events);
        test.Time.Advance(2 * Second);
        test.World.CompleteDueTransitions();
        Assert.Equal(AttachmentStatus.Attached, test.Current(eni.Id).Attachment!.Status);
        Assert.Collection(
            test.Events,
            first => Assert.Equal(eni.Id, Assert.IsType<VpcEvent.InterfaceAttached>(first).Interface),
            second => Assert.Equal(test.Current(eni.Id).AllRanges, Assert.IsType<VpcEvent.AddressesChanged>(second).Ranges)
        );
        Assert.All(test.Events, @event => Assert.Equal(test.World.Now - Second, @event.At));
        Assert.Null(test.World.NextTransitionAt);
    }

    [Fact]
    public void Detach_completes_after_its_latency_and_allows_deletion()
    {
        var test = new TestWorld();
        var eni = test.CreateAttached(test.Launch(), device: 1);
        test.World.Timing.DetachLatency = 5 * Second;
        test.World.DetachNetworkInterface(eni.Attachment!.Id);
        Assert.Equal(AttachmentStatus.Detaching, test.Current(eni.Id).Attachment!.Status);
        test.AssertRejected("InvalidParameterValue", () => test.World.DeleteNetworkInterface(eni.Id));
        test.AssertRejected("IncorrectState", () => test.World.DetachNetworkInterface(eni.Attachment.Id));

        test.Time.Advance(5 * Second);
        test.World.CompleteDueTransitions();
        Assert.Null(test.Current(eni.Id).Attachment);
        Assert.Equal(eni.Id, Assert.IsType<VpcEvent.InterfaceDetached>(test.Events[^1]).Interface);
        test.AssertRejected("InvalidAttachmentID.NotFound", () => test.World.DetachNetworkInterface(eni.Attachment.Id));
        test.World.DeleteNetworkInterface(eni.Id);
    }

    [Fact]
    public void Detach_by_force_completes_at_once_even_when_detaching()
    {
        var test = new TestWorld();
        var eni = test.CreateAttached(test.Launch(), device: 1);
        test.World.Timing.DetachLatency = 60 * Second;
        test.World.DetachNetworkInterface(eni.Attachment!.Id);
        test.World.DetachNetworkInterface(eni.Attachment.Id, force: true);
        Assert.Null(test.Current(eni.Id).Attachment);
        test.Time.Advance(60 * Second);
        test.World.CompleteDueTransitions();
        Assert.Single(test.Events.OfType<VpcEvent.InterfaceDetached>());
    }

    [Fact]
    public void Detach_while_attaching_cancels_the_attachment()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        test.World.Timing.AttachLatency = 10 * Second;
        test.World.Timing.DetachLatency = Second;
        var eni = test.CreateAttached(instance, device: 1);
        test.World.DetachNetworkInterface(eni.Attachment!.Id);
        test.Time.Advance(20 * Second);
        test.World.CompleteDueTransitions();
        Assert.Null(test.Current(eni.Id).Attachment);
        Assert.DoesNotContain(test.Events, @event => @event is VpcEvent.InterfaceAttached attached && attached.Interface == eni.Id);
    }

    [Fact]
    public void Primary_interface_cannot_be_detached()
    {
        var test = new TestWorld();
        var primary = test.Current(test.Launch().PrimaryInterface);
        test.AssertRejected("OperationNotPermitted", () => test.World.DetachNetworkInterface(primary.Attachment!.Id));
    }

    [Fact]
    public void Attach_beyond_the_types_limit_is_rejected_with_the_count()
    {
        var test = new TestWorld();
        var instance = test.Launch("m5.large");
        test.CreateAttached(instance, device: 1);
        test.CreateAttached(instance, device: 2);
        var extra = test.Create();
        var fault = test.AssertRejected(
            "AttachmentLimitExceeded",
            () => test.World.AttachNetworkInterface(new AttachInterfaceRequest(extra.Id, instance.Id, 3))
        );
        Assert.Equal("Interface count 4 exceeds the limit for m5.large", fault.Message);
    }

    [Fact]
    public void Attach_with_invalid_arguments_is_rejected()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        var eni = test.Create();
        var attached = test.CreateAttached(instance, device: 1);
        var elsewhere = test.Create(subnet: test.SubnetB.Id);
        var wide = test.Create(AddressRequest.Any(10));
        void Attach(EniId id, int device = 2, int card = 0, InstanceId? to = null) =>
            test.World.AttachNetworkInterface(new AttachInterfaceRequest(id, to ?? instance.Id, device, card));
        test.AssertRejected("InvalidNetworkInterfaceID.NotFound", () => Attach(new EniId("eni-0")));
        test.AssertRejected("InvalidInstanceID.NotFound", () => Attach(eni.Id, to: new InstanceId("i-0")));
        test.AssertRejected("InvalidNetworkInterface.InUse", () => Attach(attached.Id));
        test.AssertRejected("InvalidParameterCombination", () => Attach(elsewhere.Id));
        test.AssertRejected("InvalidParameterValue", () => Attach(eni.Id, device: 1));
        test.AssertRejected("InvalidParameterValue", () => Attach(eni.Id, device: 100));
        test.AssertRejected("InvalidParameterValue", () => Attach(eni.Id, card: 1));
        Assert.EndsWith(
            " exceeds the limit for m5.large",
            test.AssertRejected("InvalidInterface.IpAddressLimitExceeded", () => Attach(wide.Id)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Attach_of_prefixes_to_xen_is_rejected()
    {
        var test = new TestWorld();
        var instance = test.Launch("m4.4xlarge");
        var eni = test.Create(AddressRequest.AnyPrefixes(1));
        test.AssertRejected(
            "UnsupportedOperation",
            () => test.World.AttachNetworkInterface(new AttachInterfaceRequest(eni.Id, instance.Id, 1))
        );
        test.AssertRejected(
            "UnsupportedOperation",
            () => test.World.AssignPrivateIpAddresses(instance.PrimaryInterface, AddressRequest.AnyPrefixes(1))
        );
    }

    [Fact]
    public void Attach_to_several_cards_applies_the_limit_of_each_card()
    {
        var test = new TestWorld();
        var instance = test.Launch("p4d.24xlarge");
        for (var device = 1; device < 15; device++)
            test.CreateAttached(instance, device);
        var extra = test.Create();
        test.AssertRejected(
            "AttachmentLimitExceeded",
            () => test.World.AttachNetworkInterface(new AttachInterfaceRequest(extra.Id, instance.Id, 15))
        );
        test.World.AttachNetworkInterface(new AttachInterfaceRequest(extra.Id, instance.Id, DeviceIndex: 1, NetworkCard: 3));
        Assert.Equal(3, test.Current(extra.Id).Attachment!.NetworkCard);
        test.Check();
    }

    [Fact]
    public void Terminate_deletes_or_detaches_interfaces_by_their_flag()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        var kept = test.CreateAttached(instance, device: 1);
        var gone = test.CreateAttached(instance, device: 2);
        test.World.ModifyNetworkInterfaceAttribute(
            new ModifyInterfaceRequest { Interface = gone.Id, DeleteOnTermination = (gone.Attachment!.Id, true) }
        );
        test.World.TerminateInstance(instance.Id);
        Assert.Equal([kept.Id], test.World.Interfaces.Select(eni => eni.Id));
        Assert.Null(test.Current(kept.Id).Attachment);
        Assert.IsType<VpcEvent.InstanceTerminated>(test.Events[^1]);
        test.AssertRejected("IncorrectState", () => test.World.AttachNetworkInterface(new AttachInterfaceRequest(kept.Id, instance.Id, 1)));
        test.Check();
    }

    [Fact]
    public void Events_are_numbered_without_gaps_and_a_subscriber_may_not_call_back()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        test.CreateAttached(instance, device: 1);
        Assert.Equal(
            Enumerable.Range(0, test.Events.Count).Select(i => test.Events[0].Sequence + i),
            test.Events.Select(@event => @event.Sequence)
        );
        using (test.World.Subscribe(_ => test.World.CompleteDueTransitions()))
            Assert.Throws<InvalidOperationException>(() => test.Create());
        test.Create();
    }
}
