// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Kernel parameters of one network namespace: /proc/sys/net shows that of the reading thread, wherever it is mounted.
/// </summary>
/// <param name="ns">Null: the process's own.</param>
/// <param name="folder">VPCCNI_PROC_SYS_NET: where they are and may be written.</param>
internal sealed class KernelSettings(NetworkNamespace? ns, string folder = KernelSettings.Folder) : IKernelSettings
{
    public const string ReversePathFilter = "rp_filter";

    /// <summary>
    /// Of a link: IPv4 packets that arrive by it are forwarded. Of all links: the namespace forwards; writing it sets that of every link.
    /// IPv6 has only the latter's effect, and a link that is a router's ignores router advertisements (ip-sysctl.rst).
    /// </summary>
    public const string Forwarding = "forwarding";

    /// <summary>Of a link, IPv6: whether router advertisements configure it; 2: although the node forwards.</summary>
    public const string AcceptAdvertisements = "accept_ra";

    /// <summary>Name of the settings of all links.</summary>
    public const string AllLinks = "all";

    /// <summary>Of every process; read-only in a container that is not privileged.</summary>
    public const string Folder = "/proc/sys/net";

    /// <summary>The path of a link's parameter.</summary>
    public static string OfLink(AddressFamily family, string link, string name) => $"{IpFamily.SettingsFolder(family)}/conf/{link}/{name}";

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

    private string PathOf(string name) => $"{folder}/{name}";

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
