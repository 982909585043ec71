// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>Exit code and output of a rendering.</summary>
internal sealed record RenderOutcome(int ExitCode, string Output, string Errors);

/// <summary>
/// Renders the chart with the program in Renderer/, which has the template functions and the schema validator of Helm. Built once per test
/// run, from Debian packages.
/// </summary>
internal static class HelmRenderer
{
    private const string GoPath = "/usr/share/gocode";
    private static readonly TimeSpan BuildDeadline = TimeSpan.FromSeconds(180);
    private static readonly TimeSpan RenderDeadline = TimeSpan.FromSeconds(20);
    private static readonly Lazy<string> Program = new(Build);

    public static string Repository { get; } = FindRepository();

    public static string ChartFolder { get; } = Path.Combine(Repository, "helm", "vpc-cni");

    /// <summary>Values with an image, without which the chart does not render.</summary>
    public static string WithImage { get; } = """image: {override: "registry.example/vpc-cni:0.1.0"}""";

    /// <summary>Returns the path of a file in tests/Chart/Values.</summary>
    public static string ValuesFile(string name) => Path.Combine(Repository, "tests", "Chart", "Values", name);

    /// <param name="values">YAML documents that override each other in order, and the values of the chart.</param>
    public static RenderedChart Render(params string[] values)
    {
        var outcome = TryRender([], values);
        Assert.True(outcome.ExitCode == 0, outcome.Errors);
        return RenderedChart.Parse(outcome.Output);
    }

    public static RenderOutcome TryRender(string[] arguments, params string[] values)
    {
        var folder = Directory.CreateTempSubdirectory("vpc-cni-chart");
        try
        {
            List<string> files = [];
            foreach (var text in values)
            {
                files.Add(Path.Combine(folder.FullName, $"{files.Count}.yaml"));
                File.WriteAllText(files[^1], text);
            }

            return Run(new ProcessStartInfo(Program.Value, [.. arguments, ChartFolder, .. files]), RenderDeadline);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public static RenderOutcome Run(ProcessStartInfo start, TimeSpan deadline)
    {
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{start.FileName} did not start");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(deadline))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{start.FileName} did not exit within {deadline.TotalSeconds:0} s");
        }

        return new RenderOutcome(process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }

    private static string Build()
    {
        var go = Requirement.NeedProgram("go");
        foreach (var package in (string[])["github.com/Masterminds/sprig", "github.com/ghodss/yaml", "github.com/xeipuuv/gojsonschema"])
            Requirement.Need(Directory.Exists(Path.Combine(GoPath, "src", package)), $"the Go package {package} (scripts/install-tools)");
        var program = Path.Combine(AppContext.BaseDirectory, "chart-renderer");
        var start = new ProcessStartInfo(go, ["build", "-o", program, "."])
        {
            WorkingDirectory = Path.Combine(Repository, "tests", "Chart", "Renderer"),
        };
        // Go libraries of Debian packages are sources in one folder, without modules or network.
        (start.Environment["GO111MODULE"], start.Environment["GOPATH"], start.Environment["CGO_ENABLED"]) = ("off", GoPath, "0");
        start.Environment["GOCACHE"] = Path.Combine(AppContext.BaseDirectory, "go-cache");
        start.Environment.Remove("GOFLAGS");
        var built = Run(start, BuildDeadline);
        Assert.True(built.ExitCode == 0, built.Errors);
        return program;
    }

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "VpcCni.sln")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("the tests run outside of the repository");
    }
}
