// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.GceModel;
using VpcCni.Lab.Http;

namespace VpcCni.Lab.GceMetadata;

/// <summary>
/// Serves the metadata of instances, <c>/computeMetadata/v1</c> (https://cloud.google.com/compute/docs/metadata/querying-metadata): values,
/// directories, recursive JSON and text, access tokens, and requests that wait for a change. Every request needs
/// <c>Metadata-Flavor: Google</c>, and every response has it. The caller hosts <see cref="HandleAsync"/>.
/// </summary>
/// <param name="instanceOf">
/// Returns zone and name of the instance that sent a request; null makes the response 404. Called under the world's lock.
/// </param>
internal sealed class GceMetadataServer(
    GceWorld world,
    BearerTokens tokens,
    TimeProvider time,
    Func<HttpContext, (string Zone, string Name)?> instanceOf
)
{
    /// <summary>Prefix of every path.</summary>
    public const string PathPrefix = "/computeMetadata";

    private const string FlavorHeader = "Metadata-Flavor";
    private const string Flavor = "Google";

    /// <summary>How often a waiting request looks for a change.</summary>
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>How long a request waits at most; GCE waits without limit unless the request sets one.</summary>
    private static readonly TimeSpan MaxWait = TimeSpan.FromMinutes(10);

    public async Task HandleAsync(HttpContext context)
    {
        var reply = await RespondAsync(context);
        var response = context.Response;
        response.StatusCode = reply.Status;
        response.Headers[FlavorHeader] = Flavor;
        response.Headers.Server = "Metadata Server for VM";
        response.Headers.XXSSProtection = "0";
        response.Headers.XFrameOptions = "SAMEORIGIN";
        if (reply.Tag is not null)
            response.Headers.ETag = reply.Tag;
        if (reply.Location is not null)
            response.Headers.Location = reply.Location;
        response.ContentType = reply.ContentType;
        var body = Encoding.UTF8.GetBytes(reply.Body);
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(body, context.RequestAborted);
    }

    private async Task<Reply> RespondAsync(HttpContext context)
    {
        var request = context.Request;
        var path = request.Path.Value ?? "/";
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
            return Html(StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
        // Clients find out with this request whether they are on GCE, so it needs no header.
        if (path == "/")
            return new Reply(StatusCodes.Status200OK, "application/text", "computeMetadata/\n");
        if (
            request.Headers[FlavorHeader] is not [{ } flavor]
            || !string.Equals(flavor, Flavor, StringComparison.OrdinalIgnoreCase)
            || request.Headers.ContainsKey("X-Forwarded-For")
        )
            return Html(StatusCodes.Status403Forbidden, "Missing Metadata-Flavor:Google header.");
        if (path is "/computeMetadata" or "/computeMetadata/")
            return new Reply(StatusCodes.Status200OK, "application/text", "v1/\n");
        const string Version = PathPrefix + "/v1";
        if (path == Version)
            return Moved(request);
        if (!path.StartsWith(Version + "/", StringComparison.Ordinal))
            return Html(StatusCodes.Status404NotFound, "Not Found");
        return await ReadAsync(context, path[(Version.Length + 1)..]);
    }

    private async Task<Reply> ReadAsync(HttpContext context, string path)
    {
        var request = context.Request;
        var segments = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments is ["instance", "service-accounts", _, "token"])
            return Token(context, segments[2]);
        var waits = IsTrue(request, "wait_for_change");
        if (!TryReadTimeout(request, out var timeout))
            return Html(StatusCodes.Status400BadRequest, "timeout_sec: expected a number of seconds");
        if (Read(context, segments) is not { } node)
            return Html(StatusCodes.Status404NotFound, "Not Found");
        if (waits)
            node = await WaitAsync(context, segments, node, timeout);

        var isDirectory = GceMetadataTree.IsDirectory(node) || segments.Length == 0;
        var isRecursive = IsTrue(request, "recursive");
        var form = request.Query["alt"] is [{ } alt] ? alt : null;
        if (form is not (null or "json" or "text"))
            return Html(StatusCodes.Status400BadRequest, "alt: expected json or text");
        var tag = GceMetadataTree.Tag(node);
        if (isDirectory && !isRecursive && !path.EndsWith('/') && segments.Length > 0)
            return Moved(request);
        if (!isDirectory && path.EndsWith('/'))
            return Html(StatusCodes.Status404NotFound, "Not Found");
        if (isDirectory && !isRecursive)
            return Text(GceMetadataTree.Listing(node), tag);
        if (form == "json" || (isRecursive && isDirectory && form is null))
            return new Reply(StatusCodes.Status200OK, "application/json", GceMetadataTree.Json(node), tag);
        return Text(isDirectory ? GceMetadataTree.RecursiveText(node) : GceMetadataTree.LeafText(node), tag);
    }

    /// <summary>Waits until a node is no longer that of <c>last_etag</c>, or of the request's start, for at most the timeout.</summary>
    private async Task<JsonNode> WaitAsync(HttpContext context, string[] segments, JsonNode node, TimeSpan timeout)
    {
        var last = context.Request.Query["last_etag"] is [{ Length: > 0 } tag] ? tag : GceMetadataTree.Tag(node);
        var started = time.GetTimestamp();
        while (GceMetadataTree.Tag(node) == last && time.GetElapsedTime(started) < timeout)
        {
            await Task.Delay(PollInterval, time, context.RequestAborted);
            // A node that disappears has changed, too; the client gets what it last was.
            if (Read(context, segments) is not { } now)
                return node;
            node = now;
        }

        return node;
    }

    private JsonNode? Read(HttpContext context, string[] segments)
    {
        lock (world.Gate)
        {
            if (instanceOf(context) is not var (zone, name) || world.DescribeMetadata(time.GetUtcNow(), zone, name) is not { } instance)
                return null;
            return GceMetadataTree.Find(GceMetadataTree.Build(instance, world.SubnetworkOf(instance), world.Options), segments);
        }
    }

    private Reply Token(HttpContext context, string account)
    {
        string id;
        lock (world.Gate)
        {
            if (
                (account != "default" && account != world.Options.ServiceAccount)
                || instanceOf(context) is not var (zone, name)
                || world.FindInstance(zone, name) is not { } instance
            )
                return Html(StatusCodes.Status404NotFound, "Not Found");
            id = $"{instance.Id}";
        }

        var token = tokens.Of(id);
        var body = new JsonObject
        {
            ["access_token"] = token.Value,
            ["expires_in"] = (long)token.ExpiresIn.TotalSeconds,
            ["token_type"] = "Bearer",
        };
        return new Reply(StatusCodes.Status200OK, "application/json", GceMetadataTree.Json(body));
    }

    private static bool IsTrue(HttpRequest request, string name) =>
        request.Query[name] is [{ } value] && string.Equals(value, "true", StringComparison.OrdinalIgnoreCase);

    private static bool TryReadTimeout(HttpRequest request, out TimeSpan timeout)
    {
        timeout = MaxWait;
        if (request.Query["timeout_sec"] is not [{ } text])
            return true;
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
            return false;
        timeout = seconds < MaxWait.TotalSeconds ? TimeSpan.FromSeconds(seconds) : MaxWait;
        return true;
    }

    /// <summary>Redirects from a directory's name to the name with a slash.</summary>
    private static Reply Moved(HttpRequest request) =>
        Html(StatusCodes.Status301MovedPermanently, "Moved Permanently") with
        {
            Location = $"http://{request.Host}{request.Path}/{request.QueryString}",
        };

    private static Reply Text(string body, string tag) => new(StatusCodes.Status200OK, "application/text", body, tag);

    private static Reply Html(int status, string message) =>
        new(
            status,
            "text/html; charset=UTF-8",
            $"<!DOCTYPE html><html lang=en><title>Error {status}</title><p><b>{status}.</b> {message}</html>\n"
        );

    private sealed record Reply(int Status, string ContentType, string Body, string? Tag = null, string? Location = null);
}
