// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using static VpcCni.Simulation.Tests.Checker.ReferenceNumbers;

namespace VpcCni.Simulation.Tests.PlantedBugs;

/// <summary>Bugs of the host network's reconciler, planted in its kernel: it asks for something else, or sees something else.</summary>
internal static class HostBugs
{
    private const int LastInterfaceTable = 20;

    /// <summary>Removes rules by priority alone: the first one is removed, whoever's it is.</summary>
    internal sealed class UnselectiveKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        protected override IEnumerable<HostChange> Changed(HostChange change) =>
            change is HostChange.RemoveRule(var rule)
                ? [new HostChange.RemoveRule(rule with { Source = null, Destination = null, Table = 0 }).Tolerating(Errno.ENOENT)]
                : [change];
    }

    internal sealed class WrongTableKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        protected override IEnumerable<HostChange> Changed(HostChange change) =>
            change is HostChange.AddRule({ Priority: FromPod } rule)
                ? [new HostChange.AddRule(rule with { Table = rule.Table + 1 }).Tolerating(Errno.EEXIST)]
                : [change];
    }

    internal sealed class NoDefaultRouteKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        protected override IEnumerable<HostChange> Changed(HostChange change) =>
            change is HostChange.ReplaceRoute({ Destination: null }) ? [] : [change];
    }

    internal sealed class NoRemovalKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        protected override IEnumerable<HostChange> Changed(HostChange change) => change is HostChange.RemoveRule ? [] : [change];
    }

    /// <summary>Does not see the routes to gateways.</summary>
    internal sealed class HiddenRouteKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        public override IReadOnlyList<RouteInfo> Routes(AddressFamily family, int table) =>
            table is >= FirstInterfaceTable and <= LastInterfaceTable
                ? [.. base.Routes(family, table).Where(route => route.Destination is null)]
                : base.Routes(family, table);
    }

    internal sealed class NoIpv6DefaultRouteKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        protected override IEnumerable<HostChange> Changed(HostChange change) =>
            change is HostChange.ReplaceRoute({ Destination: null, Family: IpFamily.V6 }) ? [] : [change];
    }

    internal sealed class NoIpv6RulesKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        protected override IEnumerable<HostChange> Changed(HostChange change) =>
            change is HostChange.AddRule({ Family: IpFamily.V6, Priority: ToPod or FromPod }) ? [] : [change];
    }

    /// <summary>Forwards IPv6 without accepting router advertisements any more.</summary>
    internal sealed class NoAdvertisementsKernel(IHostKernel inner) : DelegatingKernel(inner)
    {
        public override bool Write(string name, string value) =>
            name.EndsWith("/accept_ra", StringComparison.Ordinal) || base.Write(name, value);
    }

    /// <summary>Removes the route of a pod before it makes it.</summary>
    /// <param name="inner">The kernel.</param>
    /// <param name="family">The family of the routes.</param>
    internal sealed class HastyKernel(IHostKernel inner, AddressFamily family = IpFamily.V4) : DelegatingKernel(inner)
    {
        protected override IEnumerable<HostChange> Changed(HostChange change)
        {
            if (change is HostChange.AddRule({ Destination: { } pod } rule) && rule.Family == family)
            {
                foreach (var route in Inner.Routes(family, RouteTable.Main).Where(route => route.Destination == pod))
                    yield return new HostChange.RemoveRoute(route).Tolerating(Errno.ESRCH);
            }

            yield return change;
        }
    }
}
