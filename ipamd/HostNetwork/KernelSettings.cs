// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Kernel parameters under net.ipv4 of one network namespace: /proc/sys/net shows the namespace of the thread that looks, wherever it is
/// mounted.
/// </summary>
/// <param name="ns">Null: the process's own.</param>
/// <param name="folder">VPCCNI_PROC_SYS_NET: where they are and may be written.</param>
internal sealed class KernelSettings(NetworkNamespace? ns, string folder = KernelSettings.Folder) : IKernelSettings
{
    public const string ReversePathFilter = "rp_filter";

    /// <summary>Of a link: what arrives by it is forwarded.</summary>
    public const string Forwarding = "forwarding";

    /// <summary>Of the whole namespace; the same as that of conf/all, and writing it sets that of every link.</summary>
    public const string IpForward = "ip_forward";

    /// <summary>Of every process; read-only in a container that is not privileged.</summary>
    public const string Folder = "/proc/sys/net";

    /// <summary>The path of a link's parameter.</summary>
    public static string OfLink(string link, string name) => $"conf/{link}/{name}";

    public string? Read(string name) => Run(() => ReadFile(name));

    public bool Write(string name, string value) =>
        Run(() =>
        {
            try
            {
                using var file = new FileStream(PathOf(name), FileMode.Open, FileAccess.Write);
                file.Write(System.Text.Encoding.ASCII.GetBytes(value));
                return true;
            }
            catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
            {
                return false;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new HostNetworkException(
                    $"cannot set {PathOf(name)} to {value} (where /proc/sys is read-only, as in containers, mount the node's "
                        + $"elsewhere and set VPCCNI_PROC_SYS_NET): {exception.Message}",
                    exception
                );
            }
        });

    private string PathOf(string name) => $"{folder}/ipv4/{name}";

    private string? ReadFile(string name)
    {
        try
        {
            return File.ReadAllText(PathOf(name)).Trim();
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new HostNetworkException($"cannot read {PathOf(name)}: {exception.Message}", exception);
        }
    }

    private T Run<T>(Func<T> body) => ns is null ? body() : ns.Run(body);
}
