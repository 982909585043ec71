// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Startup;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class StatusReportTests
{
    [Fact]
    public async Task Status_of_a_healthy_node_fits_half_a_screen()
    {
        var node = new AnswerHarness(
            new PoolHarness(new FakeCloud().WithPrimary()),
            Facts.Healthy with
            {
                Settings = () =>
                    [
                        new SettingInForce("WARM_IP_TARGET", "0", "default"),
                        new SettingInForce("WARM_ENI_TARGET", "1", "environment"),
                        new SettingInForce("WARM_PREFIX_TARGET", "1", "environment", "ENABLE_PREFIX_DELEGATION is false"),
                        new SettingInForce("MAX_ENI", "3", "node"),
                        new SettingInForce("VPCCNI_MAX_PODS", "9", "node"),
                    ],
            }
        );
        await node.ServeAsync();
        await node.Pool.AddAsync("web-1");
        await node.Pool.AddAsync("web-2");
        await node.Pool.DeleteAsync("web-2");
        node.Pool.Time.Advance(TimeSpan.FromSeconds(12));
        GoldenScreen.Check("status-well", StatusReport.Text(node.Status()));
    }

    [Fact]
    public async Task Surplus_is_printed_with_the_reason_for_keeping_it()
    {
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary(), new PoolTargets { WarmIpTarget = 1 }));
        await node.ServeAsync();
        foreach (var pod in (string[])["a", "b"])
        {
            await node.Pool.AddAsync(pod);
            await node.Pool.StepAsync();
        }

        foreach (var pod in (string[])["a", "b"])
            await node.Pool.DeleteAsync(pod);
        node.Pool.Time.Advance(TimeSpan.FromSeconds(40));
        await node.Pool.StepAsync();
        Assert.Contains(
            "surplus    2 addresses beyond the targets: kept in case the load",
            StatusReport.Text(node.Status()),
            StringComparison.Ordinal
        );
        Assert.Equal(
            TimeSpan.FromMinutes(5),
            node.Status().Pool.Surplus.GoesAt.ToDateTimeOffset()
                - node.Pool.Ledger.View(node.Pool.Time.GetUtcNow()).Interfaces[0].UnusedSince
        );
    }

    [Fact]
    public async Task Pod_that_waits_for_a_cooldown_is_printed_with_its_end()
    {
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary(), maxInterfaces: 1));
        await node.ServeAsync();
        foreach (var pod in (string[])["a", "b", "c"])
            await node.Pool.AddAsync(pod);
        await node.Pool.StepAsync();
        await node.Pool.DeleteAsync("a");
        node.Pool.Time.Advance(TimeSpan.FromSeconds(15));
        var end = $"{node.Pool.View.CooldownEnds[0]:HH:mm:ss}Z";
        _ = node.Pool.AddAsync("d");
        node.Pool.Reconciler.Step(CancellationToken.None);
        var status = node.Status();
        Assert.StartsWith($"an address that cools until {end}; ", status.Line.WaitsFor, StringComparison.Ordinal);
        Assert.EndsWith($"; it gets an address that cools until {end}", node.Explain("default/d").Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Problems_of_a_node_are_printed_with_their_end()
    {
        string? hostProblem = null;
        var node = new AnswerHarness(
            new PoolHarness(new FakeCloud().WithPrimary()),
            Facts.Healthy with
            {
                HostNetworkProblem = () => hostProblem,
                Settings = () =>
                    [
                        new SettingInForce("WARM_IP_TARGET", "2", "environment"),
                        new SettingInForce("WARM_ENI_TARGET", "3", "environment", "WARM_IP_TARGET decides"),
                    ],
            }
        );
        await node.ServeAsync();
        foreach (var pod in new[] { "a", "b", "c" })
            await node.Pool.AddAsync(pod);
        var waiting = node.Pool.AddAsync("web-4");
        for (var attempt = 0; attempt < 9; attempt++)
        {
            node.Pool.Cloud.FailNext(
                "CreateInterface",
                () =>
                    new CloudException(
                        CloudErrorKind.Throttled,
                        "CreateNetworkInterface",
                        "RequestLimitExceeded",
                        "Request limit exceeded."
                    )
            );
        }

        node.Pool.Cloud.FailNext("DescribeAttachedInterfaces", CloudErrorKind.Throttled, 3);
        node.Pool.Sync.RequestAt(node.Pool.Time.GetUtcNow());
        node.Pool.Reconciler.Step(CancellationToken.None);
        node.Pool.Time.Advance(TimeSpan.FromSeconds(1));
        await node.Pool.DeleteAsync("c");
        _ = node.Pool.AddAsync("web-5");
        node.Pool.Reconciler.Step(CancellationToken.None);
        node.Budget.Access = CloudAccess.NoReleases;
        node.State.Warnings = ["ENABLE_PREFIX_DELEGATON is not known and has no effect; did you mean ENABLE_PREFIX_DELEGATION?"];
        hostProblem = "nft: Operation not permitted\n(you must be root)";
        node.Pool.Time.Advance(TimeSpan.FromSeconds(4));
        node.Pool.Reconciler.Step(CancellationToken.None);
        var status = node.Status();
        GoldenScreen.Check("status-trouble", StatusReport.Text(status));
        Assert.Equal((true, true, true), (status.Line.Length > 0, status.Failures.Count > 1, status.Obstacles.Count > 0));
        Assert.False(waiting.IsCompleted);
    }

    [Fact]
    public void Foreign_configuration_and_failed_service_are_printed()
    {
        var node = new AnswerHarness(
            new PoolHarness(new FakeCloud().WithPrimary()),
            Facts.Healthy with
            {
                InstallationProblem = () => "10-aws.conflist belongs to another network now",
                DefectProblem = () => "metrics failed because of a defect",
            }
        );
        var text = StatusReport.Text(node.Status());
        Assert.Contains("Installation: 10-aws.conflist belongs to another network now", text, StringComparison.Ordinal);
        Assert.Contains("PartStopped: metrics failed because of a defect", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Starting_daemon_prints_what_it_waits_for()
    {
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary()));
        node.State.Starting("identify this node (instance metadata)");
        _ = node.Pool.AddAsync("web-1");
        node.Pool.Time.Advance(TimeSpan.FromSeconds(1));
        GoldenScreen.Check("status-starting", StatusReport.Text(node.Status()));
    }

    [Fact]
    public async Task Primary_interface_under_custom_networking_has_no_pods()
    {
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary(), customNetworking: true));
        await node.ServeAsync();
        var status = node.Status();
        Assert.Equal("no pods (custom networking)", Assert.Single(status.Interfaces).State);
        var row = Assert.Single(StatusReport.Text(status).Split('\n'), line => line.StartsWith("eni-0 ", StringComparison.Ordinal));
        Assert.EndsWith("no pods (custom networking)", row, StringComparison.Ordinal);
        Assert.InRange(row.Length, 1, TableWriter.Width);
    }

    /// <summary>The interface has two addresses, so they are counted, and the state is wrapped.</summary>
    [Fact]
    public async Task Long_state_of_an_interface_with_addresses_keeps_its_counts()
    {
        var node = new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary()));
        await node.ServeAsync();
        var status = node.Status();
        status.Interfaces[0].State = "no pods (custom networking)";
        var lines = StatusReport.Text(status).Split('\n');
        var row = Array.FindIndex(lines, line => line.StartsWith("eni-0 ", StringComparison.Ordinal));
        Assert.Matches(@" 3 +0 +0 +3  no pods \(custom$", lines[row]);
        Assert.Equal("networking)", lines[row + 1].Trim());
    }

    [Theory]
    [InlineData("1", "environment", 0)]
    [InlineData("3", "default", 0)]
    [InlineData("3", "environment", 1)]
    public void Setting_without_effect_is_printed_if_it_was_chosen(string value, string source, int lines)
    {
        var node = new AnswerHarness(
            new PoolHarness(new FakeCloud().WithPrimary()),
            Facts.Healthy with
            {
                Settings = () => [new SettingInForce("WARM_PREFIX_TARGET", value, source, "ENABLE_PREFIX_DELEGATION is false")],
            }
        );
        var said = StatusReport
            .Text(node.Status())
            .Split('\n')
            .Select(line => line.Trim())
            .Where(line => line.Contains("has no effect", StringComparison.Ordinal));
        Assert.Equal(Enumerable.Repeat("WARM_PREFIX_TARGET=3 has no effect: ENABLE_PREFIX_DELEGATION is false", lines), said);
    }

    [Fact]
    public void Setting_without_effect_is_printed_once()
    {
        var bound = OptionBinder.Bind(new Dictionary<string, string> { ["WARM_PREFIX_TARGET"] = "3" });
        var node = new AnswerHarness(
            new PoolHarness(new FakeCloud().WithPrimary()),
            Facts.Healthy with
            {
                Settings = () => SettingsInForce.Of(bound, null, new NodeConditions()),
            }
        );
        node.State.Warnings = bound.Warnings;
        Assert.Equal(2, StatusReport.Text(node.Status()).Split("WARM_PREFIX_TARGET").Length);
    }

    /// <summary>Programs find every member, even one with a default value.</summary>
    [Fact]
    public void Json_of_an_empty_reply_has_every_member()
    {
        var json = StatusReport.Json.Format(new AnswerHarness(new PoolHarness(new FakeCloud().WithPrimary())).Status());
        foreach (
            var member in new[]
            {
                "ready",
                "phase",
                "problems",
                "pool",
                "interfaces",
                "version",
                "startedAt",
                "nodeId",
                "instanceType",
                "waitingAdds",
                "cloud",
                "now",
                "warnings",
                "line",
                "obstacles",
                "failures",
                "hostNetworkProblem",
            }
        )
            Assert.Contains($"\"{member}\":", json, StringComparison.Ordinal);
    }
}
