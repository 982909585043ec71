// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Metrics;

/// <summary>
/// A Prometheus server (Debian's) in the namespace of a lab node. Scrapes the node's daemon every second, with the rules of the chart.
/// </summary>
internal sealed class NodePrometheus : IAsyncDisposable
{
    private const int Port = 9090;

    private readonly Process _process;
    private readonly DirectoryInfo _folder;
    private readonly Task<string> _output;

    private NodePrometheus(Process process, DirectoryInfo folder, NetworkNamespace network)
    {
        (_process, _folder, Http) = (process, folder, ClientIn(network));
        _output = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEndAsync();
    }

    /// <summary>Connects to loopback addresses of the node.</summary>
    public HttpClient Http { get; }

    public static async Task<NodePrometheus> StartAsync(NodeLab node)
    {
        var program = Requirement.NeedProgram("prometheus");
        var folder = Directory.CreateTempSubdirectory("vpccni-prometheus");
        var configuration = Path.Combine(folder.FullName, "prometheus.yaml");
        await File.WriteAllTextAsync(
            configuration,
            $$"""
            global: {scrape_interval: 1s, evaluation_interval: 1s}
            rule_files: ["{{ChartFile("alerts.yaml")}}"]
            scrape_configs:
              - job_name: vpc-cni
                static_configs: [{targets: ["127.0.0.1:61678"], labels: {node: "{{NodeLab.Node}}"} }]
            """
        );
        var network = node.Lab.NetworkOf(NodeLab.Node);
        var start = new ProcessStartInfo(
            program,
            [
                $"--config.file={configuration}",
                $"--storage.tsdb.path={Path.Combine(folder.FullName, "data")}",
                $"--web.listen-address=127.0.0.1:{Port}",
                "--log.level=warn",
            ]
        )
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var prometheus = new NodePrometheus(NamespaceProcess.Start(network, start), folder, network);
        try
        {
            await Eventually.TrueAsync(prometheus.IsReadyAsync, TimeSpan.FromSeconds(60));
            return prometheus;
        }
        catch
        {
            await prometheus.DisposeAsync();
            throw;
        }
    }

    public static string ChartFile(string name) => Path.Combine(Binaries.Root, "helm", "vpc-cni", "files", name);

    /// <summary>Returns <c>data</c> of an answer of the API.</summary>
    public async Task<JsonElement> AskAsync(string path)
    {
        using var answer = await Http.GetAsync($"http://127.0.0.1:{Port}/api/v1/{path}", TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{path}: {text}");
        return JsonDocument.Parse(text).RootElement.GetProperty("data");
    }

    /// <summary>Returns the current values of an expression, one per series.</summary>
    public async Task<IReadOnlyList<double>> QueryAsync(string expression) =>
        [
            .. (await AskAsync($"query?query={Uri.EscapeDataString(expression)}"))
                .GetProperty("result")
                .EnumerateArray()
                .Select(series => double.Parse(series.GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture)),
        ];

    public Task IsAsync(string expression, double expected) =>
        Eventually.TrueAsync(
            async () => await QueryAsync(expression) is [var value] && value.Equals(expected),
            what: $"{expression} == {expected}"
        );

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
        Http.Dispose();
        _folder.Delete(recursive: true);
    }

    private async Task<bool> IsReadyAsync()
    {
        if (_process.HasExited)
            Assert.Fail($"prometheus ended with exit code {_process.ExitCode}: {await _output}");
        try
        {
            using var answer = await Http.GetAsync($"http://127.0.0.1:{Port}/-/ready");
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static HttpClient ClientIn(NetworkNamespace network) =>
        new(
            new SocketsHttpHandler
            {
                UseProxy = false,
                ConnectCallback = async (context, cancellationToken) =>
                {
                    var socket = network.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                    try
                    {
                        await socket.ConnectAsync(
                            IPEndPoint.Parse($"{context.DnsEndPoint.Host}:{context.DnsEndPoint.Port}"),
                            cancellationToken
                        );
                        return new NetworkStream(socket, ownsSocket: true);
                    }
                    catch
                    {
                        socket.Dispose();
                        throw;
                    }
                },
            }
        )
        {
            Timeout = TimeSpan.FromSeconds(20),
        };
}
