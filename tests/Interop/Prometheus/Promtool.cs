// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Runtime.CompilerServices;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Prometheus;

/// <summary>Prometheus' own judge of what is made for it (Debian's package prometheus).</summary>
internal static class Promtool
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    /// <summary>The chart's files for it.</summary>
    public static string ChartFile(string name) => Path.Combine(Root(), "helm", "vpc-cni", "files", name);

    /// <summary>This folder, where the unit tests of the rules are.</summary>
    public static string Folder([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;

    /// <summary>Exit code, and what it printed on both streams.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(IReadOnlyList<string> arguments, string input = "")
    {
        var start = new ProcessStartInfo(Requirement.NeedProgram("promtool"), arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Folder(),
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(Deadline);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            Assert.Fail($"promtool {string.Join(' ', arguments)} did not end within {Deadline.TotalSeconds} s");
        }

        return (process.ExitCode, await output + await error);
    }

    private static string Root() => Path.GetFullPath(Path.Combine(Folder(), "..", "..", ".."));
}
