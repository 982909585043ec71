// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Grpc.Core;
using VpcCni.Datapath;
using VpcCni.Netlink;
using VpcCni.Protos.V1;
using VpcCni.Shim.Ipamd;

namespace VpcCni.Shim.Commands;

/// <summary>
/// CHECK: is what ADD made still there, and is the address still reserved? All differences in one error. Not compared: MAC, MTU and the
/// pod's own routes, which plugins after us in the chain may change.
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
            var addresses = Expected();
            foreach (var address in attachment?.Addresses ?? [])
                if (IPAddress.TryParse(address, out var reserved) && !addresses.Contains(reserved))
                    _problems.Add($"the daemon has {reserved} reserved, prevResult does not have it");
            CheckKernel(host, pod, addresses, attachment);
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

    private void CheckKernel(RouteNetlink host, RouteNetlink pod, List<IPAddress> addresses, Attachment? attachment)
    {
        var inside = pod.FindLink(invocation.InterfaceName);
        if (inside is null)
        {
            _problems.Add($"{invocation.InterfaceName} does not exist in {invocation.Netns}");
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
            CheckAddress(host, pod, inside, outside, address, attachment);
    }

    private void CheckAddress(
        RouteNetlink host,
        RouteNetlink pod,
        LinkInfo inside,
        LinkInfo outside,
        IPAddress address,
        Attachment? attachment
    )
    {
        var family = address.AddressFamily;
        if (!pod.GetAddresses(family, inside.Index).Any(present => present.Address.Equals(address)))
            _problems.Add($"{inside.Name} does not have {address}");

        var gateway = PodPath.Gateway(family, index: 0);
        var neighbour = pod.GetNeighbours(family, inside.Index).FirstOrDefault(present => present.Address.Equals(gateway));
        if (neighbour is null || neighbour.Mac != outside.Mac)
            _problems.Add($"the pod's neighbour entry for {gateway} is {neighbour?.Mac?.ToString() ?? "missing"}, expected {outside.Mac}");

        var destination = PodPath.Host(address);
        var route = host.GetRoutes(family, RouteTable.Main).FirstOrDefault(present => present.Destination == destination);
        if (route is null)
            _problems.Add($"the host has no route to {address}");
        else if (route.LinkIndex != outside.Index)
            _problems.Add($"the host routes {address} to link {route.LinkIndex}, expected {outside.Name} ({outside.Index})");

        var rules = host.GetRules(family);
        if (!rules.Any(rule => rule.Priority == RulePriorities.ToPod && rule.Destination == destination && rule.Table == RouteTable.Main))
            _problems.Add($"the host has no rule {RulePriorities.ToPod} to {address}");
        if (
            attachment is { RouteTable: not 0 and not RouteTable.Main }
            && attachment.Addresses.Contains(address.ToString())
            && !rules.Any(rule =>
                rule.Priority == RulePriorities.FromPod && rule.Source == destination && rule.Table == (int)attachment.RouteTable
            )
        )
            _problems.Add($"the host has no rule {RulePriorities.FromPod} from {address} to table {attachment.RouteTable}");
    }

    /// <summary>The addresses that prevResult has on our interface.</summary>
    private List<IPAddress> Expected()
    {
        var addresses = new List<IPAddress>();
        foreach (var address in config.PreviousResult!.Addresses)
            if (
                address.Interface is { } index
                && index >= 0
                && index < config.PreviousResult.Interfaces.Count
                && config.PreviousResult.Interfaces[index].Name == invocation.InterfaceName
            )
                addresses.Add(address.Address);
        if (addresses.Count == 0)
            _problems.Add($"prevResult has no address on {invocation.InterfaceName}");
        return addresses;
    }

    /// <summary>Null if the daemon is one (aws-node's) that cannot be asked.</summary>
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
}
