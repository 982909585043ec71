// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>A network namespace could not be opened, entered, created or removed. The message includes the path.</summary>
public sealed class NetworkNamespaceException(string? path, Errno errno, string message) : IOException(message)
{
    /// <summary>Path of the namespace; null for an anonymous one.</summary>
    public string? Path { get; } = path;

    /// <summary>
    /// ENOENT: the file does not exist. EINVAL: the file is not a network namespace. EEXIST: the name exists. EPERM: the caller lacks the
    /// privilege.
    /// </summary>
    public Errno Errno { get; } = errno;
}
