// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>
/// A daemon that restarts while EC2 fails or throttles serves the interfaces on which checkpoint and instance metadata agree
/// (docs/adr/0019), and grows the pool when EC2 recovers.
/// </summary>
public sealed class CloudAwayTests
{
    /// <summary>Three seconds for the first answer of EC2, and the start of a process on a busy machine.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(8);

    [Theory]
    [InlineData("InternalError")]
    [InlineData("RequestLimitExceeded")]
    public async Task Restart_without_EC2_serves_free_addresses_and_grows_after_recovery(string code)
    {
        await using var node = await NodeLab.StartAsync(
            new()
            {
                ["MAX_ENI"] = "2",
                ["WARM_ENI_TARGET"] = "0",
                ["VPCCNI_ADD_WAIT_SECONDS"] = "5",
            }
        );
        var (a, b) = (await node.AddAsync("a"), await node.AddAsync("b"));
        // The observation is written to the checkpoint with a delay.
        await Eventually.TrueAsync(
            () => File.ReadAllText(node.TheNode.Paths.Checkpoint).Contains("\"interfaces\"", StringComparison.Ordinal),
            what: "the interfaces in the checkpoint"
        );
        node.Lab.World.Inject(new FaultSpec { Operation = "*", Code = code });
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        Assert.True(await node.PingAsync("a", b.Address.ToString()));

        node.TheNode.Ipamd.Start();
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(async () => (await node.StatusAsync()).Answer is not null, what: "the socket");
        var c = await node.AddAsync("c");
        Assert.True(Stopwatch.GetElapsedTime(started) < Bound, $"the ADD was answered after {Stopwatch.GetElapsedTime(started)}");
        Assert.True(await node.PingAsync("a", b.Address.ToString()));
        Assert.True(await node.PingAsync("c", a.Address.ToString()));
        Assert.True(await node.PingAsync("b", c.Address.ToString()));

        // Ready a moment after the first ADD, when NAT has been looked at.
        await Eventually.TrueAsync(
            async () =>
                (await node.StatusAsync())
                    .Answer!.Value.GetProperty("health")
                    .GetProperty("headline")
                    .GetString()!
                    .StartsWith("DEGRADED NotObserved", StringComparison.Ordinal),
            what: "the node's health"
        );
        var status = (await node.StatusAsync()).Answer!.Value;
        Assert.Equal(3, status.GetProperty("pool").GetProperty("assigned").GetInt32());
        Assert.DoesNotContain("lost", status.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain("no interface of this node", status.GetRawText(), StringComparison.Ordinal);

        // Assigns every free address, then waits for the pool to grow.
        var free = status.GetProperty("pool").GetProperty("available").GetInt32();
        List<LabPod> pods = [a, b, c];
        for (var index = 0; index < free; index++)
            pods.Add(await node.AddAsync($"free-{index}"));
        Assert.Equal(pods.Count, pods.Select(pod => pod.Address).Distinct().Count());
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("waits"));
        Assert.Equal(11, failure.Code);
        Assert.Contains("has not been observed since the start", failure.Message, StringComparison.Ordinal);

        node.Lab.World.ClearFaults(null);
        await Eventually.TrueAsync(async () => await AddsAsync(node, "waits"), TimeSpan.FromSeconds(90), "the pool grows");
        Assert.True(await node.PingAsync("waits", a.Address.ToString()));
        await Eventually.TrueAsync(
            async () => !(await node.StatusAsync()).Answer!.Value.GetRawText().Contains("NotObserved", StringComparison.Ordinal),
            what: "an observed node"
        );
    }

    [Fact]
    public async Task Role_without_DescribeSubnets_works_and_the_permission_is_logged()
    {
        var forbidden = new FaultSpec
        {
            Operation = "DescribeSubnets",
            Code = "UnauthorizedOperation",
            Message = "You are not authorized to perform this operation.",
        };
        await using var node = await NodeLab.StartAsync(beforeReady: lab => lab.World.Inject(forbidden));
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        List<LabPod> pods = [];
        for (var index = 0; index < 10; index++)
            pods.Add(await node.AddAsync($"p{index}"));
        Assert.True(await node.PingAsync("p0", pods[9].Address.ToString()));
        Assert.Contains("allow ec2:DescribeSubnets in the policy of the daemon's role", node.Log, StringComparison.Ordinal);

        await node.Lab.RestartIpamdAsync(NodeLab.Node, TestContext.Current.CancellationToken);
        await node.AddAsync("after");
        Assert.True(await node.PingAsync("after", pods[0].Address.ToString()));
    }

    /// <summary>Retries a failed ADD, as the runtime does.</summary>
    private static async Task<bool> AddsAsync(NodeLab node, string pod)
    {
        try
        {
            await node.AddAsync(pod);
            return true;
        }
        catch (CniException)
        {
            return false;
        }
    }
}
