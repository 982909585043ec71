// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Protos.V1;
using VpcCni.Shim.Ipamd;

namespace VpcCni.Shim.Commands;

/// <summary>
/// GC: sends the runtime's list of valid attachments to the daemon, which releases the others and removes their wiring.
/// </summary>
internal sealed class GcCommand(PluginHost plugin, NetworkConfig config, PluginLog log)
{
    public void Run()
    {
        if (config.ValidAttachments is not { } valid)
            throw new CniException(
                CniErrorCode.InvalidConfiguration,
                "cni.dev/valid-attachments: is missing; without the list of what is in use nothing is released"
            );

        var request = new CollectGarbageRequest { NetworkName = config.Name, ValidAttachmentsGiven = true };
        foreach (var attachment in valid)
            request.ValidAttachments.Add(
                new AttachmentKey
                {
                    NetworkName = config.Name,
                    ContainerId = attachment.ContainerId,
                    InterfaceName = attachment.InterfaceName,
                }
            );

        var ipamd = new IpamdClient(plugin, config, log);
        try
        {
            var reply = ipamd.CollectGarbage(request, Limits.Question);
            if (reply.Released.Count > 0)
                log.Info("released attachments that the runtime does not have any more", ("count", reply.Released.Count));
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Unimplemented)
        {
            throw new CniException(
                CniErrorCode.NotSupported,
                "the daemon on this node does not collect garbage: GC needs the ipamd of this plugin's release",
                $"CollectGarbage: {exception.StatusCode}",
                exception
            );
        }
        catch (RpcException exception)
        {
            throw IpamdErrors.ToCni(exception, "CollectGarbage", ipamd.SocketPath, Limits.Question);
        }
    }
}
