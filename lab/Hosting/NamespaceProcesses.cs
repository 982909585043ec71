// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Finds processes by their network namespace, as <c>ip netns pids</c> does. Every process in a lab's namespace was started for the lab.
/// </summary>
internal static class NamespaceProcesses
{
    public static IReadOnlyList<int> Find(IReadOnlyCollection<NamespaceIdentity> namespaces)
    {
        var inodes = namespaces.Select(identity => $"net:[{identity.Inode}]").ToHashSet();
        var found = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var processId) || processId == Environment.ProcessId)
                continue;
            if (NamespaceOf(folder) is { } link && inodes.Contains(link))
                found.Add(processId);
        }

        return found;
    }

    /// <summary>Kills all processes in the namespaces and returns their number.</summary>
    public static int KillAll(IReadOnlyCollection<NamespaceIdentity> namespaces) =>
        namespaces.Count == 0 ? 0 : Find(namespaces).Count(processId => Posix.Kill(processId, Posix.SigKill));

    private static string? NamespaceOf(string folder)
    {
        try
        {
            return new FileInfo(Path.Combine(folder, "ns", "net")).LinkTarget;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null; // the process has ended, or is not accessible
        }
    }
}
