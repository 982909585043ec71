// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core.Internal;

/// <summary>Header names and values of the protocol. Source: grpc/doc/PROTOCOL-HTTP2.md.</summary>
internal static class WireNames
{
    public const string ContentType = "application/grpc";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";
    public const string Timeout = "grpc-timeout";
    public const string Encoding = "grpc-encoding";
    public const string AcceptEncoding = "grpc-accept-encoding";
    public const string Identity = "identity";
    public const string Te = "te";
    public const string Trailers = "trailers";
    public const string UserAgent = "user-agent";

    /// <summary>"application/grpc", alone or followed by a suffix ("+proto") or parameters.</summary>
    public static bool IsGrpcContentType(string? contentType)
        => contentType is not null
            && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
            && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is '+' or ';');

    /// <summary>Headers of the protocol itself, which are not metadata of the application.</summary>
    public static bool IsProtocolHeader(string name)
        => name.StartsWith(':')
            || Is(name, Status) || Is(name, Message) || Is(name, Timeout) || Is(name, Encoding) || Is(name, AcceptEncoding)
            || Is(name, Te) || Is(name, "content-type") || Is(name, "content-length") || Is(name, "host") || Is(name, "trailer");

    private static bool Is(string name, string expected) => string.Equals(name, expected, StringComparison.OrdinalIgnoreCase);
}
