// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>An endpoint of an HTTP server, in a network namespace; null for the process's own.</summary>
internal sealed record ListenPoint(NetworkNamespace? Network, IPEndPoint EndPoint)
{
    /// <summary>The TLS certificate; null for plain HTTP.</summary>
    public X509Certificate2? Certificate { get; init; }
}

/// <summary>
/// An HTTP server (Kestrel) that opens its listening sockets inside network namespaces. Accepted connections belong to the namespace of the
/// listening socket, so the threads that serve them do not enter it.
/// </summary>
internal sealed class NamespaceServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private NamespaceServer(WebApplication app) => _app = app;

    public static async Task<NamespaceServer> StartAsync(
        IReadOnlyList<ListenPoint> points,
        RequestDelegate handler,
        ILoggerProvider logging,
        CancellationToken cancellationToken
    )
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(logging).SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            foreach (var point in points)
            {
                kestrel.Listen(
                    point.EndPoint,
                    listen =>
                    {
                        if (point.Certificate is { } certificate)
                            listen.UseHttps(certificate);
                    }
                );
            }
        });
        if (points.Any(point => point.Certificate is not null))
            builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.UseSockets(sockets =>
            sockets.CreateBoundListenSocket = endPoint => Bind(points.First(point => point.EndPoint.Equals(endPoint)))
        );
        // A client that hangs must not delay the lab's shutdown.
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(2));
        var app = builder.Build();
        app.Run(handler);
        try
        {
            await app.StartAsync(cancellationToken);
            return new NamespaceServer(app);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            await app.DisposeAsync();
            throw new LabException($"cannot listen on {string.Join(", ", points.Select(point => point.EndPoint))}: {error.Message}", error);
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static Socket Bind(ListenPoint point)
    {
        var family = point.EndPoint.AddressFamily;
        var socket = point.Network is { } network
            ? network.OpenSocket(family, SocketType.Stream, ProtocolType.Tcp)
            : SocketTransportOptions.CreateDefaultBoundListenSocket(point.EndPoint);
        try
        {
            if (point.Network is not null)
                socket.Bind(point.EndPoint);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
