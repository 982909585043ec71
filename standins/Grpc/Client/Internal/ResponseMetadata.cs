// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net.Http.Headers;
using Grpc.Core;
using Grpc.Core.Internal;

namespace Grpc.Net.Client.Internal;

/// <summary>Response headers and trailers as metadata and status.</summary>
internal static class ResponseMetadata
{
    public static Metadata Read(HttpHeadersNonValidated headers)
    {
        var metadata = new Metadata();
        foreach (var (name, values) in headers)
        {
            if (WireNames.IsProtocolHeader(name)) continue;
            foreach (var value in values) MetadataWire.Decode(metadata, name, value);
        }

        return metadata;
    }

    /// <summary>Null if there is no grpc-status. One that is not a number is UNKNOWN (statuscodes.md: error parsing returned status), and so is a number without a name.</summary>
    public static Status? ReadStatus(HttpHeadersNonValidated headers)
    {
        if (!headers.TryGetValues(WireNames.Status, out var codes)) return null;
        var detail = headers.TryGetValues(WireNames.Message, out var messages) ? PercentEncoding.Decode(messages.ToString()) : "";
        var text = codes.ToString();
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return new Status(StatusCode.Unknown, $"The server's grpc-status is '{text}', not a number. {detail}".TrimEnd());
        return number <= (int)StatusCode.Unauthenticated ? new Status((StatusCode)number, detail) : new Status(StatusCode.Unknown, $"The server's grpc-status is {number}, which has no name. {detail}".TrimEnd());
    }
}
