// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;
using VpcCni.Netlink;

namespace VpcCni.Lab.Cli.Demo;

/// <summary>
/// Checks every path of a lab over one address family in rounds: first as it is, then after a restart of ipamd, a flush of the node's
/// network configuration, and, for IPv4, the addition of a range to the VPC.
/// </summary>
internal sealed class PathRounds(
    VpcLab lab,
    AddressFamily family,
    string mode,
    PathTable table,
    DemoReport report,
    TimeProvider time,
    CancellationToken cancellationToken
)
{
    public async Task RunAsync()
    {
        var node = lab.Nodes[0].Name;
        PathMatrix? chosen = null;
        await report.StepAsync(
            $"services on {node}, {mode}",
            async () =>
            {
                chosen = new PathMatrix(lab, time, family);
                await chosen.InstallServicesAsync(cancellationToken);
                return family == IpFamily.V4
                    ? $"rules as of kube-proxy, for a pod of a secondary ENI: {chosen.PodAddress}"
                    : $"rules as of kube-proxy, for {chosen.PodAddress}";
            }
        );
        var paths = chosen!;
        await RoundAsync(paths, "fresh", () => Task.FromResult(""));
        await RoundAsync(
            paths,
            "restart",
            async () =>
            {
                var killed = time.GetTimestamp();
                await lab.RestartIpamdAsync(node, cancellationToken);
                return $"; ipamd of {node} killed, serving again in {Since(killed)}";
            }
        );
        await RoundAsync(
            paths,
            "flush",
            async () =>
            {
                await paths.FlushAsync(cancellationToken);
                var flushed = time.GetTimestamp();
                await Waiting.UntilAsync(
                    () => paths.IsRestoredAsync(cancellationToken),
                    "rules, routes and nftables are not repaired",
                    time,
                    cancellationToken
                );
                return $"; rules, table 2 and nftables of {node} restored in {Since(flushed)}";
            }
        );
        if (family != IpFamily.V4)
            return;
        await RoundAsync(
            paths,
            "new range",
            async () =>
            {
                await paths.AddRangeAsync(cancellationToken);
                var added = time.GetTimestamp();
                await Waiting.UntilAsync(
                    () => paths.HasAddedRangeAsync(cancellationToken),
                    "the range is not in the nftables table",
                    time,
                    cancellationToken
                );
                return $"; a range was added to the VPC, applied by {node} in {Since(added)}";
            }
        );
    }

    private Task RoundAsync(PathMatrix paths, string round, Func<Task<string>> beforeAsync) =>
        report.RoundAsync(
            $"every path, {mode}, {round}",
            async () =>
            {
                var suffix = await beforeAsync();
                List<DemoLine> lines = [];
                foreach (var check in paths.Checks)
                {
                    var started = time.GetTimestamp();
                    var what = $"{check.What}, {mode}, {round}";
                    try
                    {
                        var measurement = await check.RunAsync(cancellationToken);
                        table.Add(mode, round, check.What, measurement);
                        lines.Add(new DemoLine(what, Passed: true, time.GetElapsedTime(started), measurement.Detail));
                    }
                    catch (Exception failure) when (failure is not OperationCanceledException)
                    {
                        table.Add(mode, round, check.What, measurement: null);
                        lines.Add(new DemoLine(what, Passed: false, time.GetElapsedTime(started), failure.Message));
                    }
                }

                return ($"{lines.Count(line => line.Passed)} of {lines.Count} paths{suffix}", lines);
            }
        );

    private string Since(long timestamp) => $"{time.GetElapsedTime(timestamp).TotalMilliseconds:F0} ms";
}
