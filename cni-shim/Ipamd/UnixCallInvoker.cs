// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Grpc.Core;
using VpcCni.Shim.Interop;
using VpcCni.Shim.Ipamd.Http2;

namespace VpcCni.Shim.Ipamd;

/// <summary>
/// Blocking unary gRPC calls over a Unix socket, on the calling thread (grpc/doc/PROTOCOL-HTTP2.md). The general channel over
/// SocketsHttpHandler starts five threads and an event loop for its connection; for a process that makes one call, that was half of its run
/// time. Each call has a connection of its own, and must have a deadline. No TLS: the socket's file permissions and the peer's credentials
/// are the access control.
/// </summary>
internal sealed class UnixCallInvoker(string socketPath, TimeProvider time) : CallInvoker
{
    private const int MaxResponseBytes = 4 * 1024 * 1024;

    /// <summary>Headers and trailers of the last call that was answered with success.</summary>
    public IReadOnlyDictionary<string, string> ResponseHeaders { get; private set; } = new Dictionary<string, string>();

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        string? host,
        CallOptions options,
        TRequest request
    )
    {
        if (options.Deadline is not { } deadline)
            throw new ArgumentException($"{method.FullName} is called without a deadline", nameof(options));
        var framed = MessageFrame.Write(method.RequestMarshaller, request);

        // From here on the monotonic clock counts: the wall clock may be set while we wait.
        var budget = deadline - time.GetUtcNow().UtcDateTime;
        var started = time.GetTimestamp();
        var exchange = Exchange(method.FullName, framed, () => Left(budget, started));
        ResponseHeaders = Check(exchange);
        var message = Message(exchange, ResponseHeaders);
        try
        {
            return MessageFrame.Read(method.ResponseMarshaller, message);
        }
        catch (Exception exception) when (exception is not RpcException)
        {
            throw Failure(StatusCode.Internal, $"the response of {method.FullName} cannot be read: {exception.Message}", exception);
        }
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        string? host,
        CallOptions options,
        TRequest request
    ) => throw Unsupported(method);

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        string? host,
        CallOptions options,
        TRequest request
    ) => throw Unsupported(method);

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        string? host,
        CallOptions options
    ) => throw Unsupported(method);

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method,
        string? host,
        CallOptions options
    ) => throw Unsupported(method);

    private UnaryExchange Exchange(string path, ReadOnlyMemory<byte> framed, Func<TimeSpan> left)
    {
        try
        {
            using var socket = UnixSocket.Connect(socketPath, left());
            var exchange = new UnaryExchange(bytes => socket.Send(bytes.Span, left()), buffer => socket.Receive(buffer.Span, left()));
            exchange.Run(
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", path),
                    (":authority", "localhost"),
                    ("te", "trailers"),
                    ("content-type", "application/grpc"),
                    ("user-agent", $"vpc-cni/{IpamdClient.OwnVersion}"),
                    ("grpc-timeout", $"{(long)left().TotalMilliseconds + 1}m"),
                ],
                framed,
                MaxResponseBytes + MessageFrame.HeaderBytes
            );
            return exchange;
        }
        catch (TimeoutException exception)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, "Deadline Exceeded", exception));
        }
        catch (Http2Exception exception)
        {
            throw Failure(StatusCode.Internal, exception.Message, exception);
        }
        catch (IOException exception)
        {
            throw Failure(StatusCode.Unavailable, exception.Message, exception);
        }
    }

    /// <summary>Returns the remaining time; throws if there is none.</summary>
    private TimeSpan Left(TimeSpan budget, long started)
    {
        var left = budget - time.GetElapsedTime(started);
        return left > TimeSpan.Zero ? left : throw new TimeoutException($"no answer on {socketPath} until the deadline");
    }

    /// <summary>Returns the headers; throws unless the status is OK.</summary>
    private static Dictionary<string, string> Check(UnaryExchange exchange)
    {
        var headers = exchange.Headers;
        if (
            headers.TryGetValue("grpc-status", out var text)
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        )
        {
            var code = number is >= 0 and <= 16 ? (StatusCode)number : StatusCode.Unknown;
            if (code == StatusCode.OK)
                return headers;
            throw new RpcException(
                new Status(code, headers.TryGetValue("grpc-message", out var message) ? PercentDecode(message) : ""),
                Trailers(headers)
            );
        }
        if (exchange.ErrorCode is { } error)
            throw Failure(OfHttp2(error), $"the server ended the call with HTTP/2 error {error}");
        if (exchange.Closed)
            throw Failure(StatusCode.Unavailable, "the server closed the connection without an answer", new EndOfStreamException());
        var status = headers.GetValueOrDefault(":status", "(absent)");
        throw Failure(OfHttp(status), $"the server answered with HTTP status {status} and no grpc-status: it is no gRPC server");
    }

    /// <summary>Keeps the trailers of this daemon; others are ignored.</summary>
    private static Metadata Trailers(Dictionary<string, string> headers)
    {
        var trailers = new Metadata();
        foreach (var (name, value) in headers)
            if (
                name.StartsWith("vpccni-", StringComparison.Ordinal)
                && !name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.Ordinal)
            )
                trailers.Add(name, value);
        return trailers;
    }

    private static ReadOnlyMemory<byte> Message(UnaryExchange exchange, IReadOnlyDictionary<string, string> headers)
    {
        var body = exchange.Body.Span;
        if (body.Length < MessageFrame.HeaderBytes)
            throw Failure(StatusCode.Internal, "the server answered OK without a message");
        if (body[0] != 0)
            throw Failure(
                StatusCode.Internal,
                $"the response is compressed ({headers.GetValueOrDefault("grpc-encoding", "unknown")}), which was not asked for"
            );
        if (BinaryPrimitives.ReadUInt32BigEndian(body[1..]) != body.Length - MessageFrame.HeaderBytes)
            throw Failure(StatusCode.Internal, "the response is not exactly one message");
        return exchange.Body[MessageFrame.HeaderBytes..];
    }

    /// <summary>grpc-message: UTF-8, with %XX for what is not printable ASCII. Malformed escapes stay as they are.</summary>
    private static string PercentDecode(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal))
            return text;
        var bytes = new byte[text.Length];
        var length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (
                text[i] == '%'
                && i + 2 < text.Length
                && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var octet)
            )
            {
                bytes[length++] = octet;
                i += 2;
            }
            else
            {
                bytes[length++] = (byte)text[i];
            }
        }
        return Encoding.UTF8.GetString(bytes, 0, length);
    }

    /// <summary>grpc/doc/PROTOCOL-HTTP2.md, "HTTP2 Transport Mapping".</summary>
    private static StatusCode OfHttp2(uint error) =>
        error switch
        {
            0x7 => StatusCode.Unavailable, // REFUSED_STREAM
            0x8 => StatusCode.Cancelled, // CANCEL
            0xb => StatusCode.ResourceExhausted, // ENHANCE_YOUR_CALM
            0xc => StatusCode.PermissionDenied, // INADEQUATE_SECURITY
            _ => StatusCode.Internal,
        };

    /// <summary>grpc/doc/http-grpc-status-mapping.md.</summary>
    private static StatusCode OfHttp(string status) =>
        status switch
        {
            "400" => StatusCode.Internal,
            "401" => StatusCode.Unauthenticated,
            "403" => StatusCode.PermissionDenied,
            "404" => StatusCode.Unimplemented,
            "429" or "502" or "503" or "504" => StatusCode.Unavailable,
            _ => StatusCode.Unknown,
        };

    private static NotSupportedException Unsupported(IMethod method) =>
        new($"{method.FullName}: this invoker has blocking unary calls only");

    private static RpcException Failure(StatusCode code, string detail, Exception? cause = null) => new(new Status(code, detail, cause));
}
