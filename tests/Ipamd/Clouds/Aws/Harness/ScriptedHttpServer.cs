// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>A received request.</summary>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Path without query, as sent.</param>
/// <param name="Headers">Headers, with case-insensitive names.</param>
/// <param name="Body">Whole body.</param>
/// <param name="Aborted">Cancelled when the client disconnects.</param>
internal sealed record ReceivedRequest(
    string Method,
    string Path,
    IReadOnlyDictionary<string, string> Headers,
    string Body,
    CancellationToken Aborted
)
{
    /// <summary>The body as a decoded form.</summary>
    public IReadOnlyDictionary<string, string> Form =>
        Body.Length == 0
            ? new Dictionary<string, string>()
            : Body.Split('&')
                .Select(pair => pair.Split('=', 2))
                .ToDictionary(pair => WebUtility.UrlDecode(pair[0]), pair => WebUtility.UrlDecode(pair[1]));
}

/// <summary>The answer to a request.</summary>
internal sealed record Reply(int Status, string Body)
{
    public string ContentType { get; init; } = "text/xml;charset=UTF-8";

    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>Writes the body instead of <see cref="Body"/>, as long and as slowly as a test likes.</summary>
    public Func<HttpContext, Task>? Raw { get; init; }

    /// <summary>Closes the connection instead of answering.</summary>
    public bool Abort { get; init; }

    public static Reply Ok(string body) => new(200, body);

    public static Reply Lost { get; } = new(0, "") { Abort = true };
}

/// <summary>A real HTTP server on a free loopback port with scripted answers and recorded requests.</summary>
internal sealed class ScriptedHttpServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ReceivedRequest> _requests = new();

    private ScriptedHttpServer(WebApplication app) => _app = app;

    public Uri Url => new(_app.Urls.Single());

    public IReadOnlyList<ReceivedRequest> Requests => [.. _requests];

    public static Task<ScriptedHttpServer> StartAsync(Func<ReceivedRequest, Reply> answer) =>
        StartAsync(request => Task.FromResult(answer(request)));

    public static async Task<ScriptedHttpServer> StartAsync(Func<ReceivedRequest, Task<Reply>> answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var server = new ScriptedHttpServer(app);
        app.Run(context => server.HandleAsync(context, answer));
        await app.StartAsync();
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(new CancellationToken(canceled: true));
        await _app.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext context, Func<ReceivedRequest, Task<Reply>> answer)
    {
        using var reader = new StreamReader(context.Request.Body);
        var headers = context.Request.Headers.ToDictionary(
            header => header.Key,
            header => header.Value.ToString(),
            StringComparer.OrdinalIgnoreCase
        );
        var request = new ReceivedRequest(
            context.Request.Method,
            context.Request.Path.Value ?? "",
            headers,
            await reader.ReadToEndAsync(),
            context.RequestAborted
        );
        _requests.Enqueue(request);
        var reply = await answer(request);
        if (reply.Abort)
        {
            context.Abort();
            return;
        }

        context.Response.StatusCode = reply.Status;
        context.Response.ContentType = reply.ContentType;
        foreach (var (name, value) in reply.Headers)
            context.Response.Headers[name] = value;
        await (reply.Raw is { } raw ? raw(context) : context.Response.WriteAsync(reply.Body));
    }
}
