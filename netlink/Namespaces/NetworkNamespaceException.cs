// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// A network namespace could not be opened, entered, made or removed. Its path is in the message and in <see cref="Path"/>.
/// </summary>
public sealed class NetworkNamespaceException(string? path, Errno errno, string message) : IOException(message)
{
    /// <summary>Null for a namespace without a name.</summary>
    public string? Path { get; } = path;

    /// <summary>
    /// ENOENT: there is no such file. EINVAL: there is, but it is no network namespace. EEXIST: the name is taken. EPERM: not privileged.
    /// </summary>
    public Errno Errno { get; } = errno;
}
