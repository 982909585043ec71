// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Wire;

/// <summary>A message is malformed or unexpected: a length exceeds the buffer, or a value has the wrong size.</summary>
internal sealed class MalformedMessageException(string message) : IOException(message);
