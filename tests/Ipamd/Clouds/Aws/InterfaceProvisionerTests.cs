// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>The stages of interfaces on EC2, and what is recorded between them.</summary>
public sealed class InterfaceProvisionerTests
{
    private static readonly PoolChange.AddInterface Add = new(
        new Slot(0, 1),
        "subnet-1",
        ["sg-1"],
        [new BlockRequest(Shapes.Ipv4Address, 2), new BlockRequest(Shapes.Ipv6Address, 2)]
    );

    private readonly FakeCloud _cloud = new FakeCloud().WithPrimary();
    private readonly ManualTimeProvider _time = new();
    private readonly ApiRateLimiter _budget;
    private readonly CloudPorts _ports;
    private readonly List<Intent> _recorded = [];

    public InterfaceProvisionerTests()
    {
        _budget = new ApiRateLimiter(new ApiBudgetOptions(), (_, _, _) => { }, _time, new Random(1));
        _ports = new AwsFactory(_cloud, ManageUntagged: true).Create(
            new CloudDependencies(_budget, _time, new Random(1), NullLoggerFactory.Instance)
        );
    }

    [Fact]
    public async Task Addition_records_the_interface_and_then_its_attachment()
    {
        var progress = Progress(Add);

        var attached = await _ports.Interfaces.AddAsync(Add, progress, default);

        Assert.Equal((new Slot(0, 1), true, false), (attached!.Slot, attached.CarriesPods, attached.IsIncomplete));
        Assert.Equal([IntentStage.Created, IntentStage.Attached], _recorded.Select(intent => intent.Stage));
        Assert.All(_recorded, intent => Assert.Equal(attached.Id, intent.Created));
        Assert.Equal(_cloud.Interfaces[1].AttachmentId, progress.Intent.Progress);
    }

    [Fact]
    public async Task Family_that_EC2_refuses_is_taken_from_its_message()
    {
        _cloud.FailNext("CreateInterface", () => Failure(CloudErrorKind.Invalid, "The subnet has no IPv6 CIDR block"));
        _cloud.FailNext("CreateInterface", () => Failure(CloudErrorKind.Invalid, "The subnet does not exist"));

        Assert.Equal(IpFamily.V6, (await FailureOfAsync(Progress(Add))).Family);
        Assert.Null((await FailureOfAsync(Progress(Add))).Family);
        Assert.Empty(_recorded);
    }

    /// <summary>Without a look at the interface nothing is known of it, so it must not be undone.</summary>
    [Fact]
    public async Task Refused_description_of_a_created_interface_keeps_its_kind_and_is_no_reason_to_undo_it()
    {
        _cloud.FailNext("DescribeAttachedInterfaces", CloudErrorKind.NotPermitted);
        var progress = Progress(Add, isRepeated: true, intent => intent with { Created = new NetworkInterfaceId("eni-9") });

        var failure = await FailureOfAsync(progress);

        Assert.Equal((CloudErrorKind.NotPermitted, true), (failure.Kind, failure.IsOfLookup));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Interface_without_a_described_attachment_counts_as_detached_only_after_an_earlier_attempt(bool isRepeated)
    {
        var id = new NetworkInterfaceId("eni-9");
        var remove = new PoolChange.RemoveInterface(id, new Slot(0, 1), IPAddress.Parse("10.0.0.4"));

        var detaching = _ports.Interfaces.DetachAsync(id, Progress(remove, isRepeated), default);

        if (isRepeated)
            await detaching;
        else
            Assert.Equal("NotDescribed", (await Assert.ThrowsAsync<CloudException>(() => detaching)).Code);
        Assert.DoesNotContain("DetachInterface", _cloud.Calls);
    }

    [Fact]
    public async Task Addition_whose_interface_was_never_attached_is_undone_without_a_detachment()
    {
        _cloud.FailNext("AttachInterface", CloudErrorKind.Conflict);
        var progress = Progress(Add);
        await FailureOfAsync(progress);
        var created = progress.Intent.Created!.Value;

        await _ports.Interfaces.DetachAsync(created, progress, default);
        await _ports.Interfaces.DeleteAsync(created, progress, default);

        Assert.DoesNotContain("DetachInterface", _cloud.Calls);
        Assert.Single(_cloud.Interfaces);
    }

    /// <summary>An operator who forbids releases still wants no half-made interfaces.</summary>
    [Fact]
    public async Task Undoing_an_addition_is_growth_and_a_removal_is_a_release()
    {
        var addition = Progress(Add);
        var attached = await _ports.Interfaces.AddAsync(Add, addition, default);
        _budget.Access = CloudAccess.NoReleases;
        var remove = new PoolChange.RemoveInterface(attached!.Id, attached.Slot, attached.PrimaryAddress);

        var refused = await Assert.ThrowsAsync<CloudException>(() => _ports.Interfaces.DetachAsync(attached.Id, Progress(remove), default));
        await _ports.Interfaces.DetachAsync(attached.Id, addition, default);
        await _ports.Interfaces.DeleteAsync(attached.Id, addition, default);

        Assert.Equal(CloudErrorKind.Disabled, refused.Kind);
        Assert.Single(_cloud.Interfaces);
    }

    /// <summary>Somebody attached it again, so the id of the intent is that of no attachment.</summary>
    [Fact]
    public async Task Later_description_decides_over_which_attachment_is_detached()
    {
        var attached = await _ports.Interfaces.AddAsync(Add, Progress(Add), default);
        _cloud.Change(attached!.Id, item => item with { AttachmentId = "attach-again" });
        await _ports.Node.DescribeAttachedInterfacesAsync(default);
        var remove = new PoolChange.RemoveInterface(attached.Id, attached.Slot, attached.PrimaryAddress);

        await _ports.Interfaces.DetachAsync(attached.Id, Progress(remove), default);

        Assert.Null(_cloud.Interfaces[1].AttachmentId);
    }

    [Fact]
    public async Task Interface_that_is_not_described_is_not_reported_as_repaired()
    {
        var attached = await _ports.Interfaces.AddAsync(Add, Progress(Add), default);
        _cloud.Change(attached!.Id, _ => null);
        await _ports.Node.DescribeAttachedInterfacesAsync(default);

        var failure = await Assert.ThrowsAsync<CloudException>(() => _ports.Interfaces.RepairAsync(attached, default));

        Assert.Equal(CloudErrorKind.Transient, failure.Kind);
    }

    private async Task<CloudException> FailureOfAsync(ChangeProgress progress) =>
        await Assert.ThrowsAsync<CloudException>(() => _ports.Interfaces.AddAsync(Add, progress, default));

    private ChangeProgress Progress(PoolChange change, bool isRepeated = false, Func<Intent, Intent>? with = null)
    {
        var intent = new Intent(1, _time.GetUtcNow(), Guid.NewGuid().ToString(), change);
        return new ChangeProgress(
            with?.Invoke(intent) ?? intent,
            isRepeated,
            (progressed, _) =>
            {
                _recorded.Add(progressed);
                return Task.CompletedTask;
            }
        );
    }

    private static CloudException Failure(CloudErrorKind kind, string message) =>
        new(kind, "CreateNetworkInterface", "InvalidParameterValue", message);
}
