// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Finds and removes a lab's namespaces by the prefix of their names, which also works after the lab has crashed.
/// </summary>
internal static class FabricNamespaces
{
    /// <summary>Folder in which iproute2 keeps named namespaces.</summary>
    public const string Folder = "/run/netns";

    public static IReadOnlyList<string> Find(FabricNames names) =>
        Directory.Exists(Folder)
            ? [.. Directory.EnumerateFiles(Folder, names.Prefix + "*").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)]
            : [];

    /// <summary>
    /// Removes all namespaces of a lab and returns their names. The kernel removes their links, routes and nftables tables once no process
    /// is left in them.
    /// </summary>
    public static IReadOnlyList<string> RemoveAll(FabricNames names)
    {
        var found = Find(names);
        foreach (var name in found)
            NetworkNamespace.DeleteNamed(name);
        return found;
    }
}
