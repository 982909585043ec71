// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Rpc;
using VpcCni.Protos.Rpc;

namespace VpcCni.Tests.GrpcHarness;

public enum Transport
{
    UnixSocket,
    LoopbackTcp,
}

/// <summary>
/// Runs a real Kestrel on a Unix socket or on loopback, with the limits of the daemon's server, and creates clients for it. The client for
/// the Unix socket is the one of the daemon's commands.
/// </summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly string? _socketFolder;
    private readonly List<IDisposable> _clients = [];

    private TestServer(WebApplication app, Transport transport, string? socketFolder, CollectedLogs logs)
    {
        _app = app;
        _socketFolder = socketFolder;
        Transport = transport;
        Logs = logs;
    }

    public Transport Transport { get; }

    public CollectedLogs Logs { get; }

    public string SocketPath => Path.Combine(_socketFolder ?? throw new InvalidOperationException("not a Unix socket"), "grpc.sock");

    public Uri Address => Transport == Transport.UnixSocket ? new Uri("http://localhost") : new Uri(_app.Urls.Single());

    public static Task<TestServer> StartAsync(
        Transport transport,
        Func<AddNetworkRequest, ServerCallContext, Task<AddNetworkReply>> onAdd,
        Action<GrpcServiceOptions>? options = null
    ) => StartAsync(transport, new ScriptedBackend(onAdd), options);

    public static Task<TestServer> StartAsync(Transport transport, ScriptedBackend backend, Action<GrpcServiceOptions>? options = null) =>
        StartAsync(
            transport,
            services =>
                services
                    .AddSingleton(backend)
                    .AddGrpc(grpc =>
                    {
                        GrpcLimits.Apply(grpc);
                        options?.Invoke(grpc);
                    }),
            app =>
            {
                app.Use(GrpcTimeout.InvokeAsync);
                app.MapGrpcService<ScriptedBackend>();
            }
        );

    /// <summary>
    /// Starts a server that answers every request with <paramref name="respond"/>, for answers that a gRPC server would never send.
    /// </summary>
    public static Task<TestServer> StartRawAsync(RequestDelegate respond) =>
        StartAsync(Transport.LoopbackTcp, _ => { }, app => app.Run(respond));

    public static async Task<TestServer> StartAsync(
        Transport transport,
        Action<IServiceCollection> register,
        Action<WebApplication> map,
        HttpProtocols protocols = HttpProtocols.Http2,
        Action<KestrelServerOptions>? kestrelOptions = null
    )
    {
        var logs = new CollectedLogs();
        var folder = transport == Transport.UnixSocket ? Directory.CreateTempSubdirectory("grpc-test-").FullName : null;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(logs).SetMinimumLevel(LogLevel.Debug);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrelOptions?.Invoke(kestrel);
            if (folder is not null)
                kestrel.ListenUnixSocket(Path.Combine(folder, "grpc.sock"), listen => listen.Protocols = protocols);
            else
                kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = protocols);
        });
        register(builder.Services);
        var app = builder.Build();
        map(app);
        await app.StartAsync();
        return new TestServer(app, transport, folder, logs);
    }

    public static SocketsHttpHandler UnixSocketHandler(string path) => (SocketsHttpHandler)DaemonChannel.OptionsFor(path).HttpHandler!;

    public GrpcChannel Channel(Action<GrpcChannelOptions>? configure = null)
    {
        var options = _socketFolder is null
            ? new GrpcChannelOptions
            {
                HttpHandler = Handler(),
                DisposeHttpClient = true,
                CompressionProviders = [],
            }
            : DaemonChannel.OptionsFor(SocketPath);
        configure?.Invoke(options);
        var channel = GrpcChannel.ForAddress(Address, options);
        _clients.Add(channel);
        return channel;
    }

    public CNIBackend.CNIBackendClient Client(Action<GrpcChannelOptions>? configure = null) => new(Channel(configure));

    public HttpMessageInvoker RawClient()
    {
        var client = new HttpMessageInvoker(Handler());
        _clients.Add(client);
        return client;
    }

    public Task StopAsync() => _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
            client.Dispose();
        await _app.DisposeAsync();
        if (_socketFolder is not null)
            Directory.Delete(_socketFolder, recursive: true);
    }

    private SocketsHttpHandler Handler() =>
        _socketFolder is null ? new SocketsHttpHandler { EnableMultipleHttp2Connections = true } : UnixSocketHandler(SocketPath);
}
