// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Datapath;
using VpcCni.Logging;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using VpcCni.Protos.V1;
using VpcCni.Shim.Ipamd;
using VpcCni.Shim.Wiring;

namespace VpcCni.Shim.Commands;

/// <summary>
/// ADD: reserves addresses, wires them and reports them. Rejects what it can without the daemon before it calls the daemon.
/// </summary>
internal sealed class AddCommand(PluginHost plugin, Invocation invocation, NetworkConfig config, PluginLog log)
{
    public CniResult Run()
    {
        using var hostNamespace = NetworkNamespace.OpenCurrent();
        using var podNamespace = SandboxNamespace.Open(invocation, hostNamespace);
        using var pod = podNamespace.OpenRouteNetlink();
        // Before AddNetwork: this key may have the address of a running pod, which a repeated ADD must not release.
        using var host = RouteNetlink.Open();
        if (pod.FindLink(invocation.InterfaceName) is { } present && !RemoveReleased(host, present))
            throw PodWiring.NameTaken(invocation.InterfaceName, invocation.Netns);

        var ipamd = new IpamdClient(plugin, config, log);
        // Made before the try block, so that the undos can use it.
        var undo = new UndoStack(log);
        try
        {
            var reply = ReserveOnce(hostNamespace, podNamespace, ipamd);
            undo.Push("give the address back", () => ReleaseUnlessAttached(pod, ipamd));
            RefuseStrictPolicy(reply);
            var interfaces = PodInterfaces.FromReply(reply, invocation, config);

            var wiring = new PodWiring(host, hostNamespace, pod, podNamespace, invocation.LinkKey, config.Mtu, plugin.Random, log);
            var wired = new List<WiredInterface>(interfaces.Count);
            foreach (var link in interfaces)
                wired.Add(wiring.Wire(link, undo));
            SandboxNamespace.CheckUnchanged(invocation, podNamespace);

            if (log.IsEnabled(PluginLogLevel.Info))
                log.Info(
                    "wired",
                    (FieldNames.Ip, string.Join(',', interfaces.SelectMany(static link => link.Addresses))),
                    (FieldNames.Link, interfaces[0].HostName),
                    ("egressIp", wired[0].NodeLocal?.ToString())
                );
            return Result(wired, reply.IPAllocationMetadata[0].DeviceNumber).After(config.PreviousResult);
        }
        catch (NetlinkException exception)
        {
            undo.Unwind();
            throw new CniException(CniErrorCode.WiringFailed, $"the kernel refuses the pod's wiring: {exception.Message}", "", exception);
        }
        catch
        {
            undo.Unwind();
            throw;
        }
    }

    /// <summary>Deletes a link that the daemon has not deleted yet, in a namespace that is used again right after its DEL.</summary>
    private static bool RemoveReleased(RouteNetlink host, LinkInfo inside)
    {
        if (inside is not { Kind: "veth", PeerIndex: { } hostIndex })
            return false;
        if (host.FindLink(hostIndex) is not { Kind: "veth", Group: LinkGroups.Released } outside || outside.PeerIndex != inside.Index)
            return false;
        host.Execute(LinkRequests.Delete(outside.Index).Tolerating(Errno.ENODEV));
        return true;
    }

    /// <summary>
    /// Reserves the addresses of the attachment, which is network, container and interface name (CNI specification, "ADD"). An attachment
    /// is in one namespace: while that exists, an ADD into another is rejected, because it would take the address from a running pod. If
    /// that namespace is gone, the container was started again without a DEL, as after a reboot, and the earlier attachment is deleted
    /// first.
    /// </summary>
    private AddNetworkReply ReserveOnce(NetworkNamespace own, NetworkNamespace sandbox, IpamdClient ipamd)
    {
        var reply = Reserve(ipamd);
        if (!ipamd.HeldWithOtherNamespace || EarlierNamespace(ipamd) is not { } path)
            return reply;
        try
        {
            using var earlier = NetworkNamespace.Open(path);
            if (earlier.Identity == sandbox.Identity)
                return reply;
            if (earlier.Identity != own.Identity)
            {
                throw new CniException(
                    CniErrorCode.InterfaceNameTaken,
                    $"CNI_CONTAINERID: {invocation.ContainerId} is attached as {invocation.InterfaceName} in {path} already; it must "
                        + $"not be added again, in {invocation.Netns}, without a DEL"
                );
            }
        }
        catch (NetworkNamespaceException exception) when (exception.Errno is Errno.ENOENT or Errno.ENOTDIR or Errno.EINVAL)
        {
            log.Info(
                "the container was attached in another namespace, which is gone: what it held is released first",
                (FieldNames.Netns, path),
                (FieldNames.Error, exception.Message)
            );
        }
        catch (NetworkNamespaceException exception)
        {
            // The pod may be running, and then keeps its address.
            throw new CniException(
                CniErrorCode.InputOutput,
                $"{invocation.ContainerId} is attached as {invocation.InterfaceName} in {path} already, and whether that namespace "
                    + $"still exists cannot be found out: {exception.Message}",
                "",
                exception
            );
        }

        new DelCommand(plugin, invocation with { Netns = "" }, config, log).Run();
        return Reserve(ipamd);
    }

    /// <summary>Returns the namespace of the attachment; null if the attachment is gone, or if its daemon did not record one.</summary>
    private string? EarlierNamespace(IpamdClient ipamd)
    {
        try
        {
            var key = new AttachmentKey
            {
                NetworkName = config.Name,
                ContainerId = invocation.ContainerId,
                InterfaceName = invocation.InterfaceName,
            };
            return ipamd.CheckAttachment(key, Limits.Question).Attachment is { NetnsPath.Length: > 0 } attachment
                ? attachment.NetnsPath
                : null;
        }
        catch (RpcException exception) when (IpamdErrors.IsUnknownAttachment(exception))
        {
            return null;
        }
        catch (RpcException exception)
        {
            throw IpamdErrors.ToCni(exception, "CheckAttachment", ipamd.SocketPath, Limits.Question);
        }
    }

    private AddNetworkReply Reserve(IpamdClient ipamd)
    {
        var request = new AddNetworkRequest
        {
            K8SPODNAME = invocation.Pod.Name,
            K8SPODNAMESPACE = invocation.Pod.Namespace,
            K8SPODINFRACONTAINERID = invocation.Pod.InfraContainerId,
            Netns = invocation.Netns,
            IfName = invocation.InterfaceName,
            NetworkName = config.Name,
            ContainerID = invocation.ContainerId,
            RequiresMultiNICAttachment = config.RequiresMultiNic,
        };
        try
        {
            return ipamd.AddNetwork(request, config.IpamdTimeout);
        }
        catch (RpcException exception)
        {
            throw IpamdErrors.ToCni(exception, "AddNetwork", ipamd.SocketPath, config.IpamdTimeout);
        }
    }

    /// <summary>
    /// Rejects strict mode, in which a pod must not run before the policy agent has applied its policies: this version does not call the
    /// agent.
    /// </summary>
    private static void RefuseStrictPolicy(AddNetworkReply reply)
    {
        if (reply.NetworkPolicyMode == "strict")
            throw new CniException(
                CniErrorCode.NotSupported,
                "network policy mode strict is not supported by this plugin: set NETWORK_POLICY_ENFORCING_MODE to standard"
            );
    }

    /// <summary>
    /// Releases the address, unless a veth with the interface's name exists: the undo has removed this ADD's veth, so it belongs to another
    /// ADD of the attachment, which was first and keeps the address.
    /// </summary>
    private void ReleaseUnlessAttached(RouteNetlink pod, IpamdClient ipamd)
    {
        if (pod.FindLink(invocation.InterfaceName)?.Kind != "veth")
            Release(ipamd);
        else
            log.Warn("the interface was made by another ADD of this attachment, which keeps the address");
    }

    private void Release(IpamdClient ipamd)
    {
        try
        {
            ipamd.DelNetwork(DelCommand.Request(invocation, config, "SetupNSFailed"), Limits.Release);
        }
        catch (RpcException exception) when (IpamdErrors.IsUnknownAttachment(exception))
        {
            log.Debug("the daemon holds no address for this attachment any more");
        }
    }

    private CniResult Result(List<WiredInterface> wired, int deviceNumber)
    {
        var interfaces = new List<CniInterface>((2 * wired.Count) + 1);
        var addresses = new List<CniAddress>(wired.Count);
        foreach (var (link, hostMac, podMac, _) in wired)
        {
            interfaces.Add(new CniInterface(link.HostName, hostMac.ToString(), Mtu: config.Mtu));
            foreach (var address in link.Addresses)
                addresses.Add(CniAddress.Host(address, interfaces.Count));
            interfaces.Add(new CniInterface(link.Name, podMac.ToString(), invocation.Netns, config.Mtu));
        }
        // For the plugin of aws-node, if the node is switched back: VLAN 0 means that the pod has no branch interface.
        interfaces.Add(new CniInterface(PodLinkNames.Marker(invocation.LinkKey), "0", deviceNumber.ToString()));
        return new CniResult(interfaces, addresses);
    }
}
