// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Grpc.Core;
using VpcCni.Datapath;
using VpcCni.Netlink;
using VpcCni.Protos.V1;
using VpcCni.Shim.Ipamd;

namespace VpcCni.Shim.Commands;

/// <summary>
/// CHECK: compares what ADD made with what is there, and asks the daemon whether the addresses are still reserved. Reports all differences
/// in one error. Does not compare MTU and the pod's own routes, which plugins after this one in the chain may change.
/// </summary>
internal sealed class CheckCommand(PluginHost plugin, Invocation invocation, NetworkConfig config, PluginLog log)
{
    private readonly List<string> _problems = [];

    public void Run()
    {
        using var hostNamespace = NetworkNamespace.OpenCurrent();
        using var sandbox = SandboxNamespace.Open(invocation, hostNamespace);
        using var host = RouteNetlink.Open();
        using var pod = sandbox.OpenRouteNetlink();

        var attachment = Reservation();
        try
        {
            var expected = Expected();
            foreach (var address in attachment?.Addresses ?? [])
                if (IPAddress.TryParse(address, out var reserved) && !expected.Any(link => link.Addresses.Contains(reserved)))
                    _problems.Add($"the daemon has {reserved} reserved, prevResult does not have it");
            foreach (var link in expected)
                CheckInterface(host, pod, link, attachment);
        }
        catch (NetlinkException exception)
        {
            throw new CniException(CniErrorCode.WiringFailed, $"cannot read the pod's wiring: {exception.Message}", "", exception);
        }
        if (_problems.Count > 0)
            throw new CniException(
                CniErrorCode.CheckFailed,
                $"the pod's network differs from what ADD made: {string.Join("; ", _problems)}"
            );
    }

    private void CheckInterface(RouteNetlink host, RouteNetlink pod, ExpectedInterface link, Attachment? attachment)
    {
        var (index, name, addresses) = (link.Index, link.Name, link.Addresses);
        var inside = pod.FindLink(name);
        if (inside is null)
        {
            _problems.Add($"{name} does not exist in {invocation.Netns}");
            return;
        }
        if (!inside.IsUp)
            _problems.Add($"{inside.Name} is down");
        var outside = inside is { Kind: "veth", PeerIndex: { } hostIndex } ? host.FindLink(hostIndex) : null;
        if (outside is null || outside.PeerIndex != inside.Index)
        {
            _problems.Add($"{inside.Name} is no veth with an end on the host");
            return;
        }
        if (!outside.IsUp)
            _problems.Add($"{outside.Name} is down");

        foreach (var address in addresses)
        {
            if (!pod.GetAddresses(address.AddressFamily, inside.Index).Any(present => present.Address.Equals(address)))
                _problems.Add($"{inside.Name} does not have {address}");
            CheckPath(host, pod, inside, outside, index, address);
            // The table that the daemon reports is that of the first interface.
            CheckRules(host, address, index == 0 ? attachment : null);
        }
        if (index == 0)
            CheckNodeLocal(host, pod, inside, outside, addresses);
    }

    /// <summary>
    /// The node-local address is nowhere but on the pod's link. Pods that egress-cni wired before a switch-over have a link of its instead.
    /// </summary>
    private void CheckNodeLocal(RouteNetlink host, RouteNetlink pod, LinkInfo inside, LinkInfo outside, List<IPAddress> addresses)
    {
        if (NodeLocalAddresses.MissingFamily(addresses) is not { } family)
            return;
        var present = pod.GetAddresses(family, inside.Index).FirstOrDefault(present => NodeLocalAddresses.Contains(present.Address));
        if (present is not null)
            CheckPath(host, pod, inside, outside, index: 0, present.Address);
        else if (config.HasNodeLocalAddress(addresses) && !PodLinkNames.EgressCni.Any(name => pod.FindLink(name) is not null))
            _problems.Add($"{inside.Name} has no address of {NodeLocalAddresses.Range(family)}, which the configuration asks for");
    }

    private void CheckPath(RouteNetlink host, RouteNetlink pod, LinkInfo inside, LinkInfo outside, int index, IPAddress address)
    {
        var family = address.AddressFamily;
        var gateway = PodPath.Gateway(family, index);
        var neighbour = pod.GetNeighbours(family, inside.Index).FirstOrDefault(present => present.Address.Equals(gateway));
        if (neighbour is null || neighbour.Mac != outside.Mac)
            _problems.Add($"the pod's neighbour entry for {gateway} is {neighbour?.Mac?.ToString() ?? "missing"}, expected {outside.Mac}");

        var destination = IpRanges.Single(address);
        var route = host.GetRoutes(family, RouteTable.Main).FirstOrDefault(present => present.Destination == destination);
        if (route is null)
            _problems.Add($"the host has no route to {address}");
        else if (route.LinkIndex != outside.Index)
            _problems.Add($"the host routes {address} to link {route.LinkIndex}, expected {outside.Name} ({outside.Index})");

        // A missing entry is no difference: the kernel drops it with a link that goes down, and neighbour discovery makes another.
        if (
            inside.Mac is { } podMac
            && PodPath.PodNeighbour(address, outside.Index, podMac) is not null
            && host.GetNeighbours(family, outside.Index).FirstOrDefault(present => present.Address.Equals(address)) is { Mac: { } mac }
            && mac != podMac
        )
            _problems.Add($"the host's neighbour entry for {address} is {mac}, expected {podMac}");
    }

    private void CheckRules(RouteNetlink host, IPAddress address, Attachment? attachment)
    {
        var destination = IpRanges.Single(address);
        var rules = host.GetRules(address.AddressFamily);
        if (!rules.Any(rule => rule.Priority == RulePriorities.ToPod && rule.Destination == destination && rule.Table == RouteTable.Main))
            _problems.Add($"the host has no rule {RulePriorities.ToPod} to {address}");
        if (
            attachment is { RouteTable: not 0 and not RouteTable.Main }
            && attachment.Addresses.Any(text => IPAddress.TryParse(text, out var reserved) && reserved.Equals(address))
            && !rules.Any(rule =>
                rule.Priority == RulePriorities.FromPod && rule.Source == destination && rule.Table == (int)attachment.RouteTable
            )
        )
            _problems.Add($"the host has no rule {RulePriorities.FromPod} from {address} to table {attachment.RouteTable}");
    }

    /// <summary>The pod's interfaces in prevResult that this plugin made, with their positions and addresses.</summary>
    private List<ExpectedInterface> Expected()
    {
        var found = new List<ExpectedInterface>();
        var previous = config.PreviousResult!;
        for (var index = 0; index < Limits.InterfacesPerPod; index++)
        {
            var name = PodLinkNames.InPod(invocation.InterfaceName, index);
            var addresses = new List<IPAddress>();
            foreach (var address in previous.Addresses)
                if (
                    address.Interface is { } position
                    && position >= 0
                    && position < previous.Interfaces.Count
                    && previous.Interfaces[position].Name == name
                )
                    addresses.Add(address.Address);
            if (addresses.Count > 0)
                found.Add(new ExpectedInterface(index, name, addresses));
            else if (index == 0)
                _problems.Add($"prevResult has no address on {name}");
            else
                break;
        }
        return found;
    }

    /// <summary>Returns the daemon's record; null if the daemon does not serve CHECK, as that of aws-node.</summary>
    private Attachment? Reservation()
    {
        var ipamd = new IpamdClient(plugin, config, log);
        try
        {
            var key = new AttachmentKey
            {
                NetworkName = config.Name,
                ContainerId = invocation.ContainerId,
                InterfaceName = invocation.InterfaceName,
            };
            return ipamd.CheckAttachment(key, Limits.Question).Attachment;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Unimplemented)
        {
            log.Debug("the daemon does not serve CHECK; only the kernel is compared");
            return null;
        }
        catch (RpcException exception) when (IpamdErrors.IsUnknownAttachment(exception))
        {
            _problems.Add("the daemon has no address reserved for it");
            return null;
        }
        catch (RpcException exception)
        {
            throw IpamdErrors.ToCni(exception, "CheckAttachment", ipamd.SocketPath, Limits.Question);
        }
    }

    /// <summary>An interface in the pod; <paramref name="index"/> is its position.</summary>
    private sealed class ExpectedInterface(int index, string name, List<IPAddress> addresses)
    {
        public int Index => index;
        public string Name => name;
        public List<IPAddress> Addresses => addresses;
    }
}
