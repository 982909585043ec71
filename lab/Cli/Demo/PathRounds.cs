// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;

namespace VpcCni.Lab.Cli.Demo;

/// <summary>
/// Every path of a lab in four rounds: as it is, and again after each thing that may happen to a node's network while pods run.
/// </summary>
internal sealed class PathRounds(
    VpcLab lab,
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
                chosen = new PathMatrix(lab, time);
                await chosen.InstallServicesAsync(cancellationToken);
                return $"as kube-proxy would, for a pod of a secondary ENI: {chosen.PodAddress}";
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
                    () => paths.IsKeptAsync(cancellationToken),
                    "rules, routes and nftables are not repaired",
                    time,
                    cancellationToken
                );
                return $"; rules, table 2 and nftables of {node} back in {Since(flushed)}";
            }
        );
        await RoundAsync(
            paths,
            "new range",
            async () =>
            {
                await paths.AddRangeAsync(cancellationToken);
                var added = time.GetTimestamp();
                await Waiting.UntilAsync(
                    () => paths.IsRangeKnownAsync(cancellationToken),
                    "the range is not in the nftables table",
                    time,
                    cancellationToken
                );
                return $"; the VPC has a range more, known to {node} in {Since(added)}";
            }
        );
    }

    private Task RoundAsync(PathMatrix paths, string round, Func<Task<string>> beforeAsync) =>
        report.RoundAsync(
            $"every path, {mode}, {round}",
            async () =>
            {
                var happened = await beforeAsync();
                List<DemoLine> lines = [];
                foreach (var check in paths.Checks)
                {
                    var started = time.GetTimestamp();
                    var what = $"{check.What}, {mode}, {round}";
                    try
                    {
                        var measure = await check.RunAsync(cancellationToken);
                        table.Add(mode, round, check.What, measure);
                        lines.Add(new DemoLine(what, Passed: true, time.GetElapsedTime(started), measure.Detail));
                    }
                    catch (Exception failure) when (failure is not OperationCanceledException)
                    {
                        table.Add(mode, round, check.What, measure: null);
                        lines.Add(new DemoLine(what, Passed: false, time.GetElapsedTime(started), failure.Message));
                    }
                }

                return ($"{lines.Count(line => line.Passed)} of {lines.Count} paths{happened}", lines);
            }
        );

    private string Since(long timestamp) => $"{time.GetElapsedTime(timestamp).TotalMilliseconds:F0} ms";
}
