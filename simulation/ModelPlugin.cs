// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;

namespace VpcCni.Simulation;

/// <summary>
/// What the CNI plugin does on the host for a pod, on the model's kernel: the requests of <see cref="PodPathRequests"/> and of the
/// plugin's teardown, in their order.
/// </summary>
internal sealed class ModelPlugin(ModelKernel kernel)
{
    /// <summary>Attempts to remove a from-pod rule, as <see cref="PodPathRequests.RemoveRules"/> makes.</summary>
    private const int FromPodRules = 2;

    private ulong _links;

    /// <summary>Name of the host end of a pod's link.</summary>
    public static string LinkOf(string podNamespace, string podName) =>
        PodLinkNames.Host(ModelHost.VethPrefix, new PodLinkKey(podNamespace, podName, "", ""), index: 0);

    /// <summary>Creates the pod's link, down. A link of the same name is that of an earlier sandbox, and is deleted.</summary>
    public int CreateLink(string name, string netns)
    {
        if (kernel.FindLink(name) is { } stale)
            kernel.RemoveLink(KernelActor.Plugin, stale.Index);
        var number = ++_links;
        var mac = new MacAddress([0x0a, 0xfe, 0, (byte)(number >> 16), (byte)(number >> 8), (byte)number]);
        if (netns.Length > 0)
            kernel.Namespaces[netns] = mac;
        return kernel.AddVeth(name, mac).Index;
    }

    /// <summary>Brings the link up and makes routes, rules and neighbour entries of a pod's addresses, in one batch.</summary>
    public void Wire(int link, IReadOnlyList<IPAddress> addresses, Egress egress)
    {
        Apply(new HostChange.SetUp(link));
        var podMac = new MacAddress([0x0a, 0xff, 0, (byte)(link >> 16), (byte)(link >> 8), (byte)link]);
        foreach (var address in addresses)
        {
            RemoveFromPodRules(address);
            Apply(new HostChange.ReplaceRoute(PodPath.HostRoute(address, link)));
            if (PodPath.PodNeighbour(address, link, podMac) is { } neighbour)
                kernel.SetNeighbour(neighbour);
            foreach (var rule in PodPath.Rules(address, egress))
                Apply(new HostChange.AddRule(rule));
        }
    }

    /// <summary>
    /// Removes routes and rules of a pod's addresses, unless they are routed to the link of another pod, and marks the link for deletion.
    /// </summary>
    /// <param name="link">Index of the pod's link.</param>
    /// <param name="addresses">Those that the plugin knows, besides all that are routed to the link.</param>
    public void Unwire(int link, IReadOnlyList<IPAddress> addresses)
    {
        if (kernel.Links.TryGetValue(link, out var own))
            kernel.SetLink(KernelActor.Plugin, own with { Group = LinkGroups.Released });
        foreach (var released in RoutedTo(link).Concat(addresses).Distinct().ToArray())
        {
            var main = kernel.Routes(released.AddressFamily, RouteTables.Main);
            var holder = main.FirstOrDefault(route => route.Destination == IpRanges.Single(released))?.LinkIndex;
            if (holder is { } other && other != link)
                continue;
            Apply(new HostChange.RemoveRule(PodPath.ToPod(released)));
            RemoveFromPodRules(released);
            Apply(new HostChange.RemoveRoute(PodPath.HostRoute(released, link)));
        }
    }

    /// <summary>Deletes links that <see cref="Unwire"/> marked, as the daemon does for the plugin.</summary>
    public void DeleteReleased()
    {
        foreach (var link in kernel.Links.Values.Where(link => link.Group == LinkGroups.Released).ToArray())
            kernel.RemoveLink(KernelActor.Plugin, link.Index);
    }

    /// <summary>Wires a pod at once.</summary>
    public void Add(string podNamespace, string podName, IReadOnlyList<IPAddress> addresses, Egress egress) =>
        Wire(CreateLink(LinkOf(podNamespace, podName), netns: ""), addresses, egress);

    /// <summary>Removes a pod's wiring at once.</summary>
    public void Remove(string podNamespace, string podName)
    {
        if (kernel.FindLink(LinkOf(podNamespace, podName)) is not { } link)
            return;
        Unwire(link.Index, addresses: []);
        DeleteReleased();
    }

    private IPAddress[] RoutedTo(int link) =>
        [
            .. IpFamily
                .All.SelectMany(family => kernel.Routes(family, RouteTables.Main))
                .Where(route => route.LinkIndex == link && route.Destination is { } destination && IpRanges.IsSingle(destination))
                .Select(route => route.Destination!.Value.BaseAddress),
        ];

    private void RemoveFromPodRules(IPAddress address)
    {
        for (var count = 0; count < FromPodRules; count++)
            Apply(new HostChange.RemoveRule(PodPath.FromPod(address, RouteTable.Unspecified)));
    }

    /// <summary>Errors are those that the plugin's requests tolerate, or concern a link that went away meanwhile.</summary>
    private void Apply(HostChange change) => kernel.Apply(KernelActor.Plugin, change);
}
