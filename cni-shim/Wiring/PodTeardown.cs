// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using VpcCni.Datapath;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Shim.Wiring;

/// <summary>
/// Removes the wiring of one sandbox, and of no other. A DEL may be late, repeated, of an old sandbox of a pod that runs again with the
/// same host veth name, or after another pod got the address. So nothing is deleted by name alone. A host veth is the sandbox's if its peer
/// is in the sandbox's namespace, if its MAC address is the one that ADD reported, or if the daemon says that the sandbox had an address
/// that was routed to it before the release. While the daemon is down, the pod's name suffices for a link without a live namespace behind
/// it. Rules of an address are removed with its veth, or if no host route leads to the address. An address that is routed to another link
/// is left.
/// </summary>
internal sealed class PodTeardown(RouteNetlink host, Invocation invocation, CniResult? previous, PluginLog log)
{
    private const int HostNameHashes = 1 + Limits.InterfacesPerPod;
    private readonly HashSet<IPAddress> _handled = [];
    private readonly HashSet<int> _released = [];
    private readonly List<string> _removedLinks = [];
    private readonly List<IPAddress> _removedAddresses = [];
    private Dictionary<IPAddress, int> _routedBefore = [];

    /// <summary>
    /// Removes rules and host routes of what the sandbox's namespace (null if it is gone) and prevResult prove, so that no traffic uses the
    /// addresses. The links are left to <see cref="DeleteLinks"/>, or to the daemon, which finds them by their group.
    /// </summary>
    public void RemoveProven(NetworkNamespace? sandbox)
    {
        var own = new Dictionary<int, LinkInfo>();
        if (sandbox is not null)
            FindByNamespace(sandbox, own);
        FindByMac(own);
        var addresses = AddressesOf(previous);
        Remove(own, addresses, trusted: false);
        if (own.Count > 0)
            RemoveBranchInterface(own);
        // No link was found, e.g. because the DEL has other CNI_ARGS than its ADD, from which links are named. The addresses that the
        // daemon is about to release are routed to them now.
        else
            _routedBefore = HostRoutes();
    }

    /// <summary>
    /// Removes links that are named after the pod, if the namespace behind them has neither a name nor a process; a pod that runs again has
    /// both. For a daemon that is down, and if neither namespace nor prevResult proved a link.
    /// </summary>
    public void RemoveAbandoned()
    {
        if (_removedLinks.Count > 0)
            return;
        var named = host.GetLinks().Where(IsNamedAfterPod).ToList();
        if (named.Count == 0)
            return;
        var live = LiveNamespaces.Find(host, out var problem);
        if (live is null)
        {
            log.Warn(
                "links are named after the pod and are left, because it cannot be found out whether a pod is behind them",
                (FieldNames.Link, string.Join(',', named.Select(link => link.Name))),
                (FieldNames.Error, problem)
            );
            return;
        }
        var own = new Dictionary<int, LinkInfo>();
        foreach (var link in named)
        {
            if (link.PeerNamespaceId is { } number && !live.Contains(number))
                own[link.Index] = link;
            else
                log.Info("a link is named after the pod and its namespace is alive: it is left", (FieldNames.Link, link.Name));
        }
        Remove(own, [], trusted: false);
        DeleteLinks();
    }

    /// <summary>Logs what this DEL removed from the host.</summary>
    public void Report(string what)
    {
        if (log.IsEnabled(PluginLogLevel.Info))
            log.Info(
                what,
                ("removed", _removedLinks.Count + _removedAddresses.Count == 0 ? "nothing" : ""),
                (FieldNames.Link, string.Join(',', _removedLinks)),
                (FieldNames.Ip, string.Join(',', _removedAddresses))
            );
    }

    /// <summary>Removes the wiring of addresses that the daemon has just released for this sandbox.</summary>
    public void RemoveReleased(IReadOnlyList<IPAddress> addresses)
    {
        var open = addresses.Where(address => !_handled.Contains(address)).ToList();
        if (open.Count > 0)
            Remove([], open, trusted: true);
    }

    /// <summary>Deletes the links of <see cref="RemoveProven"/>; takes 10 to 20 ms, in which the kernel waits for its readers.</summary>
    public void DeleteLinks()
    {
        if (_released.Count > 0)
            host.Execute([.. _released.Select(static index => LinkRequests.Delete(index).Tolerating(Errno.ENODEV))]);
        _released.Clear();
    }

    private void Remove(Dictionary<int, LinkInfo> own, List<IPAddress> candidates, bool trusted)
    {
        if (own.Count == 0 && candidates.Count == 0)
            return;
        var (holders, routed) = ReadHostRoutes(own, candidates);
        var requests = new List<NetlinkRequest>();
        var links = new Dictionary<int, LinkInfo>(own);
        var parts = new List<(IPAddress Address, int First, int End)>();
        foreach (var address in candidates.Union(routed))
        {
            if (holders.TryGetValue(address, out var holder) && !own.ContainsKey(holder))
            {
                if (
                    !trusted
                    || host.FindLink(holder) is not { Kind: "veth" } link
                    || !(IsNamedAfterPod(link) || _routedBefore.GetValueOrDefault(address) == holder)
                )
                {
                    log.Info(
                        "the address is routed to a link that is not of this sandbox: its rules stay",
                        (FieldNames.Ip, address.ToString()),
                        ("linkIndex", holder)
                    );
                    continue;
                }
                links[holder] = link;
            }
            var first = requests.Count;
            if (!NodeLocalAddresses.Contains(address))
                PodPathRequests.RemoveRules(requests, address);
            if (own.ContainsKey(holder))
                requests.Add(PodPathRequests.RemoveHostRoute(address, holder));
            parts.Add((address, first, requests.Count));
            _handled.Add(address);
        }
        if (trusted)
        {
            // Last: if this fails, the link is the evidence for the repeated DEL.
            requests.AddRange(links.Keys.Select(static index => LinkRequests.Delete(index).Tolerating(Errno.ENODEV)));
        }
        else
        {
            // First: the daemon reads rules before links, and must not restore what is removed here.
            requests.InsertRange(
                0,
                links.Keys.Select(static index => LinkRequests.SetGroup(index, LinkGroups.Released).Tolerating(Errno.ENODEV))
            );
            _released.UnionWith(links.Keys);
        }

        if (requests.Count == 0)
            return;
        var absent = new HashSet<int>();
        host.Execute(requests, absent);
        var shift = trusted ? 0 : links.Count;
        foreach (var (address, first, end) in parts)
            for (var index = first + shift; index < end + shift; index++)
                if (!absent.Contains(index) && !_removedAddresses.Contains(address))
                    _removedAddresses.Add(address);
        _removedLinks.AddRange(links.Values.Select(static link => link.Name));
    }

    /// <summary>Returns the link of each host route.</summary>
    private Dictionary<IPAddress, int> HostRoutes()
    {
        var routes = new Dictionary<IPAddress, int>();
        foreach (var family in IpFamily.All)
        {
            foreach (var route in host.GetRoutes(family, RouteTable.Main))
                if (route.Destination is { } destination && IpRanges.IsSingle(destination) && route.Type == RouteType.Unicast)
                    routes[destination.BaseAddress] = route.LinkIndex;
        }
        return routes;
    }

    /// <summary>Returns the link of each candidate's host route, and the addresses that are routed to the own links.</summary>
    private (Dictionary<IPAddress, int> Holders, List<IPAddress> Routed) ReadHostRoutes(
        Dictionary<int, LinkInfo> own,
        List<IPAddress> candidates
    )
    {
        var holders = new Dictionary<IPAddress, int>();
        var routed = new List<IPAddress>();
        foreach (var family in IpFamily.All)
        {
            // An own link can have addresses of both families.
            if (own.Count == 0 && !candidates.Any(address => address.AddressFamily == family))
                continue;
            foreach (var route in host.GetRoutes(family, RouteTable.Main))
            {
                if (route.Destination is not { } destination || !IpRanges.IsSingle(destination) || route.Type != RouteType.Unicast)
                    continue;
                if (own.ContainsKey(route.LinkIndex))
                    routed.Add(destination.BaseAddress);
                else if (!candidates.Contains(destination.BaseAddress))
                    continue;
                holders[destination.BaseAddress] = route.LinkIndex;
            }
        }
        return (holders, routed);
    }

    /// <summary>
    /// The veths between the sandbox's namespace and the host that carry a name of this pod, and those that egress-cni made before the node
    /// was switched over, whose names on the host are random.
    /// </summary>
    private void FindByNamespace(NetworkNamespace sandbox, Dictionary<int, LinkInfo> own)
    {
        using var pod = sandbox.OpenRouteNetlink();
        foreach (var inside in pod.GetLinks())
        {
            var isEgressCni = PodLinkNames.EgressCni.Contains(inside.Name);
            if (inside.Kind != "veth" || inside.PeerIndex is not { } hostIndex || !(isEgressCni || IsNamedInPod(inside.Name)))
                continue;
            // Both ends must point at each other: the index of a peer in a third namespace may be that of any link here.
            if (host.FindLink(hostIndex) is not { Kind: "veth" } outside || outside.PeerIndex != inside.Index)
                continue;
            if (isEgressCni ? outside.PeerNamespaceId == host.FindNamespaceId(sandbox) : IsNamedAfterPod(outside))
                own[hostIndex] = outside;
        }
    }

    /// <summary>
    /// Finds host veths by the MAC address in the result, which is random for each veth and so distinguishes it from a later one of the
    /// same name. Results of aws-node have none.
    /// </summary>
    private void FindByMac(Dictionary<int, LinkInfo> own)
    {
        foreach (var link in previous?.Interfaces ?? [])
        {
            // A damaged cache may name anything.
            if (
                link.Sandbox.Length > 0
                || link.Name.Length == 0
                || Invocation.InterfaceNameProblem(link.Name) is not null
                || !MacAddress.TryParse(link.Mac, out var mac)
            )
                continue;
            if (host.FindLink(link.Name) is { Kind: "veth" } outside && outside.Mac == mac && IsNamedAfterPod(outside))
                own[outside.Index] = outside;
        }
    }

    /// <summary>
    /// Removes the branch interface and the rules (priority 10) of a pod that aws-node wired to one: prevResult has its VLAN as the
    /// marker's MAC address. The routes in table VLAN + 100 are removed with the links.
    /// </summary>
    private void RemoveBranchInterface(Dictionary<int, LinkInfo> own)
    {
        var marker = PodLinkNames.Marker(invocation.LinkKey);
        var vlan = previous?.Interfaces.FirstOrDefault(link => link.Name == marker)?.Mac;
        if (vlan is null || !int.TryParse(vlan, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id is < 1 or > 4094)
            return;

        var branch = $"vlan.eth.{id}";
        var requests = new List<NetlinkRequest> { LinkRequests.Delete(branch).Tolerating(Errno.ENODEV) };
        foreach (var name in own.Values.Select(link => link.Name).Append(branch))
        {
            foreach (var family in IpFamily.All)
            {
                var rule = PodPath.FromBranch(family, name, new Egress.Vlan(id));
                requests.Add(RuleRequests.Remove(rule).Tolerating(Errno.ENOENT));
            }
        }
        host.Execute(requests);
    }

    private bool IsNamedInPod(string name)
    {
        if (name == invocation.InterfaceName)
            return true;
        for (var index = 1; index <= Limits.InterfacesPerPod; index++)
            if (name == PodLinkNames.InPod(invocation.InterfaceName, index))
                return true;
        return false;
    }

    /// <summary>Accepts any prefix, because the setting may have changed since the pod was added.</summary>
    private bool IsNamedAfterPod(LinkInfo link)
    {
        if (link.Kind != "veth")
            return false;
        for (var index = 0; index < HostNameHashes; index++)
            if (link.Name.EndsWith(PodLinkNames.Hash(invocation.LinkKey, index), StringComparison.Ordinal))
                return true;
        return false;
    }

    /// <summary>Returns the addresses of prevResult that this plugin made, without those of later plugins of the chain.</summary>
    private List<IPAddress> AddressesOf(CniResult? result)
    {
        var addresses = new List<IPAddress>();
        foreach (var address in result?.Addresses ?? [])
        {
            var isHost = address.PrefixLength == IpRanges.Single(address.Address).PrefixLength;
            var isOurs =
                address.Interface is not { } index
                || (index >= 0 && index < result!.Interfaces.Count && IsNamedInPod(result.Interfaces[index].Name));
            if (isHost && isOurs)
                addresses.Add(address.Address);
            if (addresses.Count < Limits.PreviousAddresses)
                continue;
            log.Warn("prevResult has more addresses than a pod can have; the others are ignored", ("addresses", result!.Addresses.Count));
            break;
        }
        return addresses;
    }
}
