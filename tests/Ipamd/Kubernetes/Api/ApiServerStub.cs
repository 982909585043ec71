// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

/// <summary>A request that the stub received.</summary>
internal sealed record Arrival(string Method, string Url, string Body, string? ContentType, string? Authorization, string Protocol);

/// <summary>An HTTP server on a free loopback port that answers as a test defines, even endlessly or malformed.</summary>
internal sealed class ApiServerStub : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<Arrival> _arrivals = new();

    private ApiServerStub(WebApplication app) => _app = app;

    public string Url => _app.Urls.Single();

    public IReadOnlyList<Arrival> Arrivals => [.. _arrivals];

    public static async Task<ApiServerStub> StartAsync(RequestDelegate answer, X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseShutdownTimeout(TimeSpan.Zero);
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.Listen(
                IPAddress.Loopback,
                0,
                listen =>
                {
                    if (certificate is not null)
                        listen.UseHttps(certificate);
                }
            )
        );
        var app = builder.Build();
        var stub = new ApiServerStub(app);
        app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            stub._arrivals.Enqueue(
                new Arrival(
                    context.Request.Method,
                    context.Request.GetEncodedPathAndQuery(),
                    await reader.ReadToEndAsync(),
                    context.Request.ContentType,
                    context.Request.Headers.Authorization,
                    context.Request.Protocol
                )
            );
            context.Response.ContentType = "application/json";
            await answer(context);
        });
        await app.StartAsync();
        return stub;
    }

    /// <summary>Creates a connection as the daemon does.</summary>
    /// <param name="change">Changes its options.</param>
    /// <param name="time">Clock of watches.</param>
    /// <param name="timeout">Timeout of requests.</param>
    public KubernetesConnection Connection(
        Func<ClusterOptions, ClusterOptions>? change = null,
        TimeProvider? time = null,
        TimeSpan? timeout = null
    )
    {
        var options = new ClusterOptions { Endpoint = new Uri(Url), NodeName = "n" };
        return new KubernetesConnection(change?.Invoke(options) ?? options, "test", time ?? TimeProvider.System)
        {
            RequestTimeout = timeout ?? TimeSpan.FromSeconds(10),
        };
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>Writes an error response of the API server.</summary>
    public static Task RejectAsync(HttpContext context, int code, string reason, string message)
    {
        context.Response.StatusCode = code;
        return context.Response.WriteAsync(
            $$"""{"status":"Failure","code":{{code}},"reason":{{JsonSerializer.Serialize(reason)}},"message":{{JsonSerializer.Serialize(message)}}}"""
        );
    }

    /// <summary>Writes until the client disconnects.</summary>
    public static async Task EndlessAsync(HttpContext context, string beginning, string chunk)
    {
        await context.Response.WriteAsync(beginning);
        var bytes = System.Text.Encoding.ASCII.GetBytes(chunk);
        while (!context.RequestAborted.IsCancellationRequested)
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }
}
