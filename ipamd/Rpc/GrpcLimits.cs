// SPDX-License-Identifier: Apache-2.0
using System.IO.Compression;
using Grpc.AspNetCore.Server;
using Grpc.Net.Compression;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Where the server on the socket is stricter than its package. By default that takes messages of 4 MiB and unpacks gzip and deflate to any
/// size; callers here send some hundred bytes, uncompressed.
/// </summary>
internal static class GrpcLimits
{
    /// <summary>An ADD or DEL is some hundred bytes; the largest request is a garbage collection with every attachment of a node.</summary>
    public const int MaxRequestBytes = 1024 * 1024;

    public static void Apply(GrpcServiceOptions options)
    {
        options.MaxReceiveMessageSize = MaxRequestBytes;
        options.EnableDetailedErrors = false;
        // An empty list is replaced by the defaults.
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
