// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Shim.Ipamd;

namespace VpcCni.Shim.Commands;

/// <summary>
/// STATUS: reports whether an ADD can be served. A failure makes the node NotReady, which evicts its pods after a while. So an empty pool,
/// which can grow or gets addresses back when pods end, is no failure, although the specification suggests it;
/// <c>statusNeedsFreeAddress</c> makes it one.
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
