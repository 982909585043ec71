// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>Identifies a namespace independently of the path: st_dev and st_ino of its nsfs file (namespaces(7)).</summary>
public readonly record struct NamespaceIdentity(ulong Device, ulong Inode);
