// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Rpc;
using VpcCni.Ipamd.Tests.Cli;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Audit;

public sealed class NodeAuditorTests : IDisposable
{
    private readonly ManualTimeProvider _time = new(AuditWorld.Now);
    private readonly AuditWorld _world = new();
    private readonly FakeCloud _cloud = new FakeCloud().WithPrimary();
    private readonly NodeAuditor _auditor;
    private bool _observesSoon;

    public NodeAuditorTests() =>
        _auditor = new NodeAuditor(
            _world.Ledger,
            _cloud.Ports,
            _world,
            () => AuditWorld.Wirings,
            "eni",
            () => null,
            () => _observesSoon = true,
            _time
        );

    public void Dispose() => _auditor.Dispose();

    [Fact]
    public async Task First_pass_without_a_mismatch_is_enough()
    {
        var result = await _auditor.RunAsync(asksCloud: false, CancellationToken.None);
        Assert.Equal((0, 1, true), (result.Findings.Count, result.Passes, result.IsComplete));
        Assert.Empty(_cloud.Calls);
    }

    [Fact]
    public async Task Mismatch_of_one_pass_is_no_finding()
    {
        var route = _world.Routes[^1];
        _world.Routes.Remove(route);
        // A pod was being torn down or wired while the kernel was read.
        _world.Looked = number =>
        {
            if (number == 1)
                _world.Routes.Add(route);
        };
        var result = await RunAsync(asksCloud: false);
        Assert.Equal((0, 2), (result.Findings.Count, result.Passes));
    }

    [Fact]
    public async Task Mismatch_of_both_passes_is_reported_with_one_call_of_ec2()
    {
        _world.Links.RemoveAll(link => link.Name == "eth1");
        var result = await RunAsync(asksCloud: true);
        Assert.Contains(result.Findings, finding => finding.Kind == "interface-link");
        Assert.Contains(result.Findings, finding => finding.Kind == "cloud-interface");
        Assert.Equal(["DescribeAttachedInterfaces", "IdentifyNode"], _cloud.Calls);
        Assert.True(_observesSoon);
    }

    [Fact]
    public async Task View_that_does_not_answer_makes_the_audit_incomplete()
    {
        _world.KernelRefuses = "No buffer space available";
        _cloud.FailNext("DescribeAttachedInterfaces", CloudErrorKind.Throttled);
        var result = await _auditor.RunAsync(asksCloud: true, CancellationToken.None);
        Assert.False(result.IsComplete);
        Assert.Equal(2, result.NotCompared.Count);
        GoldenScreen.Check("audit-incomplete", AuditReport.Text(AuditReplies.Of(result, AuditWorld.Now, TimeSpan.FromMilliseconds(12))));
    }

    [Fact]
    public async Task Findings_are_printed_with_advice()
    {
        _world.Routes.RemoveAll(route => route.Table == 2);
        _world.Sandboxes.Add(AuditWorld.Sandbox("cni-0f3a", "10.0.0.5", _world.Links[^1].Mac!.Value));
        _world.Rules.Add(_world.Rules[^1] with { Source = System.Net.IPNetwork.Parse("10.0.0.10/32") });
        var result = await RunAsync(asksCloud: false);
        GoldenScreen.Check("audit-mismatch", AuditReport.Text(AuditReplies.Of(result, AuditWorld.Now, TimeSpan.FromSeconds(3.02))));
        Assert.Equal(3, result.Findings.Count);
    }

    [Fact]
    public async Task Clean_audit_prints_what_was_compared()
    {
        var result = await _auditor.RunAsync(asksCloud: false, CancellationToken.None);
        GoldenScreen.Check("audit-clean", AuditReport.Text(AuditReplies.Of(result, AuditWorld.Now, TimeSpan.FromMilliseconds(8))));
    }

    private async Task<AuditResult> RunAsync(bool asksCloud)
    {
        var run = _auditor.RunAsync(asksCloud, CancellationToken.None);
        await Eventually.TrueAsync(() => run.IsCompleted || _time.PendingTimers > 0);
        _time.Advance(NodeAuditor.Pause);
        return await run;
    }
}
