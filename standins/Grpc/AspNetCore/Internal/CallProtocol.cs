// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Grpc.Core;
using Grpc.Core.Internal;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>What the protocol asks of HTTP around a call. Source: grpc/doc/PROTOCOL-HTTP2.md.</summary>
internal static class CallProtocol
{
    /// <summary>Answers requests that are not gRPC at all. True if it did.</summary>
    public static bool Refuse(HttpContext context)
    {
        var request = context.Request;
        if (!HttpProtocol.IsHttp2(request.Protocol) && !HttpProtocol.IsHttp3(request.Protocol))
            return Answer(context.Response, StatusCodes.Status426UpgradeRequired, $"Request protocol '{request.Protocol}' is not supported; gRPC needs HTTP/2.");
        if (!HttpMethods.IsPost(request.Method))
        {
            context.Response.Headers.Allow = HttpMethods.Post;
            return Answer(context.Response, StatusCodes.Status405MethodNotAllowed, $"{request.Method} is not supported; gRPC calls are POST requests.");
        }

        if (!WireNames.IsGrpcContentType(request.ContentType))
            return Answer(context.Response, StatusCodes.Status415UnsupportedMediaType, $"Content-Type '{request.ContentType}' is not supported; expected {WireNames.ContentType}.");
        return false;
    }

    public static void StartResponse(HttpResponse response)
    {
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = WireNames.ContentType;
    }

    /// <summary>
    /// Status and trailers, into the trailing headers if a message went out before, else into the headers (a trailers-only response). Trailers that HTTP cannot carry turn
    /// the status into INTERNAL: the client must not take a call for whole that lost half of what it was told.
    /// </summary>
    public static void WriteStatus(HttpResponse response, Status status, Metadata trailers)
    {
        var fields = new List<(string Name, string Value)>(trailers.Count);
        try
        {
            AddEntries(fields, trailers);
        }
        catch (RpcException error)
        {
            fields.Clear();
            status = error.Status;
        }

        var destination = response.HasStarted
            ? response.HttpContext.Features.Get<IHttpResponseTrailersFeature>()?.Trailers ?? throw new InvalidOperationException("The server cannot send trailers, so no gRPC status.")
            : response.Headers;
        AppendAll(destination, fields);
        destination[WireNames.Status] = ((int)status.StatusCode).ToString(CultureInfo.InvariantCulture);
        if (!string.IsNullOrEmpty(status.Detail)) destination[WireNames.Message] = PercentEncoding.Encode(status.Detail);
    }

    public static void WriteHeaders(HttpResponse response, Metadata headers)
    {
        var fields = new List<(string Name, string Value)>(headers.Count);
        AddEntries(fields, headers);
        AppendAll(response.Headers, fields);
    }

    public static Metadata ReadMetadata(IHeaderDictionary headers)
    {
        var metadata = new Metadata();
        foreach (var (name, values) in headers)
        {
            if (WireNames.IsProtocolHeader(name)) continue;
            foreach (var value in values) MetadataWire.Decode(metadata, name, value);
        }

        return metadata;
    }

    /// <summary>Not with IHeaderDictionary.Append, which drops empty values.</summary>
    private static void AppendAll(IHeaderDictionary destination, List<(string Name, string Value)> fields)
    {
        foreach (var (name, value) in fields) destination[name] = StringValues.Concat(destination[name], value);
    }

    private static void AddEntries(List<(string Name, string Value)> fields, Metadata entries)
    {
        foreach (var entry in entries)
        {
            if (WireNames.IsProtocolHeader(entry.Key))
                throw new RpcException(new Status(StatusCode.Internal, $"'{entry.Key}' is a header of the protocol and cannot be sent as metadata."));
            fields.Add((entry.Key, MetadataWire.Encode(entry)));
        }
    }

    private static bool Answer(HttpResponse response, int httpStatus, string why)
    {
        response.StatusCode = httpStatus;
        response.Headers[WireNames.Status] = ((int)StatusCode.Internal).ToString(CultureInfo.InvariantCulture);
        response.Headers[WireNames.Message] = PercentEncoding.Encode(why);
        return true;
    }
}
