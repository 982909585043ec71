// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim.Ipamd.Http2;

/// <summary>The peer does not keep to HTTP/2 or HPACK: it is no gRPC server, or a broken one.</summary>
internal sealed class Http2Exception(string message) : IOException(message);
