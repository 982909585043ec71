// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Wire;

/// <summary>
/// Octets that are not a netlink message, or not the one expected: a length that points outside, a value of the wrong size.
/// </summary>
internal sealed class MalformedMessageException(string message) : IOException(message);
