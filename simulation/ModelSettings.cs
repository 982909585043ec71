// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Netlink;

namespace VpcCni.Simulation;

/// <summary>
/// Kernel parameters of the model's node, by their path below /proc/sys/net, as far as the daemon reads or writes them. Writing
/// ip_forward, or forwarding of all links, sets that of every link, as devinet.c and addrconf.c do.
/// </summary>
internal sealed class ModelSettings(ModelKernel kernel)
{
    private const string Forwarding = "forwarding";
    private const string ReversePathFilter = "rp_filter";
    private const string All = "all";

    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal)
    {
        ["ip_forward"] = "1",
        ["conf/all/forwarding"] = "1",
        ["conf/all/rp_filter"] = "0",
    };

    public string? Read(string path) => _values.GetValueOrDefault(path);

    /// <summary>False when there is no such parameter.</summary>
    public bool Write(string path, string value)
    {
        if (!_values.ContainsKey(path))
            return false;
        _values[path] = value;
        if (path is "ip_forward" or "conf/all/forwarding")
        {
            foreach (var name in _values.Keys.Where(name => name.EndsWith(Forwarding, StringComparison.Ordinal)).ToArray())
                _values[name] = value;
            _values["ip_forward"] = value;
            kernel.Report(RouteMonitorGroups.Ipv4Configuration, new RouteNotification.ConfigurationChanged(LinkConfiguration.All));
        }
        else if (kernel.FindLink(path.Split('/')[1]) is { } link)
        {
            kernel.Report(RouteMonitorGroups.Ipv4Configuration, new RouteNotification.ConfigurationChanged(link.Index));
        }

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
        _values[Path(link.Name, Forwarding)] = _values[Path(All, Forwarding)];
        _values[Path(link.Name, ReversePathFilter)] = "1";
    }

    internal void RemoveLink(LinkInfo link)
    {
        _values.Remove(Path(link.Name, Forwarding));
        _values.Remove(Path(link.Name, ReversePathFilter));
    }

    private LinkConfiguration Configuration(int index, string name) =>
        new(index, _values[Path(name, Forwarding)] == "1", int.Parse(_values[Path(name, ReversePathFilter)], CultureInfo.InvariantCulture));

    private static string Path(string link, string name) => $"conf/{link}/{name}";
}
