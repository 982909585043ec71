// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;

namespace VpcCni.Lab.Cli.Demo;

/// <summary>
/// <c>vpc-lab demo</c>: a lab of two nodes in one subnet and one in another, 30 pods through the real plugin, every traffic path checked, everything removed. Exit code 0 only
/// if all checks passed.
/// </summary>
internal static class DemoCommand
{
    private static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(3);

    public static Command Create(CliContext context)
    {
        var ipamd = new Option<string?>("--ipamd") { Description = "The ipamd binary (default: beside vpc-lab)" };
        var plugin = new Option<string?>("--plugin") { Description = "The vpc-cni binary (default: beside vpc-lab)" };
        var keepLogs = new Option<string?>("--keep-logs") { Description = "Copy the nodes' logs and checkpoints into this folder before the end" };
        return context.Make("demo", "Show and check everything, then remove it", async (parsed, cancellationToken) =>
        {
            var options = new LabOptions
            {
                Name = parsed.GetValue(context.NameOption)!,
                RunFolder = parsed.GetValue(context.RunFolderOption)!,
                Nodes = [2, 1],
                Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")],
                AttachLatency = TimeSpan.FromMilliseconds(300),
                Ec2Latency = TimeSpan.FromMilliseconds(30),
                // Small numbers, so that growth, cooldown and return happen before one's eyes.
                Environment = new Dictionary<string, string>
                {
                    ["WARM_IP_TARGET"] = "2", ["MINIMUM_IP_TARGET"] = "4", ["IP_COOLDOWN_PERIOD"] = $"{Cooldown.TotalSeconds:F0}",
                    ["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = FabricAddresses.OnPremises.ToString(), ["VPCCNI_RANGE_INTERVAL_SECONDS"] = "1",
                },
                IpamdPath = parsed.GetValue(ipamd) ?? context.FindBeside("ipamd") ?? throw new LabException("there is no ipamd beside vpc-lab: build it (make build) or name it (--ipamd PATH)"),
                PluginPath = parsed.GetValue(plugin) ?? context.FindBeside("vpc-cni") ?? throw new LabException("there is no vpc-cni beside vpc-lab: build it (make build) or name it (--plugin PATH)"),
            };
            return await RunAsync(context, parsed, options, parsed.GetValue(keepLogs), cancellationToken);
        }, ipamd, plugin, keepLogs);
    }

    private static async Task<int> RunAsync(CliContext context, ParseResult parsed, LabOptions options, string? keepLogs, CancellationToken cancellationToken)
    {
        var output = parsed.InvocationConfiguration.Output;
        using var logging = new LineLogging(parsed.InvocationConfiguration.Error, context.Time);
        var report = new DemoReport(output, context.Time);
        var started = context.Time.GetTimestamp();
        VpcLab? lab = null;
        await report.HeaderAsync();
        try
        {
            await report.StepAsync("lab of 3 m5.large nodes in 2 subnets", async () =>
            {
                lab = await VpcLab.StartAsync(options, context.Time, logging, cancellationToken);
                return $"VPC {options.VpcRange}, three ipamd serving";
            });
            await ChecksAsync(lab!, report, context.Time, output, cancellationToken);
        }
        catch (DemoStoppedException)
        {
            await output.WriteLineAsync("The demo cannot go on without this step.");
        }
        finally
        {
            if (lab is not null)
            {
                if (keepLogs is not null) CopyLogs(lab.Paths.Folder, keepLogs);
                await report.CheckAsync("everything removed", () => RemoveAsync(lab));
            }
        }

        await output.WriteLineAsync();
        foreach (var failure in report.Failures) await output.WriteLineAsync($"FAILED: {failure.What}: {failure.Detail}");
        if (!report.AllPassed && keepLogs is null) await output.WriteLineAsync("The daemons' logs: run it again with --keep-logs FOLDER");
        await output.WriteLineAsync($"{report.Count - report.Failures.Count} of {report.Count} steps and checks passed in {context.Time.GetElapsedTime(started).TotalSeconds:F1} s");
        return report.AllPassed ? 0 : 1;
    }

    private static async Task ChecksAsync(VpcLab lab, DemoReport report, TimeProvider time, TextWriter output, CancellationToken cancellationToken)
    {
        var run = new DemoRun(lab, report, Cooldown, time, cancellationToken);
        await run.AddPodsAsync();
        await run.CheckTrafficAsync();
        await run.CheckRepairAsync();
        await run.CheckDeletionAsync();
        await run.CheckRestartAsync();
        await output.WriteLineAsync();
        await StatusTable.WriteAsync(output, await lab.StatusAsync(cancellationToken));
        await output.WriteLineAsync();
    }

    private static async Task<string> RemoveAsync(VpcLab lab)
    {
        var names = new FabricNames(lab.Name);
        await lab.DisposeAsync();
        var left = FabricNamespaces.Find(names);
        return left.Count == 0 && !Directory.Exists(lab.Paths.Folder)
            ? "no process, no namespace, no file left"
            : throw new CheckFailedException($"left behind: {string.Join(", ", left)} {(Directory.Exists(lab.Paths.Folder) ? lab.Paths.Folder : "")}");
    }

    private static void CopyLogs(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).Where(path => Path.GetExtension(path) is ".log" or ".out" or ".json"))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }
    }
}
