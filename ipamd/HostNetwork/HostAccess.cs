// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Reads what the reconciler compares, and applies its repairs. The reconciler has a kernel port of its own: a dump of a busy node's tables
/// is repeated until nothing changes meanwhile, and no ADD must wait for that.
/// </summary>
/// <param name="kernel">Disposed with this.</param>
internal sealed class HostAccess(IHostKernel kernel) : IDisposable
{
    /// <summary>
    /// Reads what concerns these interfaces and the pods. Reads neither other tables (local has every service address under IPVS; routing
    /// daemons fill their own) nor the addresses of other links.
    /// </summary>
    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public ObservedHost Observe(IReadOnlyList<InterfaceWiring> interfaces, IReadOnlyList<AddressFamily> families)
    {
        List<RuleInfo> rules = [];
        List<RouteInfo> routes = [];
        int[] tables = [.. interfaces.Select(item => item.RouteTable).Append(RouteTables.Main).Distinct()];
        foreach (var family in families)
        {
            rules.AddRange(kernel.Rules(family));
            foreach (var table in tables)
                routes.AddRange(kernel.Routes(family, table));
        }

        var links = kernel.Links();
        var configurations = kernel.Configurations();
        return new ObservedHost
        {
            Families = families,
            Rules = rules,
            Routes = routes,
            Addresses = Addresses(interfaces, links),
            Links = links,
            Settings = configurations,
        };
    }

    private List<AddressInfo> Addresses(IReadOnlyList<InterfaceWiring> interfaces, IReadOnlyList<LinkInfo> links)
    {
        List<AddressInfo> addresses = [];
        foreach (var wiring in interfaces.Where(item => !item.IsPrimary))
        {
            if (LinkLookup.Of(MacAddress.Parse(wiring.Mac), links) is not [var link])
                continue;
            try
            {
                addresses.AddRange(kernel.Addresses(wiring.PrimaryAddress.AddressFamily, link.Index));
            }
            catch (NetlinkException exception) when (exception.Errno == Errno.ENODEV)
            {
                // Detached just now: the next sync finds no link.
            }
        }

        return addresses;
    }

    /// <exception cref="HostNetworkException">They cannot be read.</exception>
    public Ipv6Settings Ipv6Settings(string primaryLink) =>
        new(
            primaryLink,
            kernel.Read(KernelSettings.OfLink(IpFamily.V6, primaryLink, KernelSettings.AcceptAdvertisements)),
            // A kernel without IPv6 has no such parameter, and nothing to repair.
            kernel.Read(KernelSettings.OfLink(IpFamily.V6, KernelSettings.AllLinks, KernelSettings.Forwarding))
                is null
                    or "1"
        );

    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public IReadOnlySet<int> LinkIndexes() => kernel.Links().Select(link => link.Index).ToHashSet();

    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public IReadOnlyList<RouteInfo> MainRoutes(AddressFamily family) => kernel.Routes(family, RouteTables.Main);

    /// <summary>Applies all repairs; a failure of one does not stop the others.</summary>
    public AppliedRepairs Apply(IReadOnlyList<Repair> repairs)
    {
        if (repairs.Count == 0)
            return new AppliedRepairs([], Failure: null);
        List<int> idle = [];
        NetlinkException? failure = null;
        try
        {
            kernel.Apply([.. repairs.Select(repair => repair.Change)], idle);
        }
        catch (NetlinkException exception)
        {
            failure = exception;
            // The kernel did not answer: which repairs took effect is unknown, so none is counted.
            if (exception.Succeeded == 0)
                return new AppliedRepairs([], exception);
            idle.AddRange(exception.Failures.Select(item => item.Index));
        }

        return new AppliedRepairs([.. repairs.Where((_, index) => !idle.Contains(index))], failure);
    }

    /// <exception cref="HostNetworkException">The setting cannot be written.</exception>
    public void Apply(SettingRepair setting) => kernel.Write(setting.Path, setting.Value);

    public void Dispose() => kernel.Dispose();
}

/// <summary>The outcome of repairs.</summary>
/// <param name="Done">Repairs that changed something, without those that another program had made meanwhile.</param>
/// <param name="Failure">What the kernel refused; null for nothing.</param>
internal sealed record AppliedRepairs(IReadOnlyList<Repair> Done, NetlinkException? Failure);
