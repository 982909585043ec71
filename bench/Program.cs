// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Bench;
using VpcCni.Lab.Hosting;

// Side-by-side benchmark of the real binaries on a lab node; see README.md.
//   vpc-cni-bench REPOSITORY [ROUNDS]
const int warmup = 5;
const int burst = 32;
const int burstRounds = 8;
const int memoryPods = 100;
if (args.Length is < 1 or > 2 || !File.Exists(Path.Combine(args[0], "VpcCni.sln")))
{
    Console.Error.WriteLine("usage: vpc-cni-bench REPOSITORY [ROUNDS]");
    return 2;
}

var rounds = args.Length > 1 ? int.Parse(args[1]) : 100;
string Built(string name) => Path.GetFullPath(Path.Combine(args[0], "out", name));
string[] peerFolders = ["/usr/lib/cni", "/opt/cni/bin"];
var peers = peerFolders.FirstOrDefault(folder =>
    File.Exists(Path.Combine(folder, "ptp")) && File.Exists(Path.Combine(folder, "host-local"))
);
if (peers is null)
{
    Console.Error.WriteLine("vpc-cni-bench: ptp and host-local are missing: install containernetworking-plugins (make tools)");
    return 1;
}

var began = Stopwatch.GetTimestamp();
using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(3));
var options = new LabOptions
{
    Name = "bench",
    Nodes = [1],
    InstanceType = "m5.4xlarge",
    IpamdPath = Built("ipamd"),
    PluginPath = Built("vpc-cni"),
    // Keeps the pool constant: more addresses than are ever in use, and no cooldown.
    Environment = new Dictionary<string, string>
    {
        ["MINIMUM_IP_TARGET"] = "150",
        ["WARM_IP_TARGET"] = "1",
        ["IP_COOLDOWN_PERIOD"] = "0",
    },
};
try
{
    await using var lab = await VpcLab.StartAsync(options, TimeProvider.System, NullLoggerProvider.Instance, stop.Token);
    var node = lab.Node("node-1");
    await Pool.FullAsync(node, addresses: 150, stop.Token);
    var ours = PluginContender.Ours(Built("vpc-cni"), node.Paths);
    var ptp = PluginContender.Ptp(peers, node.Paths);
    var floor = new FloorContender(Built("vpc-cni-floor"));
    using var arena = new Arena(node, Math.Max(burst, memoryPods) + 4);

    var (idle, withPods) = Measurements.Memory(arena, ours, memoryPods);
    var sequential = Measurements.Sequential(arena, [ours, ptp, floor], warmup, rounds);
    var bursts = Measurements.Bursts(arena, [ours, ptp, floor], burst, burstRounds);

    // Measured right after the heaviest load, without a pause.
    var memory = new MemoryFigures(
        idle,
        withPods,
        memoryPods,
        node.Ipamd!.ResidentMebibytes!.Value,
        memoryPods + warmup + rounds + (burst * (burstRounds + 1))
    );

    IReadOnlyList<Figure> figures = Figures.Of(ours, ptp, floor, sequential, bursts, burst, memory);
    Console.Write(Report.Table(figures));
    var file = Path.Combine(args[0], "bench", "out", "results.json");
    Report.Write(file, figures);
    Console.WriteLine($"{Stopwatch.GetElapsedTime(began).TotalSeconds:0} s; figures in {Path.GetRelativePath(args[0], file)}");
    return 0;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine("vpc-cni-bench: stopped: not done within 3 minutes");
    return 1;
}
