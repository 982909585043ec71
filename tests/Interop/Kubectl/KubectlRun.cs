// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Kubectl;

/// <summary>
/// The lab's Kubernetes API on loopback ports, plain and with TLS, and the real <c>kubectl</c> to ask it, with a kubeconfig and a home of
/// its own.
/// </summary>
internal sealed class KubectlRun : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly string _kubectl;
    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("kubectl-");
    private readonly KubeCertificates _certificates = new(TimeProvider.System.GetUtcNow(), IPAddress.Loopback);
    private WebApplication? _application;

    private KubectlRun(string kubectl, KubeStoreOptions? options)
    {
        _kubectl = kubectl;
        Plane = new KubeControlPlane(TimeProvider.System, new Random(1), new Random(2), options);
    }

    public KubeControlPlane Plane { get; }

    public KubeStore Store => Plane.Store;

    public static async Task<KubectlRun> StartAsync(KubeStoreOptions? options = null)
    {
        var run = new KubectlRun(Requirement.NeedProgram("kubectl"), options);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder
            .WebHost.UseKestrelCore()
            .UseKestrelHttpsConfiguration()
            .ConfigureKestrel(kestrel =>
            {
                kestrel.Listen(IPAddress.Loopback, 0);
                kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(run._certificates.Server));
            });
        run._application = builder.Build();
        run._application.Run(context => context.Request.IsHttps ? run.Plane.Secure(context) : run.Plane.Insecure(context));
        await run._application.StartAsync();
        IPEndPoint Of(string scheme) =>
            IPEndPoint.Parse(
                new Uri(run._application.Urls.Single(url => url.StartsWith(scheme + "://", StringComparison.Ordinal))).Authority
            );
        await File.WriteAllTextAsync(
            run.PathOf("config"),
            Kubeconfig.Text(Of("http"), Of("https"), run._certificates.AuthorityPem, run.Plane.Tokens.Issue(KubeTokens.Administrator))
        );
        return run;
    }

    /// <summary>A file in this run's folder.</summary>
    public string PathOf(string name) => Path.Combine(_home.FullName, name);

    /// <summary>Writes a manifest and returns its path.</summary>
    public async Task<string> ManifestAsync(string yaml)
    {
        var path = PathOf("manifest.yaml");
        await File.WriteAllTextAsync(path, yaml);
        return path;
    }

    /// <summary>Standard output of a run that succeeded.</summary>
    public async Task<string> OkAsync(params string[] arguments)
    {
        var (exitCode, output, error) = await RunAsync(arguments);
        Assert.True(exitCode == 0, $"kubectl {string.Join(' ', arguments)}: exit code {exitCode}\n{output}\n{error}");
        return output;
    }

    /// <summary>Standard error of a run that failed.</summary>
    public async Task<string> FailAsync(params string[] arguments)
    {
        var (exitCode, output, error) = await RunAsync(arguments);
        Assert.True(exitCode != 0, $"kubectl {string.Join(' ', arguments)} succeeded: {output}");
        return error;
    }

    public async Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        using var limit = new CancellationTokenSource(Deadline);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException canceled)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"kubectl {string.Join(' ', arguments)} did not end within {Deadline}", canceled);
        }
    }

    public Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo(_kubectl, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = _home.FullName,
        };
        start.Environment.Clear(); // no proxy, no configuration of the machine
        start.Environment["PATH"] = "/usr/local/bin:/usr/bin:/bin";
        start.Environment["HOME"] = _home.FullName;
        start.Environment["KUBECONFIG"] = PathOf("config");
        var process = Process.Start(start) ?? throw new InvalidOperationException("kubectl did not start");
        process.StandardInput.Close();
        return process;
    }

    public void AddNode(string name) =>
        Store.Create(
            BuiltInTypes.Nodes,
            "",
            JsonNode
                .Parse(
                    $$"""
                    {
                      "metadata": { "name": "{{name}}", "labels": { "topology.kubernetes.io/zone": "us-west-2a", "kubernetes.io/hostname": "{{name}}" } },
                      "status": { "capacity": { "pods": "29" }, "allocatable": { "pods": "29" }, "conditions": [{ "type": "Ready", "status": "True" }] }
                    }
                    """
                )!
                .AsObject()
        );

    public void AddPod(string ns, string name, string node) =>
        Store.Create(
            BuiltInTypes.Pods,
            ns,
            JsonNode
                .Parse(
                    $$"""
                    { "metadata": { "name": "{{name}}" }, "spec": { "nodeName": "{{node}}", "containers": [{ "name": "app", "image": "none" }] } }
                    """
                )!
                .AsObject()
        );

    public async ValueTask DisposeAsync()
    {
        Plane.Dispose();
        if (_application is not null)
            await _application.DisposeAsync();
        _certificates.Dispose();
        _home.Delete(recursive: true);
    }
}
