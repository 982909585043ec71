// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>What was removed.</summary>
internal sealed record RemovedRemains(int Processes, IReadOnlyList<string> Namespaces, bool Folder);

/// <summary>
/// Removes everything that a lab has on the machine, with or without the lab's help: processes in its namespaces, the namespaces, its
/// folder.
/// </summary>
internal static class LabCleanup
{
    /// <summary>
    /// Kills every process in the lab's namespaces and returns their number. Must run while the namespaces still have their names: without
    /// a name a namespace lives on with its processes, and nothing finds it.
    /// </summary>
    public static int KillProcesses(FabricNames names) =>
        NamespaceProcesses.KillAll([.. FabricNamespaces.Find(names).Select(Identify).OfType<NamespaceIdentity>()]);

    public static RemovedRemains Remove(LabPaths paths, FabricNames names)
    {
        var processes = KillProcesses(names);
        var namespaces = FabricNamespaces.RemoveAll(names);
        var folder = Directory.Exists(paths.Folder);
        if (folder)
            Directory.Delete(paths.Folder, recursive: true);
        if (!Directory.Exists(paths.RunFolder))
            return new RemovedRemains(processes, namespaces, folder);
        File.Delete(paths.BackgroundLog);
        File.Delete(paths.Lock);
        if (!Directory.EnumerateFileSystemEntries(paths.RunFolder).Any())
            Directory.Delete(paths.RunFolder);
        return new RemovedRemains(processes, namespaces, folder);
    }

    private static NamespaceIdentity? Identify(string name)
    {
        var path = $"{FabricNamespaces.Folder}/{name}";
        if (!NetworkNamespace.IsNamespacePath(path))
            return null; // a name whose mount is gone holds no process
        using var network = NetworkNamespace.Open(path);
        return network.Identity;
    }
}
