// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>What the layers below make of a call when the server sent no status.</summary>
internal static class StatusMap
{
    /// <summary>Source: grpc/doc/http-grpc-status-mapping.md.</summary>
    public static StatusCode OfHttpStatus(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest => StatusCode.Internal,
        HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
        HttpStatusCode.NotFound => StatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => StatusCode.Unavailable,
        _ => StatusCode.Unknown,
    };

    /// <summary>UNAVAILABLE for whatever happened to the connection, by the error code for whatever happened to the stream, INTERNAL for the rest. The cause is kept.</summary>
    public static Status OfTransportError(Exception error) => new(CodeOf(error), Describe(error), error);

    /// <summary>RST_STREAM and GOAWAY codes (RFC 9113, section 7). Source: PROTOCOL-HTTP2.md, "Errors".</summary>
    public static StatusCode OfHttp2Error(long errorCode) => errorCode switch
    {
        0x7 /* REFUSED_STREAM */ => StatusCode.Unavailable,
        0x8 /* CANCEL */ => StatusCode.Cancelled,
        0xb /* ENHANCE_YOUR_CALM */ => StatusCode.ResourceExhausted,
        0xc /* INADEQUATE_SECURITY */ => StatusCode.PermissionDenied,
        _ => StatusCode.Internal,
    };

    private static StatusCode CodeOf(Exception error)
    {
        for (var cause = error; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case HttpProtocolException protocol: return OfHttp2Error(protocol.ErrorCode);
                case HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded }: return StatusCode.ResourceExhausted;
                case HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ResponseEnded }:
                case HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded }:
                case SocketException:
                    return StatusCode.Unavailable;
                case IOException when cause.InnerException is null: return StatusCode.Unavailable;
                default: continue;
            }
        }

        return StatusCode.Internal;
    }

    private static string Describe(Exception error)
    {
        var text = error.Message;
        for (var cause = error.InnerException; cause is not null; cause = cause.InnerException)
        {
            if (!text.Contains(cause.Message, StringComparison.Ordinal)) text += " " + cause.Message;
        }

        return text;
    }
}
