// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// What makes a namespace the same namespace whatever path leads to it: st_dev and st_ino of its nsfs file (see namespaces(7)).
/// </summary>
public readonly record struct NamespaceIdentity(ulong Device, ulong Inode);
