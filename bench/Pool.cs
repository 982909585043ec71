// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Lab.Hosting;

namespace VpcCni.Bench;

/// <summary>Waits for the warm pool, so that the plugin is measured and not EC2.</summary>
internal static class Pool
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <summary>A ready daemon whose number of free addresses does not change for this time has finished.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(3);

    public static async Task FullAsync(LabNode node, int addresses, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        while (await FreeAsync(node, cancellationToken) < addresses)
        {
            if (Stopwatch.GetElapsedTime(started) > Deadline)
                throw new TimeoutException($"the pool did not grow to {addresses} addresses within {Deadline.TotalSeconds} s");
            await Task.Delay(TimeSpan.FromMilliseconds(100), cancellationToken);
        }

        await Task.Delay(Quiet, cancellationToken);
    }

    private static async Task<int> FreeAsync(LabNode node, CancellationToken cancellationToken)
    {
        var outcome = await node.Ipamd!.RunCommandAsync(["status", "--json"], cancellationToken);
        return outcome.Output.Length == 0 ? 0 : (int?)JsonNode.Parse(outcome.Output)?["pool"]?["available"] ?? 0;
    }
}
