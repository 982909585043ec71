// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>Kernel parameters under net.ipv4 of one network namespace: /proc/sys/net shows the namespace of the thread that looks.</summary>
/// <param name="ns">Null: the process's own.</param>
internal sealed class KernelSettings(NetworkNamespace? ns)
{
    public const string ReversePathFilter = "rp_filter";

    private const string Root = "/proc/sys/net/ipv4";

    /// <summary>Null: there is no such link or setting.</summary>
    public string? ReadOfLink(string link, string name) => Read($"conf/{link}/{name}");

    /// <summary>Values of one setting for several links; those without it are missing.</summary>
    public IReadOnlyDictionary<int, string> ReadOfLinks(IEnumerable<LinkInfo> links, string name) => Run(() =>
    {
        Dictionary<int, string> values = [];
        foreach (var link in links)
        {
            if (ReadFile($"conf/{link.Name}/{name}") is { } value) values[link.Index] = value;
        }

        return values;
    });

    /// <returns>False: it is there no more.</returns>
    /// <exception cref="HostNetworkException">The kernel refuses.</exception>
    public bool WriteOfLink(string link, string name, string value) => Write($"conf/{link}/{name}", value);

    /// <param name="name">A setting of the whole namespace, such as <c>tcp_early_demux</c>.</param>
    public string? Read(string name) => Run(() => ReadFile(name));

    /// <inheritdoc cref="WriteOfLink"/>
    public bool Write(string name, string value) => Run(() =>
    {
        try
        {
            using var file = new FileStream($"{Root}/{name}", FileMode.Open, FileAccess.Write);
            file.Write(System.Text.Encoding.ASCII.GetBytes(value));
            return true;
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new HostNetworkException($"cannot set {Root}/{name} to {value} (is /proc/sys mounted read-only?): {exception.Message}", exception);
        }
    });

    private static string? ReadFile(string name)
    {
        try
        {
            return File.ReadAllText($"{Root}/{name}").Trim();
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new HostNetworkException($"cannot read {Root}/{name}: {exception.Message}", exception);
        }
    }

    private T Run<T>(Func<T> body) => ns is null ? body() : ns.Run(body);
}
