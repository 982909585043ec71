// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Lab.Clouds;

/// <summary>
/// Runs the clients of Google and Microsoft for Node.js. Their packages are installed beside the test binary by the first test that needs
/// them, from the lock file.
/// </summary>
internal static class CloudClients
{
    private static readonly TimeSpan InstallDeadline = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan ClientDeadline = TimeSpan.FromMinutes(2);
    private static readonly SemaphoreSlim Installing = new(1, 1);

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "cloud-clients");

    /// <summary>Serves a request delegate on a loopback port.</summary>
    public static async Task<WebApplication> ServeAsync(RequestDelegate handler)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var application = builder.Build();
        application.Run(handler);
        await application.StartAsync();
        return application;
    }

    /// <summary>Runs a script and parses the object that it prints. Skips the test where node or its packages cannot be had.</summary>
    public static async Task<JsonObject> RunAsync(string script, string[] arguments, params (string Name, string Value)[] environment)
    {
        var node = Requirement.NeedProgram("node");
        var npm = Requirement.NeedProgram("npm");
        await InstallAsync(npm);
        var start = new ProcessStartInfo(node, ["--no-warnings", script, .. arguments]);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var (exitCode, output, errors) = await ExecuteAsync(start, ClientDeadline);
        Assert.True(exitCode == 0, errors);
        return JsonNode.Parse(output)!.AsObject();
    }

    private static async Task InstallAsync(string npm)
    {
        await Installing.WaitAsync();
        try
        {
            // npm writes this file last.
            if (File.Exists(Path.Combine(Folder, "node_modules", ".package-lock.json")))
                return;
            var start = new ProcessStartInfo(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            var (exitCode, _, errors) = await ExecuteAsync(start, InstallDeadline);
            Requirement.Need(exitCode == 0, $"the clients' npm packages, which cannot be installed: {errors}");
        }
        finally
        {
            Installing.Release();
        }
    }

    private static async Task<(int ExitCode, string Output, string Errors)> ExecuteAsync(ProcessStartInfo start, TimeSpan deadline)
    {
        start.WorkingDirectory = Folder;
        start.UseShellExecute = false;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(deadline);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, await output, await errors);
        }
        catch (OperationCanceledException cancelled)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{start.FileName} did not end within {deadline}", cancelled);
        }
    }
}
