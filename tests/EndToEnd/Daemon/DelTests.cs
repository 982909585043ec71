// SPDX-License-Identifier: Apache-2.0
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>DELs whose arguments or circumstances differ from those of their ADD, with the real binaries.</summary>
public sealed class DelTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task DEL_without_CNI_ARGS_removes_veth_route_and_rules(bool withNamespace)
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var before = await node.PodNetworkAsync();
        var netns = plugin.CreateNamespace("args");
        Assert.Equal(0, (await plugin.RunAsync("ADD", netns)).Code);

        Assert.Equal(
            0,
            (await plugin.RunAsync("DEL", withNamespace ? netns : "", environment: variables => variables.Remove("CNI_ARGS"))).Code
        );

        await Eventually.TrueAsync(async () => await node.PodNetworkAsync() == before, what: "veth, route and rules are gone");
        Assert.Equal(0, await node.AssignedAsync());
    }

    [Fact]
    public async Task DEL_without_daemon_reports_exactly_what_it_removed()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var netns = plugin.CreateNamespace("down");
        Assert.Equal(0, (await plugin.RunAsync("ADD", netns)).Code);
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        RawPlugin.DeleteNamespace(netns);
        await Eventually.TrueAsync(async () => !(await node.ExecAsync("ip", "-o", "link")).Contains(": eni", StringComparison.Ordinal));

        Assert.Equal(0, (await plugin.RunAsync("DEL", netns)).Code);

        var log = await File.ReadAllTextAsync(node.TheNode.Paths.PluginLog, TestContext.Current.CancellationToken);
        Assert.Contains("removed=nothing", log, StringComparison.Ordinal);
        Assert.Contains("a note is left", log, StringComparison.Ordinal);
    }
}
