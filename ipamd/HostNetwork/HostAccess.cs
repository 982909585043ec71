// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Reads from the kernel what the reconciler compares, and applies its repairs. The kernel port is the reconciler's own: a dump of a busy
/// node's tables is repeated until nothing changes in between, and no ADD waits for that.
/// </summary>
/// <param name="kernel">Disposed with this.</param>
internal sealed class HostAccess(IHostKernel kernel) : IDisposable
{
    /// <summary>
    /// What concerns these interfaces and the pods. Of other tables nothing (the kernel's local one, with every service address under IPVS;
    /// what routing daemons learn), nor addresses of other links: they are many, and nobody's business here.
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

    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public IReadOnlySet<int> LinkIndexes() => kernel.Links().Select(link => link.Index).ToHashSet();

    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public IReadOnlyList<RouteInfo> MainRoutes(AddressFamily family) => kernel.Routes(family, RouteTables.Main);

    /// <summary>All of them, whatever becomes of the others.</summary>
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
            // The kernel did not answer: what took effect is not known, and not counted.
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

/// <summary>What became of repairs.</summary>
/// <param name="Done">Those that changed something; what somebody else had done meanwhile is not among them.</param>
/// <param name="Failure">What the kernel refused.</param>
internal sealed record AppliedRepairs(IReadOnlyList<Repair> Done, NetlinkException? Failure);
