// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace Grpc.Core.Internal;

/// <summary>
/// Metadata as header values: text as it is, bytes as base64 (sent without padding, accepted with and without; several may share one header line, separated by
/// commas). Source: grpc/doc/PROTOCOL-HTTP2.md, "Custom-Metadata".
/// </summary>
internal static class MetadataWire
{
    private static readonly SearchValues<char> Printable = SearchValues.Create(string.Concat(Enumerable.Range(0x20, 0x7E - 0x20 + 1).Select(code => (char)code)));

    /// <summary>Throws <see cref="RpcException"/> INTERNAL for text that HTTP cannot carry.</summary>
    public static string Encode(Metadata.Entry entry)
    {
        if (entry.IsBinary) return Convert.ToBase64String(entry.RawBytes).TrimEnd('=');
        if (entry.Value.AsSpan().ContainsAnyExcept(Printable))
            throw new RpcException(new Status(StatusCode.Internal, $"The metadata entry '{entry.Key}' has a character outside printable ASCII; send it as bytes under a name that ends in '-bin'."));
        return entry.Value;
    }

    /// <summary>Adds what one header line carries. Throws <see cref="RpcException"/> INTERNAL if it is not base64 under a "-bin" name.</summary>
    public static void Decode(Metadata metadata, string name, string? value)
    {
        value ??= "";
        if (!name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
        {
            metadata.Add(name, value);
            return;
        }

        foreach (var range in value.AsSpan().Split(','))
        {
            metadata.Add(name, FromBase64(name, value.AsSpan()[range].Trim()));
        }
    }

    private static byte[] FromBase64(string name, ReadOnlySpan<char> encoded)
    {
        var bare = encoded.TrimEnd('=');
        var padded = string.Concat(bare, "==".AsSpan(0, (4 - (bare.Length % 4)) % 4 % 3));
        var bytes = new byte[padded.Length / 4 * 3];
        if (bare.Length % 4 != 1 && Convert.TryFromBase64String(padded, bytes, out var written)) return bytes[..written];
        throw new RpcException(new Status(StatusCode.Internal, $"The metadata entry '{name}' is not base64."));
    }
}
