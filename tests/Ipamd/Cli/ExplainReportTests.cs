// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Rpc;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Protos.V1;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class ExplainReportTests
{
    private readonly AnswerHarness _node = new(new PoolHarness(new FakeCloud().WithPrimary()));

    [Fact]
    public async Task Pod_that_was_served_at_once_is_explained_from_add_to_del()
    {
        await _node.ServeAsync();
        await _node.Pool.AddAsync("web-1");
        _node.Pool.Time.Advance(TimeSpan.FromSeconds(90));
        Assert.Equal("holding", _node.Explain("default/web-1").State);
        await _node.Pool.AddAsync("web-1");
        await _node.Pool.DeleteAsync("web-1");
        await _node.Pool.DeleteAsync("web-1");
        _node.Pool.Time.Advance(TimeSpan.FromSeconds(2));
        var reply = _node.Explain("default/web-1");
        Assert.Equal(
            ("gone", new[] { "asked", "chosen", "answered", "answered", "deleted", "deleted" }),
            (reply.State, reply.Steps.Select(step => step.Kind)),
            (a, b) => a.Item1 == b.Item1 && a.Item2.SequenceEqual(b.Item2)
        );
        GoldenScreen.Check("explain-gone", ExplainReport.Text(reply));
    }

    [Fact]
    public async Task Pod_that_waited_is_explained_with_the_changes_of_the_cloud()
    {
        await _node.ServeAsync();
        foreach (var pod in new[] { "a", "b", "c" })
            await _node.Pool.AddAsync(pod);
        var add = _node.Pool.AddAsync("web-7");
        Assert.Equal("waiting", _node.Explain("default/web-7").State);
        _node.Pool.Time.Advance(TimeSpan.FromSeconds(2));
        GoldenScreen.Check("explain-waiting", ExplainReport.Text(_node.Explain("default/web-7")));
        await _node.Pool.StepAsync();
        await add;
        _node.Pool.Time.Advance(TimeSpan.FromMinutes(5));
        var reply = _node.Explain("default/web-7");
        GoldenScreen.Check("explain-waited", ExplainReport.Text(reply));
        Assert.Equal("holding", reply.State);
        Assert.Contains(reply.Steps, step => step.Kind == "growth");
    }

    [Fact]
    public async Task Failed_pod_is_explained_with_reason_and_hint()
    {
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary(), maxInterfaces: 1));
        await node.ServeAsync();
        foreach (var pod in new[] { "a", "b", "c" })
            await node.Pool.AddAsync(pod);
        var add = node.Pool.AddAsync("web-4");
        node.Pool.Time.Advance(TimeSpan.FromMilliseconds(300));
        await node.Pool.StepAsync();
        Assert.IsType<AddOutcome.NoAddress>(await add);
        var reply = node.Explain("default/web-4");
        Assert.Equal("failed", reply.State);
        GoldenScreen.Check("explain-failed", ExplainReport.Text(reply));
    }

    [Fact]
    public async Task Unknown_pod_gets_hints_and_its_namesakes()
    {
        await _node.ServeAsync();
        await _node.Pool.AddAsync("web-1");
        var reply = _node.Explain("kube-system/web-1");
        Assert.Equal("unknown", reply.State);
        GoldenScreen.Check("explain-unknown", ExplainReport.Text(reply));
    }

    [Fact]
    public async Task Name_without_namespace_finds_the_only_pod_of_that_name()
    {
        await _node.ServeAsync();
        await _node.Pool.AddAsync("web-12");
        Assert.StartsWith("default/web-12 has ", _node.Explain("web-12").Summary, StringComparison.Ordinal);
        // The same for a pod of an earlier daemon.
        var next = new AnswerHarness(_node.Pool);
        next.State.Serving(_node.Pool.Reconciler);
        Assert.Equal("holding", next.Explain("web-12").State);
    }

    [Fact]
    public async Task Ambiguous_name_lists_the_pods()
    {
        await _node.ServeAsync();
        foreach (var ns in new[] { "shop", "default" })
            await _node.Pool.Service.AddAsync(
                new VpcCni.Ipamd.Ledger.AttachmentKey("aws-cni", $"{ns}-web-12", "eth0"),
                new VpcCni.Ipamd.Ledger.PodReference(ns, "web-12"),
                "",
                CancellationToken.None
            );
        var reply = _node.Explain("web-12");
        Assert.Equal("unknown", reply.State);
        GoldenScreen.Check("explain-several", ExplainReport.Text(reply));
    }

    [Theory]
    [InlineData("default/web", "default/web-5968-a, default/web-5968-b")]
    [InlineData("web", "default/web-5968-a, default/web-5968-b")]
    [InlineData("shop/web", "default/web-5968-a, default/web-5968-b")]
    [InlineData("shop/data", null)]
    public async Task Name_of_a_workload_lists_its_pods(string subject, string? pods)
    {
        await _node.ServeAsync();
        foreach (var pod in new[] { "web-5968-b", "web-5968-a", "job-1" })
            await _node.Pool.AddAsync(pod);
        var reply = _node.Explain(subject);
        Assert.Equal("unknown", reply.State);
        Assert.Equal(
            pods is null ? null : $"pods whose names begin with it: {pods}",
            reply.Hints.FirstOrDefault(hint => hint.StartsWith("pods whose", StringComparison.Ordinal))
        );
    }

    [Fact]
    public async Task Pod_of_an_earlier_daemon_is_explained_from_the_checkpoint()
    {
        await _node.ServeAsync();
        await _node.Pool.AddAsync("old");
        _node.Pool.Time.Advance(TimeSpan.FromHours(1));
        var next = new AnswerHarness(_node.Pool);
        next.State.Serving(_node.Pool.Reconciler);
        var reply = next.Explain("default/old");
        Assert.Equal("holding", reply.State);
        Assert.Contains("earlier daemon", Assert.Single(reply.Steps).What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pod_whose_interface_is_gone_is_explained_as_unreachable()
    {
        await _node.ServeAsync();
        await _node.Pool.AddAsync("web-1");
        _node.Pool.Cloud.Change(_node.Pool.Cloud.Interfaces[0].Id, item => item with { Blocks = [] });
        _node.Pool.Time.Advance(VpcCni.Ipamd.Ledger.IpLedger.ConsistencyWindow);
        _node.Pool.Sync.RequestAt(_node.Pool.Time.GetUtcNow());
        await _node.Pool.StepAsync();
        var reply = _node.Explain("default/web-1");
        Assert.Equal("orphaned", reply.State);
        Assert.Contains("unreachable", Assert.Single(reply.Hints), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sandbox_is_found_by_the_beginning_of_its_id()
    {
        await _node.ServeAsync();
        await _node.Pool.AddAsync("0123456789abcdef");
        Assert.Equal("default/0123456789abcdef", _node.Explain("012345").Summary.Split(' ')[0]);
        Assert.NotNull(ExplainReplies.Problem(new ExplainRequest { ContainerId = "01234" }));
        Assert.NotNull(ExplainReplies.Problem(new ExplainRequest()));
        Assert.Null(ExplainReplies.Problem(ExplainReport.Parse("default/a")));
    }

    [Fact]
    public async Task Throttled_growth_is_in_the_timeline_of_waiting_pods()
    {
        await _node.ServeAsync();
        foreach (var pod in new[] { "a", "b", "c" })
            await _node.Pool.AddAsync(pod);
        _node.Pool.Cloud.FailNext("CreateInterface", CloudErrorKind.Throttled, 5);
        var add = _node.Pool.AddAsync("web-7");
        _node.Pool.Reconciler.Step(CancellationToken.None);
        _node.Pool.Time.Advance(TimeSpan.FromMilliseconds(100));
        _node.Pool.Reconciler.Step(CancellationToken.None);
        var reply = _node.Explain("default/web-7");
        Assert.Contains(reply.Steps, step => step is { Kind: "growth" } && step.What.StartsWith("failed after", StringComparison.Ordinal));
        Assert.Contains(reply.Steps, step => step.Kind == "obstacle");
        Assert.False(add.IsCompleted);
    }
}
