// SPDX-License-Identifier: Apache-2.0
using Microsoft.AspNetCore.Server.Kestrel.Core;
using VpcCni.Ipamd.Hosting;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Serves the gRPC services on the Unix socket. Only root may call: the socket's mode and the peer's credentials are checked.
/// </summary>
internal sealed class RpcServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly string _socketPath;

    private RpcServer(WebApplication application, string socketPath)
    {
        _application = application;
        _socketPath = socketPath;
    }

    /// <exception cref="IOException">The socket is in use by a live daemon, or cannot be created.</exception>
    public static async Task<RpcServer> StartAsync(
        string socketPath,
        CniBackendService cniBackend,
        ConfigServerService configServer,
        NodeIpamService nodeIpam,
        HealthService health,
        ILoggerFactory loggers,
        CancellationToken cancellationToken
    )
    {
        // A socket that answers belongs to a running daemon; two daemons would assign one address to two pods.
        UnixSocketFile.Prepare(socketPath, $"{socketPath} is served by another daemon; stop that one first, or set VPCCNI_SOCKET_PATH");
        // The other builders watch the working directory and everything below it for settings files. In a container the working directory
        // is the root of the file system.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(loggers);
        // The daemon handles signals itself; the host's handler would stop the socket first and the pool never.
        builder.Services.AddSingleton<IHostLifetime, DaemonLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = GrpcLimits.MaxRequestBytes;
            kestrel.ListenUnixSocket(socketPath, listen => listen.Protocols = HttpProtocols.Http2);
        });
        builder.Services.AddGrpc(GrpcLimits.Apply);
        builder.Services.AddSingleton(cniBackend);
        builder.Services.AddSingleton(configServer);
        builder.Services.AddSingleton(nodeIpam);
        builder.Services.AddSingleton(health);
        var application = builder.Build();
        application.Use(RootOnly.InvokeAsync);
        application.Use(GrpcTimeout.InvokeAsync);
        application.MapGrpcService<CniBackendService>();
        application.MapGrpcService<ConfigServerService>();
        application.MapGrpcService<NodeIpamService>();
        application.MapGrpcService<HealthService>();
        await application.StartAsync(cancellationToken);
        File.SetUnixFileMode(socketPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return new RpcServer(application, socketPath);
    }

    /// <summary>Stops accepting calls, waits for those in flight until the token fires, and deletes the socket.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _application.StopAsync(cancellationToken);
        File.Delete(_socketPath);
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private sealed class DaemonLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
