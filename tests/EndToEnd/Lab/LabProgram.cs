// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Tests.Shared;

namespace VpcCni.EndToEnd.Tests.Lab;

/// <summary>Exit code and output of a run of the program.</summary>
internal sealed record ProgramOutcome(int ExitCode, string Output, string Errors);

/// <summary>
/// Runs the program <c>vpc-lab</c> in a process of its own, as users do, with a lab name and run folder of its own. Disposing runs
/// <c>down</c>.
/// </summary>
internal sealed class LabProgram : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    private static int _count;

    private LabProgram() { }

    public string Name { get; } = $"e{Environment.ProcessId}x{Interlocked.Increment(ref _count)}";

    public string RunFolder { get; } = Path.Combine(Path.GetTempPath(), $"vpc-lab-{Environment.ProcessId}-{_count}");

    public string LabFolder => Path.Combine(RunFolder, Name);

    public static LabProgram Create()
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        return new LabProgram();
    }

    /// <summary>Returns the path of a file of <c>make build</c>; skips the test if it does not exist.</summary>
    public static string NeedBuilt(string program)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "VpcCni.sln")))
            folder = folder.Parent;
        var path = Path.Combine(folder?.FullName ?? "/", "out", program);
        Requirement.Need(File.Exists(path), $"out/{program} (make build)");
        return path;
    }

    public Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "vpc-lab.dll"), .. WithNames(arguments)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        return Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
    }

    public async Task<ProgramOutcome> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        using var limit = new CancellationTokenSource(Deadline);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return new ProgramOutcome(process.ExitCode, await output, await errors);
        }
        catch (OperationCanceledException cancelled)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException(
                $"vpc-lab {string.Join(' ', arguments)} did not exit, or a child kept its output open, for {Deadline.TotalSeconds} s",
                cancelled
            );
        }
    }

    /// <summary>Returns the names of the namespaces of this lab.</summary>
    public IReadOnlyList<string> Namespaces() =>
        Directory.Exists("/run/netns")
            ?
            [
                .. Directory
                    .EnumerateFiles("/run/netns", $"vpclab-{Name}-*")
                    .Select(path => Path.GetFileName(path))
                    .Order(StringComparer.Ordinal),
            ]
            : [];

    public async ValueTask DisposeAsync()
    {
        await RunAsync("down");
        if (Directory.Exists(RunFolder))
            Directory.Delete(RunFolder, recursive: true);
    }

    /// <summary>Adds the lab's name before <c>--</c>, after which the arguments belong to another program.</summary>
    private IEnumerable<string> WithNames(string[] arguments)
    {
        string[] names = ["--name", Name, "--run-dir", RunFolder];
        var end = Array.IndexOf(arguments, "--");
        return end < 0 ? [.. arguments, .. names] : [.. arguments[..end], .. names, .. arguments[end..]];
    }
}
