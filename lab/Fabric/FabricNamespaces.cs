// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// The named namespaces of one lab, found by prefix: what a lab that ended badly has left is found and removed without its help.
/// </summary>
internal static class FabricNamespaces
{
    /// <summary>Where iproute2 keeps named namespaces.</summary>
    public const string Folder = "/run/netns";

    public static IReadOnlyList<string> Find(FabricNames names) =>
        Directory.Exists(Folder)
            ? [.. Directory.EnumerateFiles(Folder, names.Prefix + "*").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)]
            : [];

    /// <summary>Removes all namespaces of a lab; links, routes and nftables tables go with them once no process is left inside.</summary>
    public static IReadOnlyList<string> RemoveAll(FabricNames names)
    {
        var found = Find(names);
        foreach (var name in found)
            NetworkNamespace.DeleteNamed(name);
        return found;
    }
}
