// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>Two hundred concurrent ADDs, as when a node is drained onto another.</summary>
public sealed class BurstTests
{
    private const int Pods = 200;

    [Fact]
    public async Task Two_hundred_concurrent_ADDs_succeed_and_their_DELs_leave_nothing()
    {
        await using var node = await NodeLab.StartAsync(change: options => options with { InstanceType = "m5.4xlarge" });
        var plugin = new RawPlugin(node);
        var paths = Enumerable.Range(0, Pods).Select(index => plugin.CreateNamespace($"p{index}")).ToArray();

        var added = await Task.WhenAll(paths.Select((path, index) => plugin.RunAsync("ADD", path, $"c{index}")));

        Assert.Equal(Pods, added.Select(answer => answer.Address).Distinct().Count());
        Assert.Equal(Pods, await node.AssignedAsync());
        for (var index = 0; index < Pods; index++)
            Assert.True(await plugin.AnswersAsync(added[index].Address), added[index].Address);

        var deleted = await Task.WhenAll(
            paths.Select((path, index) => plugin.RunAsync("DEL", path, $"c{index}", previous: added[index].Result))
        );
        Assert.All(deleted, answer => Assert.Equal(0, answer.Code));
        await AssertNothingLeftAsync(node, paths);
    }

    [Fact]
    public async Task Two_hundred_concurrent_ADDs_on_a_node_for_27_serve_27_and_fail_the_rest()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var paths = Enumerable.Range(0, Pods).Select(index => plugin.CreateNamespace($"p{index}")).ToArray();

        var answers = await Task.WhenAll(paths.Select((path, index) => plugin.RunAsync("ADD", path, $"c{index}")));

        var served = answers.Where(answer => answer.ExitCode == 0).ToArray();
        Assert.Equal(27, served.Select(answer => answer.Address).Distinct().Count());
        Assert.All(
            answers.Except(served),
            answer => Assert.Equal((11, true), (answer.Code, answer.Message.Contains("interface limit reached", StringComparison.Ordinal)))
        );
        Assert.Equal(27, await node.AssignedAsync());
        // Failed ADDs leave nothing, even before the runtime's DEL.
        Assert.Equal(27, (await node.PodNetworkAsync()).Split('\n').Count(line => line.StartsWith("512:", StringComparison.Ordinal)));
        Assert.Equal(27, (await node.PodNetworkAsync()).Split('\n').Count(line => line.Contains("dev eni", StringComparison.Ordinal)));

        var deleted = await Task.WhenAll(paths.Select((path, index) => plugin.RunAsync("DEL", path, $"c{index}")));
        Assert.All(deleted, answer => Assert.Equal(0, answer.Code));
        await AssertNothingLeftAsync(node, paths);
    }

    private static async Task AssertNothingLeftAsync(NodeLab node, IReadOnlyList<string> paths)
    {
        await BadInputTests.AssertNothingLeftAsync(node);
        using var checkpoint = JsonDocument.Parse(
            await File.ReadAllTextAsync(node.TheNode.Paths.Checkpoint, TestContext.Current.CancellationToken)
        );
        Assert.Equal(0, checkpoint.RootElement.GetProperty("allocations").GetArrayLength());
        foreach (var path in paths)
            Assert.DoesNotContain("eth0", await node.ExecAsync("ip", "-n", Path.GetFileName(path), "-o", "link"), StringComparison.Ordinal);
    }
}
