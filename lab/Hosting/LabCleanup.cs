// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>What <see cref="LabCleanup.Remove"/> removed.</summary>
internal sealed record CleanupResult(int Processes, IReadOnlyList<string> Namespaces, bool Folder);

/// <summary>
/// Removes everything that a lab created on the machine, by name, so that it also works after a crash: the processes in its namespaces, the
/// namespaces and its files.
/// </summary>
internal static class LabCleanup
{
    /// <summary>
    /// Kills every process in the lab's namespaces and returns their number. Must run before the namespaces' names are removed: a namespace
    /// without a name lives on with its processes and cannot be found.
    /// </summary>
    public static int KillProcesses(FabricNames names) =>
        NamespaceProcesses.KillAll([.. FabricNamespaces.Find(names).Select(Identify).OfType<NamespaceIdentity>()]);

    /// <summary>Removes the lab's processes, namespaces and files. Idempotent.</summary>
    public static CleanupResult Remove(LabPaths paths, FabricNames names)
    {
        var processes = KillProcesses(names);
        var namespaces = FabricNamespaces.RemoveAll(names);
        var folder = Directory.Exists(paths.Folder);
        if (folder)
            Directory.Delete(paths.Folder, recursive: true);
        if (!Directory.Exists(paths.RunFolder))
            return new CleanupResult(processes, namespaces, folder);
        File.Delete(paths.BackgroundLog);
        File.Delete(paths.Lock);
        if (!Directory.EnumerateFileSystemEntries(paths.RunFolder).Any())
            Directory.Delete(paths.RunFolder);
        return new CleanupResult(processes, namespaces, folder);
    }

    private static NamespaceIdentity? Identify(string name)
    {
        var path = $"{FabricNamespaces.Folder}/{name}";
        if (!NetworkNamespace.IsNamespacePath(path))
            return null; // a name without a mount refers to no namespace
        using var network = NetworkNamespace.Open(path);
        return network.Identity;
    }
}
