// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Grpc.Core.Internal;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// Serves one unary method: reads the request, calls the method, answers with message and status. At the deadline it answers DEADLINE_EXCEEDED at once and then waits for
/// the method to return, because the method still uses the request's services.
/// </summary>
internal sealed partial class UnaryCallHandler<[DynamicallyAccessedMembers(ServiceMembers.Accessed)] TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    ServiceMethod<TService, TRequest, TResponse> implementation,
    ServiceActivator<TService> activator,
    CallEnvironment environment)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    private readonly ILogger _logger = environment.Logger;

    public async Task HandleAsync(HttpContext http)
    {
        if (CallProtocol.Refuse(http)) return;
        if (!TryReadTimeout(http.Request, out var timeout, out var problem))
        {
            CallProtocol.StartResponse(http.Response);
            CallProtocol.WriteStatus(http.Response, new Status(StatusCode.Internal, problem), Metadata.Empty);
            return;
        }

        using var context = new HttpContextServerCallContext(http, method.FullName, timeout, environment.Time);
        var early = timeout is null ? Task.CompletedTask : AnswerAtDeadlineAsync(http, context);
        var outcome = await InvokeAsync(http, context);
        if (!await AnswerAsync(http, context, outcome)) await early;
    }

    /// <summary>Runs beside the method, so that one which blocks or ignores its token does not keep the client waiting. Never completes without a deadline.</summary>
    private static async Task AnswerAtDeadlineAsync(HttpContext http, HttpContextServerCallContext context)
    {
        await context.DeadlinePassed;
        await AnswerAsync(http, context, new Outcome(new Status(StatusCode.DeadlineExceeded, "The deadline passed before the server finished."), default, Metadata.Empty));
    }

    private static bool TryReadTimeout(HttpRequest request, out TimeSpan? timeout, out string problem)
    {
        timeout = null;
        problem = "";
        if (!request.Headers.TryGetValue(WireNames.Timeout, out var values)) return true;
        var text = values.ToString();
        if (GrpcTimeout.TryParse(text, out var parsed))
        {
            timeout = parsed;
            return true;
        }

        problem = $"grpc-timeout '{text}' is malformed: expected 1 to 8 digits and one of H M S m u n.";
        return false;
    }

    /// <summary>Never throws: whatever happens is a status.</summary>
    private async Task<Outcome> InvokeAsync(HttpContext http, HttpContextServerCallContext context)
    {
        try
        {
            var request = await ReadRequestAsync(http, context);
            var response = await CallAsync(http, context, request);
            if (context.Status.StatusCode != StatusCode.OK) return new Outcome(context.Status, default, context.ResponseTrailers);
            if (response is null) throw new RpcException(new Status(StatusCode.Internal, $"The method {method.FullName} returned no message."));
            return new Outcome(context.Status, Serialize(response), context.ResponseTrailers);
        }
        catch (RpcException error)
        {
            Log.Failed(_logger, method.FullName, error.StatusCode, error.Status.Detail);
            return new Outcome(StatusOf(error), default, Merge(context.ResponseTrailers, error.Trailers));
        }
        catch (Exception error) when (context.CancellationToken.IsCancellationRequested && error is OperationCanceledException or IOException)
        {
            Log.Cancelled(_logger, method.FullName, error);
            var code = context.DeadlinePassed.IsCompleted ? StatusCode.DeadlineExceeded : StatusCode.Cancelled;
            return new Outcome(new Status(code, "The call ended before the method finished."), default, context.ResponseTrailers);
        }
        catch (Exception error)
        {
            Log.Threw(_logger, method.FullName, error);
            var detail = environment.Options.EnableDetailedErrors is true ? $"Exception was thrown by handler. {error.GetType().Name}: {error.Message}" : "Exception was thrown by handler.";
            return new Outcome(new Status(StatusCode.Unknown, detail), default, context.ResponseTrailers);
        }
    }

    private async Task<TRequest> ReadRequestAsync(HttpContext http, HttpContextServerCallContext context)
    {
        // The message limit below is the one that counts; the server's own (30 MB by default) would cut off what the options allow.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } bodySize) bodySize.MaxRequestBodySize = null;
        var encoding = http.Request.Headers.TryGetValue(WireNames.Encoding, out var values) ? values.ToString() : null;
        var rules = new MessageRules("request", environment.Options.MaxReceiveMessageSize, encoding, StatusCode.Unimplemented);
        var payload = await MessageReader.ReadSingleAsync(http.Request.Body, rules, context.CancellationToken)
            ?? throw new RpcException(new Status(StatusCode.Unimplemented, "request: no message; the method takes exactly one."));
        try
        {
            return method.RequestMarshaller.ContextualDeserializer(new MessagePayload(payload));
        }
        catch (Exception error) when (error is not RpcException)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"request: not a valid message: {error.Message}", error));
        }
    }

    private async Task<TResponse?> CallAsync(HttpContext http, HttpContextServerCallContext context, TRequest request)
    {
        var service = activator.Create(http.RequestServices, out var owned);
        try
        {
            return await implementation(service, request, context);
        }
        finally
        {
            if (owned) await DisposeAsync(service);
        }
    }

    private static ValueTask DisposeAsync(TService service)
    {
        if (service is IAsyncDisposable asynchronous) return asynchronous.DisposeAsync();
        (service as IDisposable)?.Dispose();
        return ValueTask.CompletedTask;
    }

    private ReadOnlyMemory<byte> Serialize(TResponse response)
    {
        var writer = new MessageWriter(environment.Options.MaxSendMessageSize);
        method.ResponseMarshaller.ContextualSerializer(response, writer);
        return writer.Frame;
    }

    /// <summary>False if the call had its answer already; then nothing of <paramref name="http"/> was touched.</summary>
    private static async Task<bool> AnswerAsync(HttpContext http, HttpContextServerCallContext context, Outcome outcome)
    {
        if (!await context.TryFinish()) return false;
        if (http.RequestAborted.IsCancellationRequested) return true;
        var response = http.Response;
        if (!response.HasStarted) CallProtocol.StartResponse(response);
        if (!outcome.Frame.IsEmpty) await response.BodyWriter.WriteAsync(outcome.Frame);

        // compression.md: a client whose encoding was refused is told which ones are not.
        if (outcome.Status.StatusCode == StatusCode.Unimplemented && !response.HasStarted) response.Headers[WireNames.AcceptEncoding] = WireNames.Identity;
        CallProtocol.WriteStatus(response, outcome.Status, outcome.Trailers);
        await response.CompleteAsync();
        return true;
    }

    /// <summary>An exception is a failure, whatever status it carries.</summary>
    private static Status StatusOf(RpcException error)
        => error.StatusCode != StatusCode.OK ? error.Status : new Status(StatusCode.Unknown, $"The method failed with status OK: {error.Status.Detail}");

    private static Metadata Merge(Metadata first, Metadata second)
    {
        if (second.Count == 0) return first;
        var merged = new Metadata();
        foreach (var entry in first) merged.Add(entry);
        foreach (var entry in second) merged.Add(entry);
        return merged;
    }

    private readonly record struct Outcome(Status Status, ReadOnlyMemory<byte> Frame, Metadata Trailers);

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Debug, Message = "{Method} ended with {StatusCode}: {Detail}")]
        public static partial void Failed(ILogger logger, string method, StatusCode statusCode, string detail);

        [LoggerMessage(Level = LogLevel.Debug, Message = "{Method} was cancelled")]
        public static partial void Cancelled(ILogger logger, string method, Exception error);

        [LoggerMessage(Level = LogLevel.Error, Message = "{Method} threw; the client got UNKNOWN")]
        public static partial void Threw(ILogger logger, string method, Exception error);
    }
}
