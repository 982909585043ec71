// SPDX-License-Identifier: Apache-2.0
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>Replaces the daemon while pods are added and deleted, as a rolling update of its DaemonSet does.</summary>
public sealed class DaemonUpdateTests
{
    private const int Workers = 4;
    private const int Updates = 8;

    [Fact]
    public async Task Update_under_churn_fails_no_add_and_no_del()
    {
        // Enough addresses for those that cool after four pods at a time and those of DELs that the daemon missed.
        await using var node = await NodeLab.StartAsync(
            new() { ["IP_COOLDOWN_PERIOD"] = "2" },
            options => options with { InstanceType = "m5.xlarge" }
        );
        using var updated = new CancellationTokenSource();
        var workers = Enumerable.Range(0, Workers).Select(worker => ChurnAsync(node, worker, updated.Token)).ToArray();
        for (var update = 0; update < Updates; update++)
        {
            // Stops the daemon as kubelet does, and kills it every other time.
            if (update % 2 == 0)
                await node.TheNode.Ipamd!.DisposeAsync();
            else
                await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
            node.TheNode.Ipamd.Start();
            await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        }

        await updated.CancelAsync();
        var pods = (await Task.WhenAll(workers)).Sum();
        Assert.True(pods > Workers * Updates, $"{pods} pods were added and deleted");
        // Missed DELs were recorded, and all of them executed.
        await Eventually.TrueAsync(async () => await node.AssignedAsync() == 0, TimeSpan.FromSeconds(5), "no deleted pod has an address");
        var last = await node.AddAsync("last");
        Assert.True(await node.PingAsync("last", node.TheNode.Address.ToString()), $"{last.Address} does not reach the node");
    }

    /// <returns>The number of pods added and deleted.</returns>
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
