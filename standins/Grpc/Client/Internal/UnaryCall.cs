// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Grpc.Core;
using Grpc.Core.Internal;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// One unary call, from serialization to status. Every failure ends as an <see cref="RpcException"/>: the server's status if there is one, else the reason for which
/// the call was cancelled, else what <see cref="StatusMap"/> makes of the transport's error.
/// </summary>
internal sealed class UnaryCall<TRequest, TResponse>(GrpcChannel channel, Method<TRequest, TResponse> method, CallOptions options, CallCancellation cancellation)
    where TRequest : class
    where TResponse : class
{
    private readonly TaskCompletionSource<Metadata> _headers = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Metadata _trailers = Metadata.Empty;
    private Status _status;
    private volatile bool _finished;

    public AsyncUnaryCall<TResponse> Start(TRequest request)
    {
        var response = RunAsync(request);
        Observe(response);
        Observe(_headers.Task);
        return new AsyncUnaryCall<TResponse>(response, _headers.Task, GetStatus, GetTrailers, () => cancellation.Cancel(CallCancellation.CallDisposed));
    }

    /// <summary>A caller who only looks at the status must not cause an unobserved task exception.</summary>
    private static void Observe(Task task)
        => _ = task.ContinueWith(static failed => _ = failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    private Status GetStatus() => _finished ? _status : throw NotFinished();

    private Metadata GetTrailers() => _finished ? _trailers : throw NotFinished();

    private InvalidOperationException NotFinished() => new($"The call {method.FullName} has not finished; await the response first.");

    private async Task<TResponse> RunAsync(TRequest request)
    {
        try
        {
            var response = await ExchangeAsync(request);
            _status = Status.DefaultSuccess;
            _finished = true;
            return response;
        }
        catch (Exception error)
        {
            var failure = Explain(error);
            _status = failure.Status;
            _trailers = failure.Trailers;
            _finished = true;
            Exception thrown = channel.ThrowOperationCanceled && failure.StatusCode is (StatusCode.Cancelled or StatusCode.DeadlineExceeded)
                ? new OperationCanceledException(failure.Message, failure, options.CancellationToken)
                : failure;
            _headers.TrySetException(thrown);
            throw thrown;
        }
        finally
        {
            cancellation.Dispose();
        }
    }

    private async Task<TResponse> ExchangeAsync(TRequest request)
    {
        using var message = BuildRequest(request);
        using var response = await channel.Invoker.SendAsync(message, cancellation.Token);
        CheckHttp(response);
        var headers = ResponseMetadata.Read(response.Headers.NonValidated);
        _headers.TrySetResult(headers);

        // Trailers-only: the status is in the headers and no message follows.
        if (ResponseMetadata.ReadStatus(response.Headers.NonValidated) is { } early)
        {
            _trailers = headers;
            if (early.StatusCode != StatusCode.OK) throw new RpcException(early, headers);
        }

        byte[]? payload = null;
        RpcException? broken = null;
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellation.Token);
            payload = await MessageReader.ReadSingleAsync(body, Rules(response), cancellation.Token);
        }
        catch (RpcException error)
        {
            broken = error;
        }

        if (ResponseMetadata.ReadStatus(response.TrailingHeaders.NonValidated) is { } status)
        {
            _trailers = ResponseMetadata.Read(response.TrailingHeaders.NonValidated);
            if (status.StatusCode != StatusCode.OK) throw new RpcException(status, _trailers);
        }
        else if (broken is null && ResponseMetadata.ReadStatus(response.Headers.NonValidated) is null)
        {
            throw new RpcException(new Status(StatusCode.Unknown, "The response ended without grpc-status."));
        }

        if (broken is not null) throw new RpcException(broken.Status, _trailers);
        if (payload is null) throw new RpcException(new Status(StatusCode.Unimplemented, "response: no message with status OK; the method answers with exactly one."), _trailers);
        return Deserialize(payload);
    }

    private HttpRequestMessage BuildRequest(TRequest request)
    {
        var message = new HttpRequestMessage(HttpMethod.Post, new Uri(channel.Address, method.FullName))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ReadOnlyMemoryContent(Serialize(request)),
        };
        message.Content.Headers.TryAddWithoutValidation("content-type", WireNames.ContentType);
        var headers = message.Headers;
        headers.TryAddWithoutValidation(WireNames.Te, WireNames.Trailers);
        headers.TryAddWithoutValidation(WireNames.UserAgent, UserAgent.Value);
        headers.TryAddWithoutValidation(WireNames.AcceptEncoding, WireNames.Identity);
        if (cancellation.Remaining is { } remaining) headers.TryAddWithoutValidation(WireNames.Timeout, GrpcTimeout.Format(remaining));
        foreach (var entry in options.Headers ?? Metadata.Empty)
        {
            if (WireNames.IsProtocolHeader(entry.Key))
                throw new RpcException(new Status(StatusCode.Internal, $"'{entry.Key}' is a header of the protocol and cannot be sent as metadata."));
            headers.TryAddWithoutValidation(entry.Key, MetadataWire.Encode(entry));
        }

        return message;
    }

    private ReadOnlyMemory<byte> Serialize(TRequest request)
    {
        var writer = new MessageWriter(channel.MaxSendMessageSize);
        try
        {
            method.RequestMarshaller.ContextualSerializer(request, writer);
            return writer.Frame;
        }
        catch (Exception error) when (error is not RpcException)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"The request of {method.FullName} could not be serialized: {error.Message}", error));
        }
    }

    private TResponse Deserialize(byte[] payload)
    {
        try
        {
            return method.ResponseMarshaller.ContextualDeserializer(new MessagePayload(payload));
        }
        catch (Exception error) when (error is not RpcException)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"The response of {method.FullName} could not be read: {error.Message}", error), _trailers);
        }
    }

    private static void CheckHttp(HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            var status = ResponseMetadata.ReadStatus(response.Headers.NonValidated);
            if (status is not { StatusCode: not StatusCode.OK } given)
                given = new Status(StatusMap.OfHttpStatus(response.StatusCode), $"The server answered with HTTP status {(int)response.StatusCode} and no grpc-status.");
            throw new RpcException(given, ResponseMetadata.Read(response.Headers.NonValidated));
        }

        var contentType = response.Content.Headers.NonValidated.TryGetValues("content-type", out var values) ? values.ToString() : null;
        if (!WireNames.IsGrpcContentType(contentType))
            throw new RpcException(new Status(StatusCode.Unknown, $"The server answered with content-type '{contentType ?? "(absent)"}'; expected {WireNames.ContentType}."));
    }

    private MessageRules Rules(HttpResponseMessage response)
    {
        var encoding = response.Headers.NonValidated.TryGetValues(WireNames.Encoding, out var values) ? values.ToString() : null;
        return new MessageRules("response", channel.MaxReceiveMessageSize, encoding, StatusCode.Internal);
    }

    private RpcException Explain(Exception error) => error switch
    {
        RpcException known => known,
        _ when cancellation.Reason is { } reason => new RpcException(new Status(reason.StatusCode, reason.Detail, error)),
        _ => new RpcException(StatusMap.OfTransportError(error)),
    };
}
