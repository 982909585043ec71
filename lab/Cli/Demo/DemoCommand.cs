// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;
using VpcCni.Netlink;

namespace VpcCni.Lab.Cli.Demo;

/// <summary>
/// <c>vpc-lab demo</c>: starts a lab with two nodes in one subnet and one in another, adds pods through the real plugin, and checks every
/// traffic path, also after a restart, a flush and a new range. Repeats this with prefixes and removes everything. The exit code is 0 only
/// if all checks pass. With another address family than IPv4, it starts one lab of that family and checks every path over each family of
/// which the pods have addresses.
/// </summary>
internal static class DemoCommand
{
    private static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(3);

    /// <summary>
    /// Pods per node. The first node gets more than one of its ENIs has addresses for: nine on an m5.large, one prefix on a t3.micro.
    /// </summary>
    private static readonly int[] Pods = [14, 8, 8],
        PodsOfPrefixes = [17, 1, 1],
        PodsOfIpv6 = [4, 2, 2];

    public static Command Create(CliContext context)
    {
        var ipamd = new Option<string?>("--ipamd") { Description = "Path of ipamd (default: next to vpc-lab)" };
        var plugin = new Option<string?>("--plugin") { Description = "Path of vpc-cni (default: next to vpc-lab)" };
        var family = UpCommand.FamilyOption();
        var keepLogs = new Option<string?>("--keep-logs")
        {
            Description = "Copy the nodes' logs and checkpoints to this folder before the lab is removed",
        };
        return context.Make(
            "demo",
            "Start a lab, check every traffic path, and remove it",
            async (parsed, cancellationToken) =>
            {
                var options = new LabOptions
                {
                    Name = parsed.GetValue(context.NameOption)!,
                    RunFolder = parsed.GetValue(context.RunFolderOption)!,
                    Family = parsed.GetValue(family),
                    Nodes = [2, 1],
                    Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")],
                    AttachLatency = TimeSpan.FromMilliseconds(300),
                    Ec2Latency = TimeSpan.FromMilliseconds(30),
                    Environment = new Dictionary<string, string>
                    {
                        ["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = FabricAddresses.OnPremises.ToString(),
                        ["VPCCNI_RANGE_INTERVAL_SECONDS"] = "1",
                    },
                    IpamdPath =
                        parsed.GetValue(ipamd)
                        ?? context.FindBeside("ipamd")
                        ?? throw new LabException("there is no ipamd next to vpc-lab: build it (make build) or set --ipamd PATH"),
                    PluginPath =
                        parsed.GetValue(plugin)
                        ?? context.FindBeside("vpc-cni")
                        ?? throw new LabException("there is no vpc-cni next to vpc-lab: build it (make build) or set --plugin PATH"),
                };
                return await RunAsync(context, parsed, options, parsed.GetValue(keepLogs), cancellationToken);
            },
            family,
            ipamd,
            plugin,
            keepLogs
        );
    }

    private static async Task<int> RunAsync(
        CliContext context,
        ParseResult parsed,
        LabOptions options,
        string? keepLogs,
        CancellationToken cancellationToken
    )
    {
        var output = parsed.InvocationConfiguration.Output;
        using var logging = new LineLogging(parsed.InvocationConfiguration.Error, context.Time);
        var report = new DemoReport(output, context.Time);
        var table = new PathTable();
        using var status = new StringWriter();
        var started = context.Time.GetTimestamp();
        await report.HeaderAsync();
        try
        {
            await (options.Family == LabFamily.Ipv4 ? RunIpv4Async() : RunFamilyAsync());
        }
        catch (DemoStoppedException)
        {
            await output.WriteLineAsync("The demo stops: later steps depend on the failed one.");
        }

        await output.WriteAsync($"\n{status}\n");
        await output.WriteLineAsync("Packets on the links of each path during its check, from the kernel's counters:");
        await table.WriteAsync(output);
        await output.WriteLineAsync();
        foreach (var failure in report.Failures)
            await output.WriteLineAsync($"FAILED: {failure.What}: {failure.Detail}");
        if (!report.AllPassed && keepLogs is null)
            await output.WriteLineAsync("For the daemons' logs, run the demo again with --keep-logs FOLDER");
        await output.WriteLineAsync(
            $"{report.Count - report.Failures.Count} of {report.Count} steps and checks passed in "
                + $"{context.Time.GetElapsedTime(started).TotalSeconds:F1} s"
        );
        return report.AllPassed ? 0 : 1;

        async Task RunIpv4Async()
        {
            // Small targets and a short cooldown, so that the demo shows growth, cooldown and release within seconds.
            var addresses = With(
                options,
                ("WARM_IP_TARGET", "2"),
                ("MINIMUM_IP_TARGET", "4"),
                ("IP_COOLDOWN_PERIOD", $"{Cooldown.TotalSeconds:F0}")
            );
            await InLabAsync(
                addresses,
                "lab of 3 m5.large nodes in 2 subnets",
                async lab =>
                {
                    var run = new DemoRun(lab, IpFamily.V4, Pods, report, Cooldown, context.Time, cancellationToken);
                    await run.AddPodsAsync();
                    await run.CheckTrafficAsync();
                    await CheckPathsAsync(lab, "addresses");
                    await run.CheckDeletionAsync();
                    await run.CheckRestartAsync();
                    await StatusTable.WriteAsync(status, await lab.StatusAsync(cancellationToken));
                }
            );
            // A t3.micro has two ENIs with one prefix each.
            var prefixes = With(options, ("ENABLE_PREFIX_DELEGATION", "true")) with
            {
                Name = options.Name + "p",
                InstanceType = "t3.micro",
            };
            await InLabAsync(
                prefixes,
                "the same with prefixes, t3.micro",
                async lab =>
                {
                    await new DemoRun(lab, IpFamily.V4, PodsOfPrefixes, report, Cooldown, context.Time, cancellationToken).AddPodsAsync();
                    await CheckPathsAsync(lab, "prefixes");
                }
            );
        }

        async Task RunFamilyAsync()
        {
            AddressFamily[] expected = options.Family == LabFamily.Ipv6 ? [IpFamily.V6] : [IpFamily.V4, IpFamily.V6];
            await InLabAsync(
                With(options, ("IP_COOLDOWN_PERIOD", $"{Cooldown.TotalSeconds:F0}")),
                $"{(options.Family == LabFamily.Ipv6 ? "IPv6" : "dual-stack")} lab of 3 m5.large nodes in 2 subnets",
                async lab =>
                {
                    var pods = options.Family == LabFamily.Ipv6 ? PodsOfIpv6 : Pods;
                    var runs = expected
                        .Select(family => new DemoRun(lab, family, pods, report, Cooldown, context.Time, cancellationToken))
                        .ToArray();
                    await runs[0].AddPodsAsync();
                    await report.StepAsync(
                        "pods have addresses of the lab's families",
                        () =>
                            PathMatrix.FamiliesOf(lab) is var found && found.SequenceEqual(expected)
                                ? Task.FromResult(string.Join(" and ", found.Select(IpFamily.Name)))
                                : throw new CheckFailedException($"pods have {string.Join(" and ", found.Select(IpFamily.Name))}")
                    );
                    foreach (var run in runs)
                        await run.CheckTrafficAsync();
                    await CheckPathsAsync(lab, "");
                    await StatusTable.WriteAsync(status, await lab.StatusAsync(cancellationToken));
                }
            );
        }

        // The paths over every family of which all pods have an address.
        async Task CheckPathsAsync(VpcLab lab, string mode)
        {
            foreach (var family in PathMatrix.FamiliesOf(lab))
            {
                var name = mode.Length > 0 && family == IpFamily.V4 ? mode : $"{mode} {IpFamily.Name(family)}".Trim();
                await new PathRounds(lab, family, name, table, report, context.Time, cancellationToken).RunAsync();
            }
        }

        async Task InLabAsync(LabOptions labOptions, string what, Func<VpcLab, Task> bodyAsync)
        {
            VpcLab? lab = null;
            try
            {
                await report.StepAsync(
                    what,
                    async () =>
                    {
                        lab = await VpcLab.StartAsync(labOptions, context.Time, logging, cancellationToken);
                        return $"VPC {labOptions.VpcRange}, three ipamd serving";
                    }
                );
                await bodyAsync(lab!);
            }
            finally
            {
                if (lab is not null)
                {
                    if (keepLogs is not null)
                        CopyLogs(lab.Paths.Folder, Path.Combine(keepLogs, lab.Name));
                    await report.CheckAsync("everything removed", () => RemoveAsync(lab));
                }
            }
        }
    }

    private static LabOptions With(LabOptions options, params ReadOnlySpan<(string Name, string Value)> variables)
    {
        var environment = new Dictionary<string, string>(options.Environment);
        foreach (var (name, value) in variables)
            environment[name] = value;
        return options with { Environment = environment };
    }

    private static async Task<string> RemoveAsync(VpcLab lab)
    {
        var names = new FabricNames(lab.Name);
        await lab.DisposeAsync();
        var left = FabricNamespaces.Find(names);
        return left.Count == 0 && !Directory.Exists(lab.Paths.Folder)
            ? "no process, no namespace, no file left"
            : throw new CheckFailedException(
                $"left behind: {string.Join(", ", left)} {(Directory.Exists(lab.Paths.Folder) ? lab.Paths.Folder : "")}"
            );
    }

    private static void CopyLogs(string from, string to)
    {
        foreach (
            var file in Directory
                .EnumerateFiles(from, "*", SearchOption.AllDirectories)
                .Where(path => Path.GetExtension(path) is ".log" or ".out" or ".json")
        )
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }
    }
}
