// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim.Ipamd.Http2;

/// <summary>The peer violates HTTP/2 or HPACK: it is not a gRPC server, or it is defective.</summary>
internal sealed class Http2Exception(string message) : IOException(message);
