// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;

namespace VpcCni.Lab.Hosting;

/// <summary>Client of a running lab's control API. Every method throws <see cref="LabException"/> with the lab's error message.</summary>
internal sealed class ControlClient : IDisposable
{
    private readonly LabPaths _paths;
    private readonly string _lab;
    private readonly HttpClient _http;

    public ControlClient(LabPaths paths, string lab)
    {
        _paths = paths;
        _lab = lab;
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(paths.ControlSocket), cancellationToken);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        // Longer than the slowest requests, an ADD or the start of a daemon, which have deadlines of their own.
        _http = new HttpClient(handler) { BaseAddress = new Uri("http://lab"), Timeout = TimeSpan.FromSeconds(150) };
    }

    public Task<LabStatus> StatusAsync(CancellationToken cancellationToken) =>
        SendAsync<LabStatus>(HttpMethod.Get, "/status", body: null, cancellationToken);

    public Task<AddPodReply> AddPodAsync(string node, PodName pod, CancellationToken cancellationToken) =>
        SendAsync<AddPodReply>(HttpMethod.Post, "/pods", new AddPodRequest(node, pod.ToString()), cancellationToken);

    public Task<DeletePodReply> DeletePodAsync(string node, PodName pod, CancellationToken cancellationToken) =>
        SendAsync<DeletePodReply>(
            HttpMethod.Delete,
            $"/pods/{Uri.EscapeDataString(node)}/{pod.Namespace}/{pod.Name}",
            body: null,
            cancellationToken
        );

    public Task<RestartReply> RestartIpamdAsync(string node, CancellationToken cancellationToken) =>
        SendAsync<RestartReply>(HttpMethod.Post, $"/nodes/{Uri.EscapeDataString(node)}/restart-ipamd", body: null, cancellationToken);

    public Task InjectAsync(FaultSpec fault, CancellationToken cancellationToken) =>
        SendAsync<object>(HttpMethod.Post, "/faults", fault, cancellationToken);

    public Task ClearFaultsAsync(string? operation, CancellationToken cancellationToken) =>
        SendAsync<object>(
            HttpMethod.Delete,
            operation is null ? "/faults" : $"/faults?operation={Uri.EscapeDataString(operation)}",
            body: null,
            cancellationToken
        );

    public Task InjectKubernetesAsync(KubeFaultSpec fault, CancellationToken cancellationToken) =>
        SendAsync<object>(HttpMethod.Post, "/kubernetes/faults", fault, cancellationToken);

    public Task ClearKubernetesFaultsAsync(CancellationToken cancellationToken) =>
        SendAsync<object>(HttpMethod.Delete, "/kubernetes/faults", body: null, cancellationToken);

    public Task RunKubernetesActionAsync(KubeActionSpec action, CancellationToken cancellationToken) =>
        SendAsync<object>(HttpMethod.Post, "/kubernetes/actions", action, cancellationToken);

    public Task SetTimingAsync(TimingSpec timing, CancellationToken cancellationToken) =>
        SendAsync<object>(HttpMethod.Post, "/timing", timing, cancellationToken);

    public Task LimitIpv6RangesAsync(Ipv6RangeSpec limit, CancellationToken cancellationToken) =>
        SendAsync<object>(HttpMethod.Post, "/ipv6-range", limit, cancellationToken);

    public void Dispose() => _http.Dispose();

    private async Task<T> SendAsync<T>(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = JsonContent.Create(body, body.GetType(), options: LabJson.Options);
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException error)
        {
            throw new LabException($"lab '{_lab}' does not respond at {_paths.ControlSocket}. Start it with: vpc-lab up --detach", error);
        }

        using (response)
        {
            if (response.IsSuccessStatusCode)
                return (await response.Content.ReadFromJsonAsync<T>(LabJson.Options, cancellationToken))!;
            var text = await response.Content.ReadAsStringAsync(cancellationToken);
            throw new LabException(ParseError(text) ?? $"the lab returned status {(int)response.StatusCode}: {text}");
        }
    }

    private static string? ParseError(string text)
    {
        try
        {
            return System.Text.Json.JsonSerializer.Deserialize<ControlError>(text, LabJson.Options)?.Error;
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }
}
