// SPDX-License-Identifier: Apache-2.0
using System.IO.Compression;
using Grpc.AspNetCore.Server;
using Grpc.Net.Compression;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Message limits of the server on the socket, stricter than those of Grpc.AspNetCore. Its defaults are messages of up to 4 MiB, and gzip
/// and deflate decompressed to any size; the callers of this socket send a few hundred bytes, uncompressed.
/// </summary>
internal static class GrpcLimits
{
    /// <summary>
    /// 1 MiB. An ADD or DEL has a few hundred bytes; the largest request is a garbage collection that lists every attachment of a node.
    /// </summary>
    public const int MaxRequestBytes = 1024 * 1024;

    public static void Apply(GrpcServiceOptions options)
    {
        options.MaxReceiveMessageSize = MaxRequestBytes;
        options.EnableDetailedErrors = false;
        // The package replaces an empty list by its defaults.
        options.CompressionProviders.Clear();
        options.CompressionProviders.Add(new NoCompression());
    }

    private sealed class NoCompression : ICompressionProvider
    {
        public string EncodingName => "identity";

        public Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel) => stream;

        public Stream CreateDecompressionStream(Stream stream) => stream;
    }
}
