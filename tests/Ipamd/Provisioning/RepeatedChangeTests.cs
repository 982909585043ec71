// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Provisioning;

/// <summary>
/// Changes whose first call took effect without an answer, and whose repetition is rejected before the cloud checks its state. All found by
/// the simulation.
/// </summary>
public sealed class RepeatedChangeTests
{
    public static TheoryData<string> InconclusiveRejections =>
        [nameof(CloudErrorKind.Throttled), nameof(CloudErrorKind.NotPermitted), nameof(CloudErrorKind.Disabled)];

    [Theory]
    [MemberData(nameof(InconclusiveRejections))]
    public async Task Unanswered_release_stays_open_when_its_repetition_is_rejected(string refusal)
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud, new PoolTargets { WarmIpTarget = 1 });
        await pool.StepAsync();
        var primary = cloud.Interfaces[0];
        cloud.FailNext(
            "UnassignBlocks",
            () =>
            {
                cloud.Change(primary.Id, item => item with { Blocks = [item.Blocks[0]] });
                return new CloudException(CloudErrorKind.Transient, "UnassignBlocks", "NoAnswer", "the answer is lost");
            }
        );
        cloud.FailNext("UnassignBlocks", Enum.Parse<CloudErrorKind>(refusal));
        pool.Time.Advance(PoolLimits.IdleBlock);
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(10));
        await pool.StepAsync();
        Assert.Equal((1, 1, 0), (pool.View.Total, pool.View.Free, pool.View.Intents.Count));
    }

    [Theory]
    [MemberData(nameof(InconclusiveRejections))]
    public async Task Unanswered_creation_is_resumed_when_its_repetition_is_rejected(string refusal)
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        HashSet<string> tokens = [];
        foreach (var kind in new[] { CloudErrorKind.Transient, Enum.Parse<CloudErrorKind>(refusal), CloudErrorKind.Transient })
        {
            cloud.FailNext(
                "CreateInterface",
                () =>
                {
                    tokens.Add(Token(pool));
                    return new CloudException(kind, "CreateInterface", kind.ToString(), "made to fail");
                }
            );
        }

        await pool.AddAsync("a");
        for (var second = 0; second < 10; second++)
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Single(tokens);
        Assert.Equal((2, 0), (cloud.Interfaces.Count, pool.View.Intents.Count));
    }

    [Theory]
    [InlineData(nameof(CloudErrorKind.Invalid))]
    [InlineData(nameof(CloudErrorKind.NotFound))]
    public async Task Unanswered_creation_is_given_up_when_its_parameters_are_refused_for_a_minute(string refusal)
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        cloud.FailNext("CreateInterface", CloudErrorKind.Transient);
        cloud.FailNext("CreateInterface", Enum.Parse<CloudErrorKind>(refusal), times: 1000);
        await pool.AddAsync("a");
        await pool.StepAsync();
        var token = Token(pool);
        for (
            var waited = TimeSpan.Zero;
            waited < IpLedger.ConsistencyWindow + PoolLimits.Resumes.Longest;
            waited += TimeSpan.FromSeconds(1)
        )
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
            if (waited < IpLedger.ConsistencyWindow - TimeSpan.FromSeconds(1))
                Assert.Equal(token, Token(pool));
        }

        Assert.Empty(pool.View.Intents);
    }

    [Theory]
    [MemberData(nameof(InconclusiveRejections))]
    public async Task Unanswered_detachment_is_resumed_when_its_repetition_is_rejected(string refusal)
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        await pool.DeleteAsync("a");
        cloud.FailNext(
            "DetachInterface",
            () =>
            {
                cloud.Change(
                    cloud.Interfaces[1].Id,
                    item => item with { AttachmentId = null, Slot = null, State = Ec2InterfaceState.Available }
                );
                return new CloudException(CloudErrorKind.Transient, "DetachInterface", "NoAnswer", "the answer is lost");
            }
        );
        cloud.FailNext("DetachInterface", Enum.Parse<CloudErrorKind>(refusal));
        pool.Time.Advance(PoolLimits.IdleInterface);
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        await pool.StepAsync();
        Assert.Equal(3, pool.View.Free);
        pool.Time.Advance(TimeSpan.FromSeconds(10));
        await pool.StepAsync();
        Assert.Equal((1, 0), (cloud.Interfaces.Count, pool.View.Intents.Count));
    }

    [Fact]
    public async Task Failed_delete_on_termination_is_retried_within_minutes()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        cloud.FailNext("SetDeleteOnTermination", CloudErrorKind.Throttled);
        await pool.AddAsync("a");
        await pool.StepAsync();
        Assert.False(cloud.Interfaces[1].DeleteOnTermination);
        cloud.Change(
            cloud.Interfaces[1].Id,
            item =>
                item with
                {
                    Description = EniTags.DescriptionPrefix + "i-1",
                    Tags = new Dictionary<string, string> { [EniTags.InstanceId] = "i-1" },
                }
        );
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.True(cloud.Interfaces[1].DeleteOnTermination);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(3)]
    public async Task Intent_of_a_deleted_interface_is_closed_despite_a_clock_change(int recordedHoursAhead)
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        var clock = ClockReading.Of(pool.Time);
        var at = clock.Now.AddHours(recordedHoursAhead);
        var intent = new Intent(
            1,
            at,
            "token",
            new PoolChange.AddInterface(new Slot(0, 1), "subnet-1", [], [new BlockRequest(Shapes.Ipv4Address, 2)])
        )
        {
            Created = new NetworkInterfaceId("eni-deleted"),
        };
        pool.Ledger.Restore(LedgerRecord.Empty with { Intents = [intent], WrittenAt = clock with { Now = at } }, clock);
        for (
            var waited = TimeSpan.Zero;
            waited < IpLedger.ConsistencyWindow + PoolLimits.Resumes.Longest;
            waited += TimeSpan.FromSeconds(1)
        )
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.DoesNotContain(pool.View.Intents, open => open.Intent.Number == intent.Number);
    }

    private static string Token(PoolHarness pool) => Assert.Single(pool.View.Intents).Intent.Token;
}
