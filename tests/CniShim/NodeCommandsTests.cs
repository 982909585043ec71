// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Protos.V1;
using Xunit;

namespace VpcCni.Shim.Tests;

/// <summary>GC and STATUS, which change nothing in the kernel.</summary>
public sealed class NodeCommandsTests
{
    [Fact]
    public async Task Status_of_a_ready_daemon_succeeds_silently()
    {
        await using var ipamd = await FakeIpamd.StartAsync();

        var run = new PluginRun("STATUS", Conf(ipamd)).Run();

        Assert.Equal((0, ""), (run.ExitCode, run.Stdout));
    }

    [Fact]
    public async Task Status_of_a_starting_daemon_is_code_50_with_its_problems()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.Status = new GetStatusReply
            {
                Ready = false,
                Phase = "starting",
                Problems = { "waiting for IMDS", "no ENI" },
            }
        );

        var run = new PluginRun("STATUS", Conf(ipamd)).Run();

        Assert.Equal((1, 50), (run.ExitCode, run.Code));
        Assert.Contains("starting", run.Message, StringComparison.Ordinal);
        Assert.Equal("waiting for IMDS; no ENI", run.Answer.GetProperty("details").GetString());
    }

    [Fact]
    public void Status_without_a_daemon_is_code_50_at_once()
    {
        var started = Stopwatch.GetTimestamp();

        var run = new PluginRun("STATUS", PluginRun.Conf(more: "\"ipamdSocket\":\"/nonexistent/ipamd.sock\"")).Run();

        Assert.Equal((1, 50), (run.ExitCode, run.Code));
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Status_of_a_daemon_without_the_service_succeeds()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state => state.ServesNodeIpam = false);

        Assert.Equal(0, new PluginRun("STATUS", Conf(ipamd)).Run().ExitCode);
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData(",\"statusNeedsFreeAddress\":false", 0)]
    [InlineData(",\"statusNeedsFreeAddress\":true", 50)]
    [InlineData(",\"statusNeedsFreeAddress\":\"true\"", 50)]
    [InlineData(",\"statusNeedsFreeAddress\":7", 7)]
    public async Task Status_of_a_full_node_fails_only_if_configured(string more, int code)
    {
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.Status = new GetStatusReply
            {
                Ready = true,
                Phase = "serving",
                Pool = new Pool
                {
                    Total = 27,
                    Assigned = 26,
                    Cooling = 1,
                },
            }
        );

        var run = new PluginRun("STATUS", Conf(ipamd, more)).Run();

        Assert.Equal(code, run.ExitCode == 0 ? 0 : run.Code);
        if (code == 50)
            Assert.Contains("26 of 27", run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gc_sends_the_list_to_the_daemon()
    {
        await using var ipamd = await FakeIpamd.StartAsync();

        var run = new PluginRun(
            "GC",
            Conf(
                ipamd,
                ",\"cni.dev/valid-attachments\":[{\"containerID\":\"a\",\"ifname\":\"eth0\"},{\"containerID\":\"b\",\"ifname\":\"eth1\"}]"
            )
        ).Run();

        Assert.Equal((0, ""), (run.ExitCode, run.Stdout));
        var request = Assert.Single(ipamd.State.Collections);
        Assert.True(request.ValidAttachmentsGiven);
        Assert.Equal("aws-cni", request.NetworkName);
        Assert.Equal(["a/eth0", "b/eth1"], request.ValidAttachments.Select(key => $"{key.ContainerId}/{key.InterfaceName}"));
    }

    [Fact]
    public async Task Gc_with_an_empty_list_sends_an_empty_list()
    {
        await using var ipamd = await FakeIpamd.StartAsync();

        Assert.Equal(0, new PluginRun("GC", Conf(ipamd, ",\"cni.dev/valid-attachments\":[]")).Run().ExitCode);
        Assert.True(Assert.Single(ipamd.State.Collections).ValidAttachmentsGiven);
    }

    [Fact]
    public async Task Gc_without_a_list_is_rejected_without_a_call()
    {
        await using var ipamd = await FakeIpamd.StartAsync();

        var run = new PluginRun("GC", Conf(ipamd)).Run();

        Assert.Equal((1, 7), (run.ExitCode, run.Code));
        Assert.Empty(ipamd.State.Collections);
    }

    [Fact]
    public async Task Gc_with_a_daemon_without_the_service_is_an_error()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state => state.ServesNodeIpam = false);

        Assert.Equal(111, new PluginRun("GC", Conf(ipamd, ",\"cni.dev/valid-attachments\":[]")).Run().Code);
    }

    private static string Conf(FakeIpamd ipamd, string more = "") => PluginRun.Conf(more: $"\"ipamdSocket\":\"{ipamd.SocketPath}\"{more}");
}
