// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Bench;

/// <summary>Resident memory of the daemon in MiB.</summary>
/// <param name="Idle">With a full pool and no pods.</param>
/// <param name="WithPods">Half a minute after <paramref name="Pods"/> ADDs.</param>
/// <param name="Pods">Number of pods.</param>
/// <param name="AfterUse">At the end of the run, without a pause.</param>
/// <param name="Adds">Number of ADDs until then; nearly as many DELs.</param>
internal sealed record MemoryFigures(double Idle, double WithPods, int Pods, double AfterUse, int Adds);

/// <summary>Computes figures from samples and compares them with the goals.</summary>
internal static class Figures
{
    private const double AddGoal = 0.75;
    private const double DeleteGoal = 0.5;
    private const double BurstGoal = 1.5;
    private const double MemoryGoal = 40;

    public static List<Figure> Of(
        Contender ours,
        Contender ptp,
        Contender floor,
        Dictionary<Contender, Samples> sequential,
        Dictionary<Contender, Samples> bursts,
        int burst,
        MemoryFigures memory
    )
    {
        var figures = new List<Figure>();
        foreach (var peer in (Contender[])[ptp, floor])
        {
            foreach (
                var (verb, of) in (IReadOnlyList<(string, Func<Samples, List<double>>)>)
                    [("ADD", samples => samples.Add), ("DEL", samples => samples.Delete), ("DEL until link gone", samples => samples.Gone)]
            )
            {
                foreach (var (label, share) in (IReadOnlyList<(string, double)>)[("p50", 0.5), ("p99", 0.99)])
                {
                    var (mine, theirs) = (of(sequential[ours]), of(sequential[peer]));
                    var figure = new Figure(
                        $"{verb} {label}",
                        peer.Name,
                        Report.Quantile(mine, share),
                        Report.Quantile(theirs, share),
                        "ms",
                        mine.Count
                    );
                    if (peer == ptp && share == 0.5 && verb == "ADD")
                        figure = figure with { Reach = $"ratio <= {AddGoal}", Met = figure.Ratio <= AddGoal };
                    if (peer == ptp && share == 0.5 && verb == "DEL")
                        figure = figure with { Reach = $"ratio <= {DeleteGoal}", Met = figure.Ratio <= DeleteGoal };
                    figures.Add(figure);
                }
            }

            var (addRates, peerAddRates) = (bursts[ours].Add, bursts[peer].Add);
            var adds = new Figure(
                $"ADD, {burst} at once",
                peer.Name,
                Report.Quantile(addRates, 0.5),
                Report.Quantile(peerAddRates, 0.5),
                "pods/s",
                addRates.Count
            );
            figures.Add(peer == ptp ? adds with { Reach = $"ratio >= {BurstGoal}", Met = adds.Ratio >= BurstGoal } : adds);
            figures.Add(
                new Figure(
                    $"DEL, {burst} at once",
                    peer.Name,
                    Report.Quantile(bursts[ours].Delete, 0.5),
                    Report.Quantile(bursts[peer].Delete, 0.5),
                    "pods/s",
                    bursts[ours].Delete.Count
                )
            );
        }

        figures.Add(new Figure("ipamd resident, idle", "", memory.Idle, null, "MiB", 1, $"<= {MemoryGoal}", memory.Idle <= MemoryGoal));
        figures.Add(
            new Figure(
                $"ipamd resident, {memory.Pods} pods",
                "",
                memory.WithPods,
                null,
                "MiB",
                1,
                $"<= {MemoryGoal}",
                memory.WithPods <= MemoryGoal
            )
        );
        figures.Add(
            new Figure(
                $"ipamd resident, after {memory.Adds} ADDs",
                "",
                memory.AfterUse,
                null,
                "MiB",
                1,
                $"<= {MemoryGoal}",
                memory.AfterUse <= MemoryGoal
            )
        );
        return figures;
    }
}
