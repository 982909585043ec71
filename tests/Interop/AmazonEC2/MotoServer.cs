// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Amazon.EC2;
using Amazon.Runtime;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.AmazonEC2;

/// <summary>
/// A <c>moto_server</c> of its own on a free loopback port: an independent implementation of the EC2 Query API (without limits, prefixes
/// and client tokens). Started on first use, killed at the end.
/// </summary>
public sealed class MotoServer : IAsyncLifetime
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);
    private readonly HttpClient _http = new();
    private readonly List<string> _output = [];
    private Process? _process;

    internal Uri Url { get; private set; } = new("http://127.0.0.1/");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>Skips (or fails under REQUIRE_ALL=1) where moto_server is not installed.</summary>
    internal async Task NeedAsync()
    {
        var program = Requirement.NeedProgram("moto_server");
        if (_process is not null)
            return;
        var port = FreePort();
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var argument in new[] { "-H", "127.0.0.1", "-p", port.ToString() })
            start.ArgumentList.Add(argument);
        _process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        _process.OutputDataReceived += (_, line) => Collect(line.Data);
        _process.ErrorDataReceived += (_, line) => Collect(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        Url = new Uri($"http://127.0.0.1:{port}/");
        await Eventually.TrueAsync(IsReadyAsync, StartDeadline, $"moto_server answers at {Url}");
    }

    internal AmazonEC2Client Client() =>
        new(
            new BasicAWSCredentials("AKIDEXAMPLE", "secret"),
            new AmazonEC2Config
            {
                ServiceURL = Url.ToString(),
                AuthenticationRegion = "us-east-1",
                MaxErrorRetry = 0,
            }
        );

    /// <summary>An instance in the first default subnet; RunInstances is no operation of ours, so the form is written by hand.</summary>
    internal async Task<string> RunInstanceAsync(string subnetId)
    {
        using var form = new FormUrlEncodedContent(
            new Dictionary<string, string>
            {
                ["Action"] = "RunInstances",
                ["Version"] = "2016-11-15",
                ["ImageId"] = "ami-12c6146b",
                ["MinCount"] = "1",
                ["MaxCount"] = "1",
                ["InstanceType"] = "m5.large",
                ["SubnetId"] = subnetId,
            }
        );
        using var request = new HttpRequestMessage(HttpMethod.Post, Url) { Content = form };
        request.Headers.TryAddWithoutValidation(
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0"
        );
        using var response = await _http.SendAsync(request);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return System.Xml.Linq.XDocument.Parse(body).Descendants().First(element => element.Name.LocalName == "instanceId").Value;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_process is null)
            return;
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task<bool> IsReadyAsync()
    {
        if (_process!.HasExited)
        {
            lock (_output)
                Assert.Fail($"moto_server ended with {_process.ExitCode}: {string.Join('\n', _output)}");
        }

        try
        {
            using var response = await _http.GetAsync(new Uri(Url, "moto-api/"));
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private void Collect(string? line)
    {
        if (line is null)
            return;
        lock (_output)
        {
            if (_output.Count < 200)
                _output.Add(line);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
