// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Netlink;

namespace VpcCni.Simulation;

/// <summary>
/// Kernel parameters of the model's node, by their path below /proc/sys/net, as far as the daemon reads or writes them. Writing
/// forwarding of all links sets that of every link, as devinet.c and addrconf.c do.
/// </summary>
internal sealed class ModelSettings(ModelKernel kernel)
{
    private const string Forwarding = "forwarding";
    private const string ReversePathFilter = "rp_filter";
    private const string AcceptAdvertisements = "accept_ra";
    private const string All = "all";
    private const string Ipv4 = "ipv4";
    private const string Ipv6 = "ipv6";

    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal)
    {
        ["ipv4/conf/all/forwarding"] = "1",
        ["ipv4/conf/all/rp_filter"] = "0",
        ["ipv6/conf/all/forwarding"] = "0",
    };

    public string? Read(string path) => _values.GetValueOrDefault(path);

    /// <summary>False when there is no such parameter.</summary>
    public bool Write(string path, string value)
    {
        if (!_values.ContainsKey(path))
            return false;
        _values[path] = value;
        if (path.Split('/') is not [var family, _, var name, var setting])
            return true;
        if (name == All && setting == Forwarding)
        {
            foreach (var link in kernel.Links.Values)
                _values[Path(family, link.Name, Forwarding)] = value;
            if (family == Ipv6 && value == "1")
                kernel.PurgeAdvertisedRoutes(link => _values[Path(Ipv6, link.Name, AcceptAdvertisements)] == "2");
        }

        var index = name == All ? LinkConfiguration.All : kernel.FindLink(name)!.Index;
        if (family == Ipv4)
            kernel.Report(RouteMonitorGroups.Ipv4Configuration, new RouteNotification.ConfigurationChanged(index));
        return true;
    }

    public IReadOnlyDictionary<int, LinkConfiguration> Configurations() =>
        kernel
            .Links.Values.Select(link => Configuration(link.Index, link.Name))
            .Append(Configuration(LinkConfiguration.All, All))
            .ToDictionary(item => item.LinkIndex);

    /// <summary>A distribution sets strict reverse path filters (systemd's 50-default.conf).</summary>
    internal void AddLink(LinkInfo link)
    {
        foreach (var family in (string[])[Ipv4, Ipv6])
            _values[Path(family, link.Name, Forwarding)] = _values[Path(family, All, Forwarding)];
        _values[Path(Ipv4, link.Name, ReversePathFilter)] = "1";
        _values[Path(Ipv6, link.Name, AcceptAdvertisements)] = "1";
    }

    internal void RemoveLink(LinkInfo link)
    {
        foreach (var family in (string[])[Ipv4, Ipv6])
            _values.Remove(Path(family, link.Name, Forwarding));
        _values.Remove(Path(Ipv4, link.Name, ReversePathFilter));
        _values.Remove(Path(Ipv6, link.Name, AcceptAdvertisements));
    }

    private LinkConfiguration Configuration(int index, string name) =>
        new(
            index,
            _values[Path(Ipv4, name, Forwarding)] == "1",
            int.Parse(_values[Path(Ipv4, name, ReversePathFilter)], CultureInfo.InvariantCulture)
        );

    private static string Path(string family, string link, string name) => $"{family}/conf/{link}/{name}";
}
