// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Shim.Ipamd;

namespace VpcCni.Shim.Commands;

/// <summary>
/// STATUS: can an ADD be served now? A failure makes the node NotReady, and after a while evicts its pods, so an empty pool that can grow,
/// or that fills up when pods leave, is no failure (the specification suggests otherwise), unless the operator asks for it with
/// <c>statusNeedsFreeAddress</c>.
/// </summary>
internal sealed class StatusCommand(PluginHost plugin, NetworkConfig config, PluginLog log)
{
    public void Run()
    {
        var ipamd = new IpamdClient(plugin, config, log);
        try
        {
            var reply = ipamd.GetStatus(Limits.Status);
            if (config.StatusNeedsFreeAddress && reply is { Ready: true, Pool: { Available: 0 } pool })
                throw new CniException(
                    CniErrorCode.NotAvailable,
                    $"no address is free: {pool.Assigned} of {pool.Total} are assigned, {pool.Cooling} cool",
                    Invocation.Listed(reply.Problems)
                );
            if (!reply.Ready)
                throw new CniException(
                    CniErrorCode.NotAvailable,
                    $"ipamd is not ready ({reply.Phase}): `ipamd status` on the node says what it waits for",
                    Invocation.Listed(reply.Problems)
                );
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Unimplemented)
        {
            log.Debug("the daemon does not serve STATUS; that it answers is all that can be said");
        }
        catch (RpcException exception)
        {
            var error = IpamdErrors.ToCni(exception, "GetStatus", ipamd.SocketPath, Limits.Status);
            throw new CniException(CniErrorCode.NotAvailable, error.Message, error.Details, exception);
        }
    }
}
