// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Logging;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using VpcCni.Shim.Ipamd;
using VpcCni.Shim.Wiring;

namespace VpcCni.Shim.Commands;

/// <summary>
/// DEL: removes rules and routes that are proven to be the sandbox's, then releases the addresses, so that no address is free while it is
/// wired. Then deletes the links, unless the daemon does (docs/adr/0011-links-are-deleted-together.md), and what only the daemon's reply
/// proves. Succeeds if there is nothing to delete. Succeeds if the daemon is down: then it also deletes links that are named after the pod
/// and have no live namespace behind them, and leaves a note for the daemon. Fails if the kernel or a running daemon refuses, so that the
/// runtime tries again.
/// </summary>
internal sealed class DelCommand(PluginHost plugin, Invocation invocation, NetworkConfig config, PluginLog log)
{
    public void Run()
    {
        using var hostNamespace = NetworkNamespace.OpenCurrent();
        using var sandbox = SandboxNamespace.TryOpen(invocation, hostNamespace, log);
        using var host = RouteNetlink.Open();
        var teardown = new PodTeardown(host, invocation, config.PreviousResult, log);
        try
        {
            teardown.RemoveProven(sandbox);
            var (reply, daemonDeletesLinks) = Release(teardown);
            if (!daemonDeletesLinks)
                teardown.DeleteLinks();
            if (reply is not null)
                teardown.RemoveReleased(AddressesOf(reply));
            teardown.Report(reply is null ? "DEL without an address to release" : "DEL");
        }
        catch (NetlinkException exception)
        {
            throw new CniException(
                CniErrorCode.WiringFailed,
                $"the kernel refuses to remove the pod's wiring: {exception.Message}",
                "",
                exception
            );
        }
    }

    public static DelNetworkRequest Request(Invocation invocation, NetworkConfig config, string reason) =>
        new()
        {
            K8SPODNAME = invocation.Pod.Name,
            K8SPODNAMESPACE = invocation.Pod.Namespace,
            K8SPODINFRACONTAINERID = invocation.Pod.InfraContainerId,
            Reason = reason,
            IfName = invocation.InterfaceName,
            NetworkName = config.Name,
            ContainerID = invocation.ContainerId,
            K8SPODUID = invocation.Pod.Uid,
        };

    /// <summary>Releases the addresses. Returns no reply if the daemon is down or has no such attachment.</summary>
    private (DelNetworkReply? Reply, bool DaemonDeletesLinks) Release(PodTeardown teardown)
    {
        var ipamd = new IpamdClient(plugin, config, log);
        var timeout = config.IpamdTimeout < Limits.Release ? config.IpamdTimeout : Limits.Release;
        try
        {
            var reply = ipamd.DelNetwork(Request(invocation, config, "PodDeleted"), timeout);
            return reply.Success
                ? (reply, ipamd.DaemonDeletesLinks)
                : throw new CniException(
                    CniErrorCode.IpamdFailed,
                    "ipamd did not release the pod's address and gives no reason: look at the daemon's log",
                    "DelNetwork answered Success=false"
                );
        }
        catch (RpcException exception) when (IpamdErrors.IsUnknownAttachment(exception))
        {
            log.Debug("the daemon holds no address for this attachment", (FieldNames.Error, exception.Status.Detail));
            return (null, false);
        }
        catch (RpcException exception) when (IpamdErrors.IsDown(exception))
        {
            // The runtime must be able to remove pods while the daemon restarts. Whether a call without an answer was executed is not
            // known; the daemon determines that when it reads the note.
            teardown.RemoveAbandoned();
            var outlook = MissedDelNote.TryLeave(plugin, invocation, config, log)
                ? "a note is left, by which it releases the address when it runs again"
                : "the address stays reserved until it runs again and finds no trace of the pod";
            log.Warn($"the daemon does not answer: {outlook}", ("socket", ipamd.SocketPath), (FieldNames.Error, exception.Status.Detail));
            return (null, false);
        }
        catch (RpcException exception)
        {
            teardown.DeleteLinks();
            throw IpamdErrors.ToCni(exception, "DelNetwork", ipamd.SocketPath, timeout);
        }
    }

    private List<System.Net.IPAddress> AddressesOf(DelNetworkReply reply)
    {
        var addresses = new List<System.Net.IPAddress>();
        foreach (var allocation in reply.IPAllocationMetadata)
        {
            try
            {
                addresses.AddRange(PodInterfaces.AddressesOf(allocation));
            }
            catch (CniException exception)
            {
                log.Warn("an address in the answer to DelNetwork is ignored", (FieldNames.Error, exception.Message));
            }
        }
        return addresses;
    }
}
