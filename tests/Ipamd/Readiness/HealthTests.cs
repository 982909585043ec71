// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Tests.Cli;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Readiness;

/// <summary>
/// Tests the first line of <c>ipamd status</c>, its exit code and the reported changes, in the states that an operator meets.
/// </summary>
public sealed class HealthTests
{
    private readonly AnswerHarness _node = new(new PoolHarness(new FakeCloud().WithPrimary()));

    [Fact]
    public async Task Serving_node_is_ready_and_reports_nothing()
    {
        await _node.ServeAsync();
        _node.Health.ReportChange();
        Assert.Equal(("READY", 0), (_node.Health.Report().Headline, StatusReport.ExitCodeOf(_node.Status().Health)));
        Assert.Empty(_node.Changes);
    }

    [Fact]
    public void Starting_node_is_not_ready_and_names_what_it_waits_for()
    {
        _node.State.Starting("identify this node (instance metadata)");
        Assert.Equal("NOT READY Starting: identify this node (instance metadata)", _node.Health.Report().Headline);
        Assert.Equal(1, StatusReport.ExitCodeOf(_node.Status().Health));

        // A brief start is not reported.
        _node.Health.ReportChange();
        Assert.Empty(_node.Changes);
        _node.Pool.Time.Advance(TimeSpan.FromSeconds(6));
        _node.Health.ReportChange();
        Assert.Single(_node.Changes);
    }

    /// <summary>
    /// A pod that is served before would open connections that are not translated; a broken nftables must not keep pods away.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Readiness_waits_for_NAT_and_not_for_ever(bool isTried)
    {
        var wasTried = false;
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary()), Facts.Healthy with { WasNatTried = () => wasTried });
        await node.ServeAsync();
        Assert.Equal("NOT READY Starting: NAT is being set up for the connections of the first pods", node.Health.Report().Headline);

        // An address was free once: a pod that takes it does not take that back.
        node.Pool.Cloud.FailNext("AssignBlocks", CloudErrorKind.Throttled, 9);
        node.Pool.Cloud.FailNext("CreateInterface", CloudErrorKind.Throttled, 9);
        for (var index = 0; node.Pool.View.Free > 0; index++)
            await node.Pool.AddAsync($"p{index}");
        if (isTried)
            wasTried = true;
        else
            node.Pool.Time.Advance(DaemonState.NatWait);
        Assert.True(node.State.Stepped(await node.Pool.StepAsync()));

        Assert.True(node.State.Ready);
        Assert.DoesNotContain("NAT", node.Health.Report().Headline, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failed_checkpoint_write_makes_the_node_not_ready_until_one_succeeds()
    {
        await _node.ServeAsync();
        _node.Pool.File.RefuseWrites = true;
        await Assert.ThrowsAsync<IOException>(() => _node.Pool.AddAsync("a"));
        Assert.StartsWith("NOT READY CheckpointNotWritten: ", _node.Health.Report().Headline, StringComparison.Ordinal);
        _node.Health.ReportChange();

        _node.Pool.File.RefuseWrites = false;
        await _node.Pool.Writer.PersistAsync(default);
        _node.Health.ReportChange();
        Assert.Equal("READY", _node.Changes[^1]);
        Assert.Equal(2, _node.Changes.Count);
    }

    [Fact]
    public async Task Full_subnet_degrades_the_node_even_while_addresses_are_free()
    {
        _node.Pool.Cloud.FailNext("CreateInterface", CloudErrorKind.SubnetExhausted, 9);
        await _node.ServeAsync();
        await _node.Pool.AddAsync("a");
        await _node.Pool.StepAsync();
        Assert.Equal((HealthLevel.Degraded, HealthReason.SubnetExhausted), Worst());
        Assert.StartsWith("DEGRADED SubnetExhausted: 2 addresses are free, ", _node.Health.Report().Headline, StringComparison.Ordinal);
        Assert.Equal(3, StatusReport.ExitCodeOf(_node.Status().Health));
    }

    /// <summary>Throttling often ends by itself, so it counts at once only for an empty pool.</summary>
    [Fact]
    public async Task Throttling_degrades_an_empty_pool_at_once_and_others_after_a_minute()
    {
        for (var attempt = 0; attempt < 99; attempt++)
            _node.Pool.Cloud.FailNext("CreateInterface", CloudErrorKind.Throttled);
        await _node.ServeAsync();
        await _node.Pool.AddAsync("a");
        await _node.Pool.StepAsync();
        Assert.Equal(HealthLevel.Ready, _node.Health.Report().Level);
        for (var second = 0; second < 61; second++)
        {
            _node.Pool.Time.Advance(TimeSpan.FromSeconds(1));
            await _node.Pool.StepAsync();
            _node.Health.ReportChange();
        }

        Assert.Equal((HealthLevel.Degraded, HealthReason.Throttled), Worst());

        var full = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary(1)));
        for (var attempt = 0; attempt < 99; attempt++)
        {
            full.Pool.Cloud.FailNext("CreateInterface", CloudErrorKind.Throttled);
            full.Pool.Cloud.FailNext("AssignBlocks", CloudErrorKind.Throttled);
        }

        await full.Pool.StepAsync();
        await full.ServeAsync();
        await full.Pool.AddAsync("a");
        await full.Pool.StepAsync();
        Assert.StartsWith("DEGRADED Throttled: no address is free, ", full.Health.Report().Headline, StringComparison.Ordinal);
    }

    /// <summary>A node that runs its maximum of pods is full, which is no problem.</summary>
    [Fact]
    public async Task Full_node_is_ready()
    {
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary(), maxInterfaces: 1));
        node.Pool.Conditions.MaxPods = 3;
        await node.ServeAsync();
        foreach (var pod in new[] { "a", "b", "c" })
            await node.Pool.AddAsync(pod);
        await node.Pool.StepAsync();
        Assert.Equal((0, HealthLevel.Ready), (node.Pool.View.Free, node.Health.Report().Level));

        // A node that may run more pods is not full.
        node.Pool.Conditions.MaxPods = 10;
        await node.Pool.StepAsync();
        Assert.StartsWith("DEGRADED EniLimitReached: no address is free, ", node.Health.Report().Headline, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Detached_interface_is_one_cause_with_its_pods()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var node = new AnswerHarness(new PoolHarness(cloud));
        await node.ServeAsync();
        foreach (var pod in new[] { "a", "b", "c", "d", "e" })
        {
            await node.Pool.AddAsync(pod);
            await node.Pool.StepAsync();
        }

        var second = cloud.Interfaces.First(item => item.Slot == new Slot(0, 1)).Id;
        node.Pool.Time.Advance(TimeSpan.FromMinutes(2));
        cloud.Change(second, _ => null);
        node.Pool.Sync.RequestAt(node.Pool.Time.GetUtcNow());
        await node.Pool.StepAsync();

        var told = Assert.Single(node.Pool.Published.OfType<PoolEvent.AddressesLost>());
        Assert.Contains($"{second} disappeared at ", told.Loss.Description, StringComparison.Ordinal);
        Assert.Contains(" with 2 pods: default/d (", told.Loss.Description, StringComparison.Ordinal);
        Assert.Equal(
            (HealthLevel.Degraded, HealthReason.AddressLost),
            (node.Health.Report().Level, node.Health.Report().Causes[0].Cause.Reason)
        );
        Assert.Single(node.Status().Problems, problem => problem.Contains("disappeared", StringComparison.Ordinal));
        var explained = node.Explain("default/e");
        Assert.Equal("orphaned", explained.State);
        Assert.Contains(explained.Steps, step => step.Kind == "lost" && step.What.Contains(second.Value, StringComparison.Ordinal));
    }

    /// <summary>A restart while the cloud is unreachable must not report orphans.</summary>
    [Fact]
    public async Task Unobserved_node_reports_no_lost_address()
    {
        var before = new PoolHarness(new FakeCloud().WithPrimary());
        await before.StepAsync();
        await before.AddAsync("a");
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary()));
        node.Pool.Ledger.Restore(
            VpcCni.Ipamd.Ledger.Checkpoint.CheckpointFormat.Read(before.File.Content),
            VpcCni.Ipamd.Ledger.ClockReading.Of(node.Pool.Time)
        );
        node.State.Starting("could not identify this node: connection refused");

        Assert.Empty(node.Pool.View.Orphans);
        var status = node.Status();
        Assert.DoesNotContain(status.Problems, problem => problem.Contains("no interface", StringComparison.Ordinal));
        Assert.Equal("holding", node.Explain("default/a").State);
    }

    [Fact]
    public async Task Several_causes_are_listed_worst_first()
    {
        var node = new AnswerHarness(
            new PoolHarness(new FakeCloud().WithPrimary()),
            Facts.Healthy with
            {
                HostNetworkProblem = () => "nft: Operation not permitted",
                DefectProblem = () => "metrics failed because of a defect",
            }
        );
        await node.ServeAsync();
        node.Pool.File.RefuseWrites = true;
        await Assert.ThrowsAsync<IOException>(() => node.Pool.AddAsync("a"));
        var health = node.Status().Health;
        Assert.Equal(["CheckpointNotWritten", "HostNetwork", "PartStopped"], health.Causes.Select(cause => cause.Reason));
        Assert.Equal(["not_ready", "degraded", "degraded"], health.Causes.Select(cause => cause.Level));
        Assert.Equal("not_ready", health.Level);
    }

    [Fact]
    public void Facts_are_attached_exactly_once_before_they_are_read()
    {
        Assert.Throws<InvalidOperationException>(() => _node.State.Attach(Facts.Healthy));
        Assert.Throws<InvalidOperationException>(() => new DaemonState("test", _node.Pool.Time).Facts);
    }

    private (HealthLevel, HealthReason) Worst() => (_node.Health.Report().Level, _node.Health.Report().Causes[0].Cause.Reason);
}
