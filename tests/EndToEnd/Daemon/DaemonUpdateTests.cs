// SPDX-License-Identifier: Apache-2.0
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>The daemon is replaced, as by a rolling update of its DaemonSet, while pods come and go.</summary>
public sealed class DaemonUpdateTests
{
    private const int Workers = 4;
    private const int Updates = 8;

    [Fact]
    public async Task Update_under_churn_fails_no_add_and_no_del()
    {
        // Enough for what cools after four pods a moment, and for what DELs that the daemon missed still hold.
        await using var node = await NodeLab.StartAsync(
            new() { ["IP_COOLDOWN_PERIOD"] = "2" },
            options => options with { InstanceType = "m5.xlarge" }
        );
        using var updated = new CancellationTokenSource();
        var workers = Enumerable.Range(0, Workers).Select(worker => ChurnAsync(node, worker, updated.Token)).ToArray();
        for (var update = 0; update < Updates; update++)
        {
            // Asked to stop, as kubelet does; then without warning.
            if (update % 2 == 0)
                await node.TheNode.Ipamd!.DisposeAsync();
            else
                await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
            node.TheNode.Ipamd.Start();
            await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        }

        await updated.CancelAsync();
        var pods = (await Task.WhenAll(workers)).Sum();
        Assert.True(pods > Workers * Updates, $"{pods} pods came and went");
        // What came while there was no daemon was noted, and nothing of it is left.
        await Eventually.TrueAsync(
            async () => await node.AssignedAsync() == 0,
            TimeSpan.FromSeconds(5),
            "no pod that is gone holds an address"
        );
        var last = await node.AddAsync("last");
        Assert.True(await node.PingAsync("last", node.TheNode.Address.ToString()), $"{last.Address} does not reach the node");
    }

    /// <returns>How many pods came and went.</returns>
    private static async Task<int> ChurnAsync(NodeLab node, int worker, CancellationToken stop)
    {
        var pods = 0;
        while (!stop.IsCancellationRequested)
        {
            await node.AddAsync($"w{worker}-{pods}");
            await node.DeleteAsync($"w{worker}-{pods}");
            pods++;
        }

        return pods;
    }
}
