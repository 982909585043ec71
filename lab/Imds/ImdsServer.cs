// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Imds;

/// <summary>
/// The instance metadata service, version 2 only (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html): a
/// token by PUT, then GET with it. Which instance asks is for the host to tell, by the socket or the remote address. Handles requests only;
/// the host owns the Kestrel.
/// </summary>
/// <param name="instanceOf">The instance behind a request; null for nobody's, which gets 404.</param>
internal sealed class ImdsServer(
    VpcWorld world,
    CredentialStore credentials,
    TimeProvider time,
    Random random,
    Func<HttpContext, InstanceId?> instanceOf
)
{
    /// <summary>The path that everything here begins with; a date instead of <c>latest</c> is taken too.</summary>
    public const string PathPrefix = "/latest";

    private const string TokenPath = "api/token";
    private const string TokenHeader = "X-aws-ec2-metadata-token";
    private const string LifeHeader = "X-aws-ec2-metadata-token-ttl-seconds";

    private readonly MetadataTokens _tokens = new(time, random);

    public Task HandleAsync(HttpContext context)
    {
        var answer = Answer(context);
        var response = context.Response;
        response.StatusCode = answer.Status;
        response.ContentType = answer.ContentType;
        response.Headers["Server"] = "EC2ws";
        if (answer.TokenLife is { } life)
            response.Headers[LifeHeader] = life;
        var body = Encoding.UTF8.GetBytes(answer.Body);
        response.ContentLength = body.Length;
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.CompletedTask
            : response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    private Answered Answer(HttpContext context)
    {
        var request = context.Request;
        if (PathBelowVersion(request.Path.Value ?? "/") is not { } path || instanceOf(context) is not { } instance)
            return Error(StatusCodes.Status404NotFound, "Not Found");

        // A request that came through a proxy must not get a token.
        if (request.Headers.ContainsKey("X-Forwarded-For"))
            return Error(StatusCodes.Status403Forbidden, "Forbidden");
        if (HttpMethods.IsPut(request.Method))
            return path == TokenPath ? IssueToken(request, instance) : Error(StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
            return Error(StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
        if (path == TokenPath)
            return Error(StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
        if (request.Headers[TokenHeader] is not [{ } token] || !_tokens.IsGood(token, instance))
            return Error(StatusCodes.Status401Unauthorized, "Unauthorized");
        return Tree(instance)?.Get(path) is { } value
            ? new Answered(StatusCodes.Status200OK, "text/plain", value)
            : Error(StatusCodes.Status404NotFound, "Not Found");
    }

    private Answered IssueToken(HttpRequest request, InstanceId instance)
    {
        if (
            request.Headers[LifeHeader] is not [{ } text]
            || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            || seconds < 1
            || seconds > MetadataTokens.MaxLife.TotalSeconds
        )
            return Error(StatusCodes.Status400BadRequest, "Bad Request");
        return new Answered(StatusCodes.Status200OK, "text/plain", _tokens.Issue(instance, TimeSpan.FromSeconds(seconds)), text);
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

    /// <summary>The path without its version; null when it has none that we know.</summary>
    private static string? PathBelowVersion(string path)
    {
        var end = path.IndexOf('/', 1);
        var version = end < 0 ? path[1..] : path[1..end];
        var known =
            version == "latest" || DateOnly.TryParseExact(version, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _);
        return known ? (end < 0 ? "" : path[(end + 1)..]) : null;
    }

    private static Answered Error(int status, string title) =>
        new(
            status,
            "text/html",
            $"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>{status} - "
                + $"{title}</title></head><body><h1>{status} - {title}</h1></body></html>\n"
        );

    private sealed record Answered(int Status, string ContentType, string Body, string? TokenLife = null);
}
