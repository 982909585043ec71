// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Serves the Kubernetes API over HTTP from a <see cref="KubeStore"/>. The caller hosts <see cref="HandleAsync"/>, on any socket in any
/// network namespace, with or without TLS. Servers with different options can share a store, such as one that requires tokens and one that
/// does not.
/// </summary>
internal sealed class KubeApiServer(
    KubeStore store,
    KubeTokens tokens,
    KubeFaults faults,
    KubeCallLog calls,
    WatchHub watches,
    TimeProvider time,
    KubeApiOptions options
)
{
    private const string BearerPrefix = "Bearer ";

    private readonly ResourceRequests _requests = new(store, watches, time, options);

    /// <summary>Whether a path belongs to this API, for hosts that serve other APIs on the same endpoint.</summary>
    public static bool Owns(PathString path) =>
        ((ReadOnlySpan<string>)["/api", "/apis", OpenApi.PathPrefix, "/version", "/healthz", "/livez", "/readyz"])
            .ToArray()
            .Any(prefix => path.StartsWithSegments(prefix, StringComparison.Ordinal));

    public async Task HandleAsync(HttpContext context)
    {
        var path = context.Request.Path.Value ?? "/";
        var route = KubeRoute.Parse(path);
        var call = KubeCall.Of(context.Request, route);
        var user = KubeTokens.Anonymous;
        try
        {
            user = Authenticate(context.Request);
            var fault = faults.TakeMatching(call);
            if (await ApplyFaultAsync(context, call, fault))
            {
                calls.Add(user, call, fault!.Kind == KubeFaultKind.Broken ? 0 : context.Response.StatusCode);
                return;
            }

            // Count a watch when it starts, because it may run for half an hour.
            if (call.Verb == "watch" && route is not null)
                calls.Add(user, call, (int)HttpStatusCode.OK);
            await RespondAsync(context, path, route, call, fault);
            if (call.Verb != "watch")
                calls.Add(user, call, fault?.Kind == KubeFaultKind.LostAnswer ? 0 : context.Response.StatusCode);
        }
        catch (KubeStatusException error)
        {
            calls.Add(user, call, (int)error.Code);
            await WriteStatusAsync(context, error);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has disconnected.
        }
        catch (Exception error) when (error is not IOException)
        {
            // A bug of this server: return the full exception, because its clients are developers.
            calls.Add(user, call, (int)HttpStatusCode.InternalServerError);
            await WriteStatusAsync(
                context,
                new KubeStatusException(HttpStatusCode.InternalServerError, "InternalError", $"Internal error occurred: {error}")
            );
        }
    }

    private async Task RespondAsync(HttpContext context, string path, KubeRoute? route, KubeCall call, KubeFault? fault)
    {
        if (await RespondToDiscoveryAsync(context, path))
            return;
        if (route is null)
            throw KubeStatusException.NoSuchPath();
        if (call.Verb == "watch")
        {
            await _requests.WatchAsync(context, route, fault?.Kind);
            return;
        }

        var response = await _requests.ExecuteAsync(context, route, call.Verb);
        if (fault?.Kind == KubeFaultKind.LostAnswer)
            context.Abort();
        else
            await WriteAsync(
                context,
                response.Status,
                Encoding.UTF8.GetBytes(KubeJson.Write(response.Body)),
                "application/json",
                isTruncated: fault?.Kind == KubeFaultKind.Truncated
            );
    }

    /// <summary>Returns the user of the request's token, or the anonymous user.</summary>
    /// <exception cref="KubeStatusException">401: the server requires a token, and the request has no valid one.</exception>
    private string Authenticate(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        var user = header.StartsWith(BearerPrefix, StringComparison.OrdinalIgnoreCase)
            ? tokens.UserOf(header[BearerPrefix.Length..].Trim())
            : null;
        if (user is null && options.RequireToken)
            throw new KubeStatusException(HttpStatusCode.Unauthorized, "Unauthorized", "Unauthorized");
        return user ?? KubeTokens.Anonymous;
    }

    /// <summary>Applies the part of a fault that precedes the request. Returns whether the fault replaced the response.</summary>
    private async Task<bool> ApplyFaultAsync(HttpContext context, KubeCall call, KubeFault? fault)
    {
        switch (fault?.Kind)
        {
            case KubeFaultKind.Status:
                await WriteStatusAsync(
                    context,
                    new KubeStatusException((HttpStatusCode)fault.Code, ReasonOf(fault.Code), $"{call} failed: injected by vpc-lab")
                    {
                        RetryAfter = fault.RetryAfter,
                    }
                );
                return true;
            case KubeFaultKind.Broken:
                context.Abort();
                return true;
            case KubeFaultKind.Garbage when call.Verb != "watch":
                await WriteAsync(
                    context,
                    HttpStatusCode.OK,
                    "<html><body>It works!</body></html>"u8.ToArray(),
                    "text/html",
                    isTruncated: false
                );
                return true;
            case KubeFaultKind.Stalled when call.Verb != "watch":
                await watches.WaitUntilClosedAsync(context.RequestAborted);
                context.Abort();
                return true;
            case KubeFaultKind.Slow:
                await Task.Delay(fault.Delay, time, context.RequestAborted);
                return false;
            default:
                return false;
        }
    }

    private async Task<bool> RespondToDiscoveryAsync(HttpContext context, string path)
    {
        var accept = context.Request.Headers.Accept.ToString();
        if (path is "/healthz" or "/livez" or "/readyz")
        {
            await WriteAsync(context, HttpStatusCode.OK, "ok"u8.ToArray(), "text/plain; charset=utf-8", isTruncated: false);
            return true;
        }

        if (Discovery.FindDocument(path, accept, store.Types) is { } found)
        {
            await WriteAsync(
                context,
                HttpStatusCode.OK,
                Encoding.UTF8.GetBytes(KubeJson.Write(found)),
                Discovery.ContentType(found),
                isTruncated: false
            );
            return true;
        }

        if (OpenApi.FindDocument(path, accept, store.Types) is not { } document)
            return false;
        await WriteAsync(context, HttpStatusCode.OK, document.Body, document.ContentType, isTruncated: false);
        return true;
    }

    private static async Task WriteStatusAsync(HttpContext context, KubeStatusException error)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        if (error.RetryAfter is { } wait)
            context.Response.Headers.RetryAfter = $"{Math.Max(1, (int)wait.TotalSeconds)}";
        await WriteAsync(
            context,
            error.Code,
            Encoding.UTF8.GetBytes(KubeJson.Write(error.ToStatus())),
            "application/json",
            isTruncated: false
        );
    }

    private static async Task WriteAsync(HttpContext context, HttpStatusCode status, byte[] body, string contentType, bool isTruncated)
    {
        context.Response.StatusCode = (int)status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        if (!isTruncated)
        {
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
            return;
        }

        await context.Response.Body.WriteAsync(body.AsMemory(0, body.Length / 2), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        context.Abort();
    }

    private static string ReasonOf(int code) =>
        code switch
        {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
}

/// <summary>A response whose body is one JSON object.</summary>
internal sealed record KubeResponse(HttpStatusCode Status, JsonObject Body);
