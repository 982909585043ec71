// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Imds;

/// <summary>
/// Serves the instance metadata, version 2 only (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html): PUT
/// returns a token, and GET requires it. The caller hosts <see cref="HandleAsync"/>.
/// </summary>
/// <param name="instanceOf">Returns the instance that sent a request; null makes the response 404.</param>
internal sealed class ImdsServer(
    VpcWorld world,
    CredentialStore credentials,
    TimeProvider time,
    Random random,
    Func<HttpContext, InstanceId?> instanceOf
)
{
    /// <summary>Prefix of every path. The service also accepts a date instead of <c>latest</c>.</summary>
    public const string PathPrefix = "/latest";

    private const string TokenPath = "api/token";
    private const string TokenHeader = "X-aws-ec2-metadata-token";
    private const string LifetimeHeader = "X-aws-ec2-metadata-token-ttl-seconds";

    private readonly MetadataTokens _tokens = new(time, random);

    public Task HandleAsync(HttpContext context)
    {
        var reply = Respond(context);
        var response = context.Response;
        response.StatusCode = reply.Status;
        response.ContentType = reply.ContentType;
        response.Headers["Server"] = "EC2ws";
        if (reply.TokenLifetime is { } lifetime)
            response.Headers[LifetimeHeader] = lifetime;
        var body = Encoding.UTF8.GetBytes(reply.Body);
        response.ContentLength = body.Length;
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.CompletedTask
            : response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    private Reply Respond(HttpContext context)
    {
        var request = context.Request;
        if (PathBelowVersion(request.Path.Value ?? "/") is not { } path || instanceOf(context) is not { } instance)
            return Error(StatusCodes.Status404NotFound, "Not Found");

        // IMDS refuses requests that came through a proxy.
        if (request.Headers.ContainsKey("X-Forwarded-For"))
            return Error(StatusCodes.Status403Forbidden, "Forbidden");
        if (HttpMethods.IsPut(request.Method))
            return path == TokenPath ? IssueToken(request, instance) : Error(StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
            return Error(StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
        if (path == TokenPath)
            return Error(StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
        if (request.Headers[TokenHeader] is not [{ } token] || !_tokens.IsValid(token, instance))
            return Error(StatusCodes.Status401Unauthorized, "Unauthorized");
        return Tree(instance)?.Get(path) is { } value
            ? new Reply(StatusCodes.Status200OK, "text/plain", value)
            : Error(StatusCodes.Status404NotFound, "Not Found");
    }

    private Reply IssueToken(HttpRequest request, InstanceId instance)
    {
        if (
            request.Headers[LifetimeHeader] is not [{ } text]
            || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            || seconds < 1
            || seconds > MetadataTokens.MaxLifetime.TotalSeconds
        )
            return Error(StatusCodes.Status400BadRequest, "Bad Request");
        return new Reply(StatusCodes.Status200OK, "text/plain", _tokens.Issue(instance, TimeSpan.FromSeconds(seconds)), text);
    }

    private MetadataTree? Tree(InstanceId id)
    {
        lock (world.Gate)
        {
            if (
                world.DescribeMetadata(id) is not { } metadata
                || world.FindInterface(metadata.Instance.PrimaryInterface) is not { } primary
            )
                return null;
            return InstanceTree.Build(metadata, world.Options, credentials.ForInstance(id), primary);
        }
    }

    /// <summary>The path without its version; null if the version is unknown.</summary>
    private static string? PathBelowVersion(string path)
    {
        var end = path.IndexOf('/', 1);
        var version = end < 0 ? path[1..] : path[1..end];
        var known =
            version == "latest" || DateOnly.TryParseExact(version, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _);
        return known ? (end < 0 ? "" : path[(end + 1)..]) : null;
    }

    private static Reply Error(int status, string title) =>
        new(
            status,
            "text/html",
            $"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>{status} - "
                + $"{title}</title></head><body><h1>{status} - {title}</h1></body></html>\n"
        );

    private sealed record Reply(int Status, string ContentType, string Body, string? TokenLifetime = null);
}
