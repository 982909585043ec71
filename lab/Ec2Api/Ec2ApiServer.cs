// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Options of the API that are not part of the model.</summary>
internal sealed record Ec2ApiOptions
{
    /// <summary>Latency added to every call (<c>--ec2-latency</c>), half before and half after the call takes effect.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>Maximum size of a request's body.</summary>
    public int MaxBodyBytes { get; init; } = 256 * 1024;
}

/// <summary>
/// Serves the EC2 API over HTTP: the Query protocol, version 2016-11-15, with signed requests and XML responses. The caller hosts
/// <see cref="HandleAsync"/> on any socket in any network namespace. Requests enter the model one at a time, under its lock, which this
/// class does not hold across an await.
/// </summary>
internal sealed class Ec2ApiServer(VpcWorld world, CredentialStore credentials, TimeProvider time, Random random, Ec2ApiOptions options)
{
    public const string ApiVersion = "2016-11-15";

    private readonly SignatureVerifier _verifier = new(credentials, time, world.Options.Region);
    private readonly Lock _randomLock = new();

    public async Task HandleAsync(HttpContext context)
    {
        var requestId = NextRequestId();
        HttpStatusCode status;
        byte[] body;
        try
        {
            body = await ExecuteAsync(context, requestId);
            status = HttpStatusCode.OK;
        }
        catch (Ec2FaultException fault)
        {
            body = Ec2Xml.Error(fault, requestId);
            status = fault.Status;
        }

        context.Response.StatusCode = (int)status;
        context.Response.ContentType = "text/xml;charset=UTF-8";
        context.Response.ContentLength = body.Length;
        context.Response.Headers["x-amzn-RequestId"] = requestId;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private async Task<byte[]> ExecuteAsync(HttpContext context, string requestId)
    {
        var signed = await ReadAsync(context);
        if (signed.Method is not ("POST" or "GET"))
            throw new Ec2FaultException("MethodNotAllowed", "Use POST or GET", HttpStatusCode.MethodNotAllowed);
        _verifier.Verify(signed);
        var request = Parse(signed);
        var action =
            request.Text("Action") ?? throw new Ec2FaultException("MissingAction", "The request must contain the parameter Action");
        if (!Ec2Operations.All.TryGetValue(action, out var operation))
            throw new Ec2FaultException(
                "InvalidAction",
                $"The action {action} is not valid for this web service. The lab supports: "
                    + $"{string.Join(", ", Ec2Operations.All.Keys.Order(StringComparer.Ordinal))}"
            );
        if (request.Text("Version") is not ApiVersion)
            throw new Ec2FaultException(
                "NoSuchVersion",
                $"The requested version ({request.Text("Version")}) of service AmazonEC2 does not exist; expected {ApiVersion}"
            );

        var dryRun = request.Flag("DryRun") ?? false;
        var execute = operation(request);
        request.RejectUnreadParameters();

        // EC2 completes a call although its client disconnects, so these delays cannot be cancelled.
        var half = options.Latency / 2;
        if (half > TimeSpan.Zero)
            await Task.Delay(half, time, CancellationToken.None);
        try
        {
            Action<Ec2Xml> write;
            lock (world.Gate)
                write = dryRun ? throw world.DryRun(action) : execute(world);
            return Ec2Xml.Response(action, requestId, write);
        }
        finally
        {
            if (half > TimeSpan.Zero)
                await Task.Delay(half, time, CancellationToken.None);
        }
    }

    private async Task<SignedRequest> ReadAsync(HttpContext context)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var headers = context.Request.Headers.ToDictionary(
            header => header.Key.ToLowerInvariant(),
            header => (IReadOnlyList<string>)[.. header.Value.OfType<string>()],
            StringComparer.Ordinal
        );
        return new SignedRequest(
            context.Request.Method,
            question < 0 ? target : target[..question],
            question < 0 ? "" : target[(question + 1)..],
            headers,
            await ReadBodyAsync(context)
        );
    }

    private async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpContext context)
    {
        if (context.Request.ContentLength > options.MaxBodyBytes)
            throw TooLarge();
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
        {
            if (body.Length + read > options.MaxBodyBytes)
                throw TooLarge();
            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    private static QueryRequest Parse(SignedRequest signed)
    {
        // The signature parameters of a presigned request are not parameters of the operation.
        var query = QueryRequest.ParseForm(signed.RawQuery).Where(pair => !pair.Name.StartsWith("X-Amz-", StringComparison.Ordinal));
        return new QueryRequest(query.Concat(QueryRequest.ParseForm(Encoding.UTF8.GetString(signed.Body.Span))));
    }

    private Ec2FaultException TooLarge() =>
        new(
            "RequestEntityTooLarge",
            $"The request's body is larger than {options.MaxBodyBytes} bytes",
            HttpStatusCode.RequestEntityTooLarge
        );

    private string NextRequestId()
    {
        Span<byte> bytes = stackalloc byte[16];
        lock (_randomLock)
            random.NextBytes(bytes);
        return new Guid(bytes).ToString("D", CultureInfo.InvariantCulture);
    }
}
