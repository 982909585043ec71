// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Ledger;

public sealed class IpLedgerTests
{
    private static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly IpLedger _ledger = new(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);

    [Fact]
    public void Same_key_gets_the_same_address_with_a_new_assignment_time()
    {
        Observe(Primary("10.0.0.10/32", "10.0.0.11/32"));
        var first = Add("a");
        var version = _ledger.Version;
        var later = Start.AddSeconds(9);
        _ledger.MarkUnused(new HashSet<AttachmentKey> { Key("a") }, TimeSpan.FromSeconds(10), Start.AddSeconds(1));

        var again = Assert.IsType<AssignOutcome.Assigned>(_ledger.Assign(Key("a"), default, "", later));

        Assert.False(again.IsNew);
        Assert.Equal(first with { AssignedAt = later }, again.Attachment);
        Assert.Equal(again.Attachment, _ledger.Renew(Key("a"), Start));
        // The new assignment time must survive a restart.
        Assert.True(_ledger.Version > version);
    }

    [Fact]
    public void Late_DEL_releases_only_earlier_assignments()
    {
        Observe(Primary("10.0.0.10/32"));
        Add("a");

        Assert.Equal((null, false), _ledger.ReleaseAssignedBefore(Key("b"), Start.AddSeconds(1), Start));
        Assert.Equal((_ledger.Find(Key("a")), false), _ledger.ReleaseAssignedBefore(Key("a"), Start, Start));
        var (released, isReleased) = _ledger.ReleaseAssignedBefore(Key("a"), Start.AddSeconds(2), Start.AddSeconds(1));

        Assert.True(isReleased);
        Assert.Equal("10.0.0.10", AddressOf(released!));
        Assert.Equal([Start.AddSeconds(1) + _ledger.Cooldown], _ledger.CooldownEnds(Start.AddSeconds(2)));
    }

    [Fact]
    public void Two_keys_never_get_the_same_address()
    {
        Observe(Primary("10.0.0.10/32", "10.0.0.11/32"));
        Assert.Equal(["10.0.0.10", "10.0.0.11"], new[] { Add("a"), Add("b") }.Select(AddressOf));
        Assert.IsType<AssignOutcome.NoAddress>(_ledger.Assign(Key("c"), default, "", Start));
    }

    [Fact]
    public void Released_address_is_free_after_the_cooldown()
    {
        Observe(Primary("10.0.0.10/32"));
        Add("a");
        _ledger.Release(Key("a"), Start);
        Assert.IsType<AssignOutcome.NoAddress>(_ledger.Assign(Key("b"), default, "", Start.AddSeconds(29.9)));
        Assert.Equal(1, _ledger.View(Start.AddSeconds(29.9)).Cooling);
        Assert.IsType<AssignOutcome.Assigned>(_ledger.Assign(Key("b"), default, "", Start.AddSeconds(30)));
    }

    [Fact]
    public void Rolled_back_address_does_not_cool()
    {
        Observe(Primary("10.0.0.10/32"));
        Add("a");
        _ledger.Rollback(Key("a"));
        Assert.Equal("10.0.0.10", AddressOf(Add("b")));
    }

    [Fact]
    public void Addresses_are_packed_by_interface_then_prefix_then_lowest()
    {
        Observe(Primary("10.0.0.16/28", "10.0.0.32/28"), Secondary(1, "10.0.1.16/28"));
        var pods = Enumerable.Range(0, 18).Select(index => AddressOf(Add($"p{index}"))).ToArray();
        Assert.Equal(Enumerable.Range(16, 16).Select(last => $"10.0.0.{last}"), pods[..16]);
        Assert.Equal(["10.0.0.32", "10.0.0.33"], pods[16..]);
    }

    [Fact]
    public void Both_families_are_assigned_from_one_interface_or_not_at_all()
    {
        var dual = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Dual, prefersPrefixes: false);
        dual.Observe([Primary("10.0.0.10/32", "10.0.0.11/32"), Secondary(1, "10.0.1.10/32", "2001:db8:1::/80")], Start);

        var first = Assert.IsType<AssignOutcome.Assigned>(dual.Assign(Key("a"), default, "", Start)).Attachment;

        var pod = Assert.Single(first.Interfaces);
        Assert.Equal(["10.0.1.10", "2001:db8:1::1"], pod.Addresses.Select(address => address.ToString()));
        Assert.Equal(new Slot(0, 1), pod.Slot!.Value.Slot);
        // The primary interface has IPv4 addresses alone.
        Assert.IsType<AssignOutcome.NoAddress>(dual.Assign(Key("b"), default, "", Start));
        Assert.Equal(1, dual.View(Start).Assigned);
    }

    [Fact]
    public void Dual_stack_pod_whose_second_address_is_gone_is_an_orphan()
    {
        var dual = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Dual, prefersPrefixes: false);
        dual.Observe([Primary("10.0.0.10/32", "2001:db8:1::/80")], Start);
        dual.Assign(Key("a"), default, "", Start);

        dual.Observe([Primary("10.0.0.10/32")], Start.AddMinutes(2));

        var orphan = Assert.Single(dual.View(Start.AddMinutes(2)).Orphans);
        Assert.Equal((Key("a"), Slot.Primary), (orphan.Attachment.Key, orphan.LastSlot!.Value.Slot));
    }

    [Fact]
    public void Both_addresses_of_a_released_pod_cool()
    {
        var dual = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Dual, prefersPrefixes: false);
        dual.Observe([Primary("10.0.0.10/32", "2001:db8:1::/80")], Start);
        dual.Assign(Key("a"), default, "", Start);

        dual.Release(Key("a"), Start);

        var view = dual.View(Start);
        Assert.Equal((1, 1), (view.CoolingOf(IpFamily.V4), view.CoolingOf(IpFamily.V6)));
        Assert.Equal([Start.AddSeconds(30)], view.CooldownEnds);
        Assert.IsType<AssignOutcome.NoAddress>(dual.Assign(Key("b"), default, "", Start.AddSeconds(29)));
        Assert.IsType<AssignOutcome.Assigned>(dual.Assign(Key("b"), default, "", Start.AddSeconds(30)));
    }

    [Theory]
    [InlineData("10.0.0.64/26", "10.0.0.65")]
    [InlineData("10.0.0.0/24", "10.0.0.200")]
    [InlineData("2001:db8:1:2:3::/96", "2001:db8:1:2:3::7")]
    [InlineData("2001:db8::1/128", "2001:db8::1")]
    public void Owner_of_an_address_is_found_in_a_block_of_any_length(string block, string address)
    {
        Observe(Primary("10.1.0.16/28", block));
        var recovered = _ledger.Recover([("veth0", IPAddress.Parse(address))], TimeSpan.Zero, Start);
        Assert.Equal(Slot.Primary, Assert.Single(recovered).Addresses[0].Slot!.Value.Slot);
    }

    [Fact]
    public void Attachment_whose_address_vanishes_is_reported_and_kept()
    {
        Observe(Primary("10.0.0.10/32"));
        Add("a");
        var later = Start + IpLedger.ConsistencyWindow;
        var changes = _ledger.Observe([Primary()], later);
        Assert.Equal(Key("a"), Assert.Single(changes.Orphaned).Attachment.Key);
        Assert.NotNull(_ledger.Find(Key("a")));
        Assert.Single(_ledger.View(later).Orphans);
        _ledger.Observe([Primary("10.0.0.10/32")], later);
        Assert.Empty(_ledger.View(later).Orphans);
        Assert.IsType<AssignOutcome.NoAddress>(_ledger.Assign(Key("b"), default, "", later));
    }

    [Fact]
    public void Interface_that_vanishes_orphans_its_pods_and_frees_nothing()
    {
        Observe(Primary(), Secondary(1, "10.0.1.10/32"));
        Add("a");
        var later = Start + IpLedger.ConsistencyWindow;
        var changes = _ledger.Observe([Primary()], later);
        Assert.Equal(new NetworkInterfaceId("eni-1"), Assert.Single(changes.InterfacesLost));
        Assert.Single(changes.Orphaned);
        _ledger.Observe([Primary(), Secondary(1, "10.0.1.10/32")], later);
        Assert.IsType<AssignOutcome.NoAddress>(_ledger.Assign(Key("b"), default, "", later));
    }

    [Fact]
    public void Recent_additions_survive_an_observation_that_lacks_them()
    {
        Observe(Primary());
        _ledger.CompleteAssign(
            _ledger.BeginAssign(new NetworkInterfaceId("eni-0"), Addresses(1), Start)!,
            [IPNetwork.Parse("10.0.0.10/32")],
            Start
        );
        _ledger.CompleteAdd(_ledger.BeginAdd(new Slot(0, 1), [Addresses(1)], Start), Secondary(1, "10.0.1.10/32"), Start);
        Assert.False(_ledger.Observe([Primary()], Start.AddSeconds(59)).Any);
        Assert.Equal(2, _ledger.View(Start.AddSeconds(59)).Total);
        Assert.True(_ledger.Observe([Primary()], Start.AddSeconds(60)).Any);
        Assert.Equal(0, _ledger.View(Start.AddSeconds(60)).Total);
    }

    [Fact]
    public void Recently_released_block_does_not_return_with_a_late_observation()
    {
        Observe(Primary("10.0.0.10/32"));
        var id = new NetworkInterfaceId("eni-0");
        var later = Start.AddMinutes(5);
        _ledger.CompleteRelease(_ledger.BeginRelease(id, [IPNetwork.Parse("10.0.0.10/32")], later)!, later);
        _ledger.Observe([Primary("10.0.0.10/32")], later.AddSeconds(59));
        Assert.Equal(0, _ledger.View(later).Total);
        _ledger.Observe([Primary("10.0.0.10/32")], later.AddSeconds(60));
        Assert.Equal(1, _ledger.View(later).Total);
    }

    [Fact]
    public void Block_in_use_or_cooling_is_not_accepted_for_release()
    {
        Observe(Primary("10.0.0.10/32", "10.0.0.11/32", "10.0.0.12/32"));
        Add("a");
        Add("b");
        _ledger.Release(Key("b"), Start);
        var accepted = _ledger.BeginRelease(
            new NetworkInterfaceId("eni-0"),
            [IPNetwork.Parse("10.0.0.10/32"), IPNetwork.Parse("10.0.0.11/32"), IPNetwork.Parse("10.0.0.12/32")],
            Start
        )!;
        Assert.Equal([IPNetwork.Parse("10.0.0.12/32")], accepted.Change.Releases);
        Assert.IsType<AssignOutcome.NoAddress>(_ledger.Assign(Key("c"), default, "", Start));
        _ledger.Abort(accepted, Start);
        Assert.Equal("10.0.0.12", AddressOf(Add("c")));
    }

    [Fact]
    public void Interface_in_use_or_primary_is_not_accepted_for_removal()
    {
        Observe(Primary("10.0.0.10/32"), Secondary(1, "10.0.1.10/32"), Secondary(2, "10.0.2.10/32"));
        Add("a");
        Add("b");
        Assert.Null(_ledger.BeginRemove(new NetworkInterfaceId("eni-0"), Start));
        Assert.Null(_ledger.BeginRemove(new NetworkInterfaceId("eni-1"), Start));
        var removal = _ledger.BeginRemove(new NetworkInterfaceId("eni-2"), Start)!;
        Assert.IsType<AssignOutcome.NoAddress>(_ledger.Assign(Key("c"), default, "", Start));
        _ledger.Abort(removal, Start);
        Assert.Equal("10.0.2.10", AddressOf(Add("c")));
    }

    [Fact]
    public void Restored_attachments_get_their_slot_from_the_first_observation()
    {
        var record = new LedgerRecord(
            [Attachment("a", "10.0.0.10")],
            [new CoolingAddress(IPAddress.Parse("10.0.0.11"), Start.AddSeconds(-10))]
        );
        Assert.Empty(_ledger.Restore(record, new ClockReading(Start, TimeSpan.Zero)));
        Assert.Null(_ledger.Find(Key("a"))!.Addresses[0].Slot);
        Observe(Primary("10.0.0.10/32", "10.0.0.11/32", "10.0.0.12/32"));
        Assert.Equal(0, _ledger.Find(Key("a"))!.Addresses[0].Slot!.Value.Slot.DeviceIndex);
        Assert.Equal("10.0.0.12", AddressOf(Add("b")));
        Assert.IsType<AssignOutcome.NoAddress>(_ledger.Assign(Key("c"), default, "", Start.AddSeconds(19)));
        Assert.IsType<AssignOutcome.Assigned>(_ledger.Assign(Key("c"), default, "", Start.AddSeconds(20)));
    }

    [Theory]
    [InlineData(0, 10, 20)]
    [InlineData(3600, 10, 20)]
    [InlineData(-3600, 10, 20)]
    [InlineData(10, -90, 20)]
    public void Restored_cooldown_continues_when_the_wall_clock_was_set(int clockSetBySeconds, int secondsSinceBoot, int left)
    {
        Observe(Primary("10.0.0.10/32"));
        Add("a");
        _ledger.Release(Key("a"), Start);
        // Negative after a reboot: ten seconds is all that is known to have passed.
        var written = new ClockReading(Start, TimeSpan.FromSeconds(100));
        var next = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
        var now = Start.AddSeconds(10 + clockSetBySeconds);
        next.Restore(
            _ledger.Record().Record with
            {
                WrittenAt = written,
            },
            new ClockReading(now, TimeSpan.FromSeconds(100 + secondsSinceBoot))
        );
        next.Observe([Primary("10.0.0.10/32")], now);
        Assert.Equal([now.AddSeconds(left)], next.View(now).CooldownEnds);
    }

    [Fact]
    public void Record_with_one_address_for_two_attachments_keeps_the_older()
    {
        var rejected = _ledger.Restore(
            new LedgerRecord(
                [
                    Attachment("late", "10.0.0.10") with
                    {
                        AssignedAt = Start,
                    },
                    Attachment("early", "10.0.0.10") with
                    {
                        AssignedAt = Start.AddSeconds(-1),
                    },
                ],
                []
            ),
            new ClockReading(Start, TimeSpan.Zero)
        );
        Assert.Equal(Key("late"), Assert.Single(rejected).Key);
        Assert.NotNull(_ledger.Find(Key("early")));
    }

    [Fact]
    public void Address_in_use_by_the_kernel_is_reserved_until_released()
    {
        Observe(Primary("10.0.0.10/32", "10.0.0.11/32"));
        var recovered = Assert.Single(_ledger.Recover([("eni1234", IPAddress.Parse("10.0.0.10"))], TimeSpan.FromSeconds(5), Start));
        Assert.True(recovered.IsRecovered);
        Assert.Equal("10.0.0.11", AddressOf(Add("a")));
        Assert.Empty(_ledger.Recover([("eni1234", IPAddress.Parse("10.0.0.10"))], TimeSpan.FromSeconds(5), Start));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Release_with_unknown_outcome_is_resolved_by_a_late_observation(bool isAttached)
    {
        Observe(Primary("10.0.0.10/32"));
        var release = _ledger.BeginRelease(new NetworkInterfaceId("eni-0"), [IPNetwork.Parse("10.0.0.10/32")], Start)!;
        _ledger.Pause(release, isOutcomeUnknown: true, Start);
        // The repetition was rejected before it had an effect: it says nothing about the first call, and does not restart the wait.
        _ledger.Resume(release.Number);
        _ledger.Pause(release, isOutcomeUnknown: false, Start.AddSeconds(50));
        InterfaceObservation[] seen = [isAttached ? Primary("10.0.0.10/32") : Primary()];
        _ledger.Observe(seen, Start.AddSeconds(59), askedAt: Start.AddSeconds(59));
        Assert.Equal(0, _ledger.View(Start).Free);
        _ledger.Observe(seen, Start.AddSeconds(60), askedAt: Start.AddSeconds(60));
        Assert.Equal((isAttached ? 1 : 0, 0), (_ledger.View(Start).Free, _ledger.View(Start).Intents.Count));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Removal_with_unknown_outcome_is_resolved_by_a_late_observation(bool isAttached)
    {
        Observe(Primary(), Secondary(1, "10.0.1.10/32"));
        var removal = _ledger.BeginRemove(new NetworkInterfaceId("eni-1"), Start)!;
        _ledger.Pause(removal, isOutcomeUnknown: true, Start);
        _ledger.Observe(
            isAttached ? [Primary(), Secondary(1, "10.0.1.10/32")] : [Primary()],
            Start.AddSeconds(60),
            askedAt: Start.AddSeconds(60)
        );
        if (isAttached)
        {
            Assert.Equal((1, 0), (_ledger.View(Start).Free, _ledger.View(Start).Intents.Count));
            return;
        }

        // Only the deletion remains.
        Assert.Equal(IntentStage.Detached, Assert.Single(_ledger.View(Start).Intents).Intent.Stage);
        Assert.Single(_ledger.View(Start).Interfaces);
    }

    [Fact]
    public void Interface_that_last_carried_a_missing_pod_address_is_not_removed()
    {
        Observe(Primary(), Secondary(1, "10.0.1.10/32"), Secondary(2, "10.0.2.10/32"));
        Add("a");
        _ledger.Observe([Primary(), Secondary(1), Secondary(2, "10.0.2.10/32")], Start.AddSeconds(61));
        Assert.Null(_ledger.BeginRemove(new NetworkInterfaceId("eni-1"), Start.AddSeconds(61)));
        Assert.True(_ledger.View(Start.AddSeconds(61)).Interfaces[1].MayHoldOrphans);
        Assert.False(_ledger.View(Start.AddSeconds(61) + IpLedger.OrphanWindow).Interfaces[1].MayHoldOrphans);
        Assert.NotNull(_ledger.BeginRemove(new NetworkInterfaceId("eni-2"), Start.AddSeconds(61)));
        _ledger.Release(Key("a"), Start.AddSeconds(61));
        Assert.NotNull(_ledger.BeginRemove(new NetworkInterfaceId("eni-1"), Start.AddSeconds(61)));
    }

    [Fact]
    public void Route_left_by_a_recent_DEL_does_not_reserve_the_address()
    {
        Observe(Primary("10.0.0.10/32"));
        Add("a");
        _ledger.Release(Key("a"), Start);
        Assert.Empty(_ledger.Recover([("eni1234", IPAddress.Parse("10.0.0.10"))], TimeSpan.FromSeconds(5), Start.AddSeconds(24)));
        Assert.Single(_ledger.Recover([("eni1234", IPAddress.Parse("10.0.0.10"))], TimeSpan.FromSeconds(5), Start.AddSeconds(25)));
    }

    [Fact]
    public void Prefix_replaces_its_single_addresses_despite_a_late_description()
    {
        Observe(Primary("10.0.0.32/32", "10.0.0.40/32", "10.0.0.99/32"));
        var id = new NetworkInterfaceId("eni-0");
        _ledger.CompleteAssign(
            _ledger.BeginAssign(id, new BlockRequest(Shapes.Ipv4Prefix, 1), Start)!,
            [IPNetwork.Parse("10.0.0.32/28")],
            Start
        );
        Assert.Equal(17, _ledger.View(Start).Total);
        _ledger.Observe([Primary("10.0.0.32/32", "10.0.0.40/32", "10.0.0.99/32")], Start.AddSeconds(5));
        Assert.Equal(17, _ledger.View(Start).Total);
        _ledger.Observe([Primary("10.0.0.32/32", "10.0.0.99/32")], Start.AddSeconds(61));
        Assert.Equal(2, _ledger.View(Start).Total);
    }

    [Fact]
    public void Late_description_does_not_move_back_a_reassigned_block()
    {
        Observe(Primary("10.0.0.10/32"), Secondary(1));
        _ledger.CompleteRelease(_ledger.BeginRelease(new NetworkInterfaceId("eni-0"), [IPNetwork.Parse("10.0.0.10/32")], Start)!, Start);
        _ledger.CompleteAssign(
            _ledger.BeginAssign(new NetworkInterfaceId("eni-1"), Addresses(1), Start)!,
            [IPNetwork.Parse("10.0.0.10/32")],
            Start
        );
        _ledger.Observe([Primary("10.0.0.10/32"), Secondary(1)], Start.AddSeconds(5));
        Assert.Equal(1, Add("a").Addresses[0].Slot!.Value.Slot.DeviceIndex);
    }

    [Fact]
    public void Release_with_unknown_outcome_stays_unassignable()
    {
        Observe(Primary("10.0.0.10/32", "10.0.0.11/32"));
        var id = new NetworkInterfaceId("eni-0");
        var release = _ledger.BeginRelease(id, [IPNetwork.Parse("10.0.0.10/32"), IPNetwork.Parse("10.0.0.11/32")], Start)!;
        _ledger.Pause(release, isOutcomeUnknown: true, Start);
        _ledger.Observe([Primary("10.0.0.11/32")], Start.AddSeconds(59));
        Assert.Equal(0, _ledger.View(Start).Free);
        Assert.Same(release, _ledger.Resume(release.Number));
        Assert.Null(_ledger.Resume(release.Number));
        _ledger.CompleteRelease(release, Start.AddMinutes(5));
        _ledger.Observe([Primary("10.0.0.11/32")], Start.AddMinutes(5));
        Assert.Equal(0, _ledger.View(Start).Total);
    }

    [Fact]
    public void Assignment_with_unknown_outcome_is_resolved_by_a_late_observation()
    {
        Observe(Primary());
        var assign = _ledger.BeginAssign(new NetworkInterfaceId("eni-0"), Addresses(1), Start)!;
        _ledger.Pause(assign, isOutcomeUnknown: true, Start);
        _ledger.Observe([Primary()], Start.AddSeconds(6), askedAt: Start.AddSeconds(4));
        Assert.Single(_ledger.View(Start).Intents);
        _ledger.Observe([Primary("10.0.0.10/32")], Start.AddSeconds(6), askedAt: Start.AddSeconds(5));
        Assert.Empty(_ledger.View(Start).Intents);
        Assert.Equal("10.0.0.10", AddressOf(Add("a")));
    }

    [Fact]
    public void Interface_with_open_intent_rejects_other_changes()
    {
        Observe(Primary("10.0.0.10/32"), Secondary(1, "10.0.1.10/32"));
        var id = new NetworkInterfaceId("eni-1");
        Assert.NotNull(_ledger.BeginAssign(id, Addresses(1), Start));
        Assert.Null(_ledger.BeginAssign(id, Addresses(1), Start));
        Assert.Null(_ledger.BeginRelease(id, [IPNetwork.Parse("10.0.1.10/32")], Start));
        Assert.Null(_ledger.BeginRemove(id, Start));
    }

    [Fact]
    public void Detached_interface_does_not_return_with_a_late_observation()
    {
        Observe(Primary(), Secondary(1, "10.0.1.10/32"));
        var removal = _ledger.BeginRemove(new NetworkInterfaceId("eni-1"), Start)!;
        _ledger.Advance(removal with { Stage = IntentStage.Detached }, Start);
        Observe(Primary(), Secondary(1, "10.0.1.10/32"));
        Assert.Single(_ledger.View(Start).Interfaces);
        _ledger.CompleteRemove(removal, Start);
        var next = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
        next.Restore(_ledger.Record().Record, new ClockReading(Start.AddSeconds(10), TimeSpan.Zero));
        next.Observe([Primary(), Secondary(1, "10.0.1.10/32")], Start.AddSeconds(10));
        Assert.Single(next.View(Start).Interfaces);
        next.Observe([Primary(), Secondary(1, "10.0.1.10/32")], Start.AddSeconds(61));
        Assert.Equal(2, next.View(Start).Interfaces.Count);
    }

    [Fact]
    public void Restored_release_of_a_used_block_is_resolved_by_an_observation()
    {
        Observe(Primary("10.0.0.10/32", "10.0.0.11/32"));
        _ledger.BeginRelease(new NetworkInterfaceId("eni-0"), [IPNetwork.Parse("10.0.0.10/32"), IPNetwork.Parse("10.0.0.11/32")], Start);
        var next = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
        next.Restore(_ledger.Record().Record, new ClockReading(Start, TimeSpan.Zero));
        next.Observe([Primary("10.0.0.10/32", "10.0.0.11/32")], Start);
        Assert.Equal(0, next.View(Start).Free);
        next.Recover([("eni1234", IPAddress.Parse("10.0.0.10"))], TimeSpan.FromSeconds(5), Start);
        var open = Assert.Single(next.View(Start).Intents);
        Assert.False(open.IsRunning);
        Assert.False(next.MayRepeat(next.Resume(open.Intent.Number)!));
        Assert.Equal(0, next.View(Start).Free);
        next.Pause(open.Intent, isOutcomeUnknown: false, Start);
        next.Observe([Primary("10.0.0.10/32")], Start.AddSeconds(61));
        // A block that is still attached is assignable again; the other is removed.
        Assert.Empty(next.View(Start.AddSeconds(61)).Intents);
        Assert.Equal((1, 1), (next.View(Start.AddSeconds(61)).Total, next.View(Start.AddSeconds(61)).Assigned));
    }

    [Fact]
    public void Preferred_kind_of_block_is_filled_first()
    {
        var byPrefixes = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: true);
        foreach (var (ledger, expected) in new[] { (byPrefixes, "10.0.0.32"), (_ledger, "10.0.0.10") })
        {
            ledger.Observe([Primary("10.0.0.10/32", "10.0.0.32/28")], Start);
            Assert.Equal(
                expected,
                AddressOf(Assert.IsType<AssignOutcome.Assigned>(ledger.Assign(Key("a"), default, "", Start)).Attachment)
            );
        }
    }

    [Fact]
    public void Hint_matches_only_when_it_equals_the_ledger()
    {
        Observe(Primary("10.0.0.10/32"), Secondary(1, "10.0.1.10/32"));
        var now = Start.AddMinutes(5);
        bool Matches(params InterfaceObservation[] shown) =>
            _ledger.MatchesHint(shown.ToDictionary(item => item.Id, item => item.Blocks), now);
        Assert.True(Matches(Primary("10.0.0.10/32"), Secondary(1, "10.0.1.10/32")));
        Assert.False(Matches(Primary("10.0.0.10/32")));
        Assert.False(Matches(Primary("10.0.0.10/32"), Secondary(1)));
        Assert.False(Matches(Primary("10.0.0.10/32", "10.0.0.11/32"), Secondary(1, "10.0.1.10/32")));
        Assert.False(Matches(Primary("10.0.0.10/32"), Secondary(1, "10.0.1.10/32"), Secondary(2)));
        _ledger.CompleteAssign(
            _ledger.BeginAssign(new NetworkInterfaceId("eni-0"), Addresses(1), now)!,
            [IPNetwork.Parse("10.0.0.12/32")],
            now
        );
        Assert.True(Matches(Primary("10.0.0.10/32"), Secondary(1, "10.0.1.10/32")));
    }

    private static BlockRequest Addresses(int count) => new(Shapes.Ipv4Address, count);

    /// <summary>The next start without the cloud uses the checkpoint.</summary>
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public void Interface_that_is_excluded_changes_the_version(bool carriesPods, bool isExcluded)
    {
        Observe(Primary("10.0.0.10/32"));
        var version = _ledger.Version;
        Observe(Primary("10.0.0.10/32"));
        Assert.Equal(version, _ledger.Version);
        Observe(Primary("10.0.0.10/32") with { CarriesPods = carriesPods, IsExcluded = isExcluded });
        Assert.True(_ledger.Version > version);
    }

    private Attachment Add(string container) =>
        Assert
            .IsType<AssignOutcome.Assigned>(_ledger.Assign(Key(container), new PodReference("default", container), "/run/netns/x", Start))
            .Attachment;

    private void Observe(params InterfaceObservation[] interfaces) => _ledger.Observe(interfaces, Start);

    private static InterfaceObservation Primary(params string[] blocks) => Secondary(0, blocks);

    private static InterfaceObservation Secondary(int deviceIndex, params string[] blocks) =>
        new()
        {
            Id = new NetworkInterfaceId($"eni-{deviceIndex}"),
            Slot = new Slot(0, deviceIndex),
            PrimaryAddress = IPAddress.Parse($"10.0.{deviceIndex}.4"),
            SubnetId = "subnet-1",
            Blocks = [.. blocks.Select(IPNetwork.Parse)],
        };

    private static Attachment Attachment(string container, string address) =>
        new()
        {
            Key = Key(container),
            Pod = new PodReference("default", container),
            Interfaces = [new AttachmentInterface("eth0", [IPAddress.Parse(address)], null)],
            AssignedAt = Start.AddMinutes(-1),
        };

    private static AttachmentKey Key(string container) => new("aws-cni", container, "eth0");

    private static string AddressOf(Attachment attachment) => attachment.Addresses[0].Address.ToString();
}
