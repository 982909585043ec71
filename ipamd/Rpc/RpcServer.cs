// SPDX-License-Identifier: Apache-2.0
using Microsoft.AspNetCore.Server.Kestrel.Core;
using VpcCni.Ipamd.Hosting;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// The Unix socket and the services on it. Only root may call: checked by the socket's mode and by the peer's credentials.
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
        // One that answers belongs to a living daemon, and two daemons would give one address to two pods.
        UnixSocketFile.Prepare(socketPath, $"{socketPath} is served by another daemon; stop it first, or set VPCCNI_SOCKET_PATH");
        // Empty: the other builders watch the whole folder in which the process stands, and what is below it, for settings files. In a
        // container that is the root of everything.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(loggers);
        // The daemon's own handler decides when to stop; the host's would stop the socket first and the pool never.
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

    /// <summary>Lets calls that are under way finish, within the token's bound, and removes the socket.</summary>
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
