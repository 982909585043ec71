// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Hosting.Http;

/// <summary>
/// A plain HTTP listener for monitoring the daemon. It accepts requests without a body. Slow, numerous or endless clients cost at most
/// <see cref="MaxConnections"/> connections and their small buffers. It is Kestrel without a host: no services, routing or configuration.
/// </summary>
/// <param name="name">Name for the log.</param>
/// <param name="endPoint">
/// Address and port, or a Unix socket. <see cref="IPAddress.IPv6Any"/> means every address, of both families if the node has both.
/// </param>
/// <param name="handler">Handles a request.</param>
/// <param name="time">Clock for pauses.</param>
/// <param name="loggers">Loggers of the listener.</param>
internal sealed partial class HttpEndpoint(
    string name,
    EndPoint endPoint,
    RequestDelegate handler,
    TimeProvider time,
    ILoggerFactory loggers
)
{
    /// <summary>Maximum number of connections; enough for a few scrapers and people.</summary>
    public const int MaxConnections = 16;

    /// <summary>
    /// Maximum number of connections of one address, so that a pod that keeps connections open does not lock out the scraper.
    /// </summary>
    public const int MaxConnectionsPerClient = 4;

    /// <summary>Timeout for the head of a request, and between two requests.</summary>
    private static readonly TimeSpan ClientTimeout = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Minimum rate at which a client must read a response, after a grace period of <see cref="ClientTimeout"/>; slower clients are
    /// disconnected. Data in the kernel's buffers counts as read, and these hold megabytes: at a lower rate, a client that requests pages
    /// without reading them could stay connected for minutes.
    /// </summary>
    private const double SlowestReaderBytesPerSecond = 1024 * 1024;

    private static readonly Backoff Retries = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60));
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(1);

    private readonly ILogger _logger = loggers.CreateLogger<HttpEndpoint>();

    /// <summary>The address in use, with port 0 replaced by the actual port; null before listening.</summary>
    public EndPoint? BoundTo { get; private set; }

    /// <summary>Serves until cancelled. Retries an address in use, because the daemon serves pods even if it cannot be monitored.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var server = await StartAsync(cancellationToken);
            BoundTo = Resolve(server);
            Log.Listening(_logger, name, BoundTo);
            var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using (cancellationToken.Register(() => stopped.TrySetResult()))
                await stopped.Task;
            using var grace = new CancellationTokenSource(StopGrace, time);
            await server.StopAsync(grace.Token);
            if (endPoint is UnixDomainSocketEndPoint socket)
                File.Delete(socket.ToString());
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Cancelled before it listened.
        }
    }

    private async Task<KestrelServer> StartAsync(CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            var server = Create();
            try
            {
                if (endPoint is UnixDomainSocketEndPoint socket)
                    UnixSocketFile.Prepare(socket.ToString(), $"{socket} is served by another process");
                await server.StartAsync(new Application(handler), cancellationToken);
                if (endPoint is UnixDomainSocketEndPoint)
                    File.SetUnixFileMode(endPoint.ToString()!, UnixFileMode.UserRead | UnixFileMode.UserWrite);
                return server;
            }
            catch (Exception exception) when (exception is IOException or SocketException or UnauthorizedAccessException)
            {
                server.Dispose();
                var pause = Retries.Ceiling(failures);
                Log.NotListening(_logger, name, endPoint, pause.TotalSeconds, exception);
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    private KestrelServer Create()
    {
        var options = new KestrelServerOptions { AddServerHeader = false };
        var limits = options.Limits;
        limits.MaxConcurrentConnections = MaxConnections;
        limits.MaxConcurrentUpgradedConnections = 0;
        limits.MaxRequestBodySize = 0;
        limits.MaxRequestLineSize = 2 * 1024;
        limits.MaxRequestHeadersTotalSize = 8 * 1024;
        limits.MaxRequestHeaderCount = 64;
        limits.MaxRequestBufferSize = 16 * 1024;
        limits.RequestHeadersTimeout = ClientTimeout;
        limits.KeepAliveTimeout = ClientTimeout;
        limits.MinResponseDataRate = new MinDataRate(SlowestReaderBytesPerSecond, ClientTimeout);
        if (endPoint is IPEndPoint { Port: var port } any && any.Address.Equals(IPAddress.IPv6Any))
            options.ListenAnyIP(port, Configure);
        else
            options.Listen(endPoint, Configure);
        var transport = new SocketTransportFactory(
            Microsoft.Extensions.Options.Options.Create(new SocketTransportOptions { IOQueueCount = 1 }),
            loggers
        );
        return new KestrelServer(Microsoft.Extensions.Options.Options.Create(options), transport, loggers);
    }

    private static void Configure(ListenOptions listen)
    {
        listen.Protocols = HttpProtocols.Http1;
        listen.Use(new ClientLimit(MaxConnectionsPerClient).Before);
    }

    /// <summary>Matters only for port 0, which tests use.</summary>
    private EndPoint Resolve(KestrelServer server) =>
        endPoint is IPEndPoint { Port: 0 } asked
        && server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() is { } address
            ? new IPEndPoint(asked.Address, new Uri(address).Port)
            : endPoint;

    private sealed class Application(RequestDelegate handler) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public Task ProcessRequestAsync(HttpContext context) => handler(context);

        public void DisposeContext(HttpContext context, Exception? exception)
        {
            // The context owns no resources.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(270, LogLevel.Information, "listening")]
        public static partial void Listening(ILogger logger, string name, EndPoint endPoint);

        [LoggerMessage(271, LogLevel.Warning, "cannot listen; retrying")]
        public static partial void NotListening(ILogger logger, string name, EndPoint endPoint, double retryInSeconds, Exception exception);
    }
}
