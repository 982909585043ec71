// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Shim.Wiring;

/// <summary>
/// Lists the network namespaces in use, by the host's numbers: those that are mounted, as container runtimes do for each sandbox, and those
/// of processes. Takes milliseconds, so only a DEL without other evidence calls it.
/// </summary>
internal static class LiveNamespaces
{
    /// <summary>Maximum number of namespaces, more than any node has pods; beyond it the answer is "not known".</summary>
    private const int Most = 4096;

    /// <summary>Returns numbers as in <see cref="LinkInfo.PeerNamespaceId"/>; null and the reason if they cannot be read.</summary>
    public static HashSet<int>? Find(RouteNetlink host, out string? problem)
    {
        try
        {
            var numbers = new HashSet<int>();
            var seen = new HashSet<NamespaceIdentity>();
            foreach (var path in Mounted().Concat(OfProcesses()))
            {
                Read(host, path, seen, numbers);
                if (seen.Count <= Most)
                    continue;
                problem = $"there are more than {Most} network namespaces";
                return null;
            }
            problem = null;
            return numbers;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problem = exception.Message;
            return null;
        }
    }

    private static void Read(RouteNetlink host, string path, HashSet<NamespaceIdentity> seen, HashSet<int> numbers)
    {
        try
        {
            using var sandbox = NetworkNamespace.Open(path);
            if (seen.Add(sandbox.Identity) && host.FindNamespaceId(sandbox) is { } number)
                numbers.Add(number);
        }
        catch (NetworkNamespaceException exception) when (exception.Errno is Errno.ENOENT or Errno.ESRCH or Errno.ENOTDIR or Errno.EINVAL)
        {
            // The process or the mount was removed meanwhile.
        }
    }

    /// <summary>
    /// proc(5), mountinfo: the file system type follows a field that is a lone hyphen, the mount point is the fifth field, with spaces as
    /// \040.
    /// </summary>
    private static IEnumerable<string> Mounted()
    {
        foreach (var line in File.ReadLines("/proc/self/mountinfo"))
        {
            if (!line.Contains(" - nsfs ", StringComparison.Ordinal))
                continue;
            var fields = line.Split(' ', 6);
            if (fields.Length == 6 && fields[3].StartsWith("net:", StringComparison.Ordinal))
                yield return fields[4].Replace("\\040", " ", StringComparison.Ordinal);
        }
    }

    /// <summary>Without process 1, which is in no pod, and whose namespace a runtime in a container may not open.</summary>
    private static IEnumerable<string> OfProcesses()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
            if (Path.GetFileName(folder) is var name && char.IsAsciiDigit(name[0]) && name != "1")
                yield return $"{folder}/ns/net";
    }
}
