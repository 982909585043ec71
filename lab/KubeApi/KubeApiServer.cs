// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// The Kubernetes API over HTTP on a <see cref="KubeStore"/>. Handles requests only; whoever has a Kestrel (on any socket, in any network
/// namespace, with or without TLS) gives it <see cref="HandleAsync"/>. Several servers may share a store: one that demands tokens, one that
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

    /// <summary>Whether a path is of this API, for hosts that serve others on the same endpoint.</summary>
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
            var fault = faults.Take(call);
            if (await StrikesBeforeAsync(context, call, fault))
            {
                calls.Add(user, call, fault!.Kind == KubeFaultKind.Broken ? 0 : context.Response.StatusCode);
                return;
            }

            // Counted when it begins, since a watch may go on for half an hour.
            if (call.Verb == "watch" && route is not null)
                calls.Add(user, call, (int)HttpStatusCode.OK);
            await AnswerAsync(context, path, route, call, fault);
            if (call.Verb != "watch")
                calls.Add(user, call, fault?.Kind == KubeFaultKind.LostAnswer ? 0 : context.Response.StatusCode);
        }
        catch (KubeStatusException refused)
        {
            calls.Add(user, call, (int)refused.Code);
            await WriteStatusAsync(context, refused);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone; there is nobody to tell.
        }
        catch (Exception error) when (error is not IOException)
        {
            // A mistake of this server is told in full: whoever sees it is a developer.
            calls.Add(user, call, (int)HttpStatusCode.InternalServerError);
            await WriteStatusAsync(
                context,
                new KubeStatusException(HttpStatusCode.InternalServerError, "InternalError", $"Internal error occurred: {error}")
            );
        }
    }

    private async Task AnswerAsync(HttpContext context, string path, KubeRoute? route, KubeCall call, KubeFault? fault)
    {
        if (await AnswerDiscoveryAsync(context, path))
            return;
        if (route is null)
            throw KubeStatusException.NoSuchPath();
        if (call.Verb == "watch")
        {
            await _requests.WatchAsync(context, route, fault?.Kind);
            return;
        }

        var answer = await _requests.AnswerAsync(context, route, call.Verb);
        if (fault?.Kind == KubeFaultKind.LostAnswer)
            context.Abort();
        else
            await WriteAsync(
                context,
                answer.Status,
                Encoding.UTF8.GetBytes(KubeJson.Write(answer.Body)),
                "application/json",
                isHalf: fault?.Kind == KubeFaultKind.Truncated
            );
    }

    /// <exception cref="KubeStatusException">401.</exception>
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

    /// <summary>True when the fault has taken the place of the answer.</summary>
    private async Task<bool> StrikesBeforeAsync(HttpContext context, KubeCall call, KubeFault? fault)
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
                await WriteAsync(context, HttpStatusCode.OK, "<html><body>It works!</body></html>"u8.ToArray(), "text/html", isHalf: false);
                return true;
            case KubeFaultKind.Stalled when call.Verb != "watch":
                await watches.ClosedAsync(context.RequestAborted);
                context.Abort();
                return true;
            case KubeFaultKind.Slow:
                await Task.Delay(fault.Delay, time, context.RequestAborted);
                return false;
            default:
                return false;
        }
    }

    private async Task<bool> AnswerDiscoveryAsync(HttpContext context, string path)
    {
        var accept = context.Request.Headers.Accept.ToString();
        if (path is "/healthz" or "/livez" or "/readyz")
        {
            await WriteAsync(context, HttpStatusCode.OK, "ok"u8.ToArray(), "text/plain; charset=utf-8", isHalf: false);
            return true;
        }

        if (Discovery.Answer(path, accept, store.Types) is { } found)
        {
            await WriteAsync(
                context,
                HttpStatusCode.OK,
                Encoding.UTF8.GetBytes(KubeJson.Write(found)),
                Discovery.ContentType(found),
                isHalf: false
            );
            return true;
        }

        if (OpenApi.Answer(path, accept, store.Types) is not { } document)
            return false;
        await WriteAsync(context, HttpStatusCode.OK, document.Body, document.ContentType, isHalf: false);
        return true;
    }

    private static async Task WriteStatusAsync(HttpContext context, KubeStatusException refused)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        if (refused.RetryAfter is { } wait)
            context.Response.Headers.RetryAfter = $"{Math.Max(1, (int)wait.TotalSeconds)}";
        await WriteAsync(
            context,
            refused.Code,
            Encoding.UTF8.GetBytes(KubeJson.Write(refused.ToStatus())),
            "application/json",
            isHalf: false
        );
    }

    private static async Task WriteAsync(HttpContext context, HttpStatusCode status, byte[] body, string contentType, bool isHalf)
    {
        context.Response.StatusCode = (int)status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        if (!isHalf)
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

/// <summary>An answer that is one JSON object.</summary>
internal sealed record KubeAnswer(HttpStatusCode Status, JsonObject Body);
