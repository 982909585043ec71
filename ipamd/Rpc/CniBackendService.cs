// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Core;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Protos.Rpc;

namespace VpcCni.Ipamd.Rpc;

/// <summary>What every ADD reply carries besides the address.</summary>
/// <param name="ExternalSnat">AWS_VPC_K8S_CNI_EXTERNALSNAT.</param>
/// <param name="NetworkPolicyMode">NETWORK_POLICY_ENFORCING_MODE; empty keeps the plugin from calling the policy agent.</param>
internal sealed record CniReplySettings(bool ExternalSnat, string NetworkPolicyMode);

/// <summary>
/// <c>rpc.CNIBackend</c>, the contract with the plugin, ours or the reference's. Idempotent by the attachment's key. A request that cannot
/// be served ends with a gRPC status that says why, not with <c>Success = false</c>; both plugins report a status with its text.
/// </summary>
/// <param name="addresses">Gives and takes them.</param>
/// <param name="ranges">The VPC's.</param>
/// <param name="settings">The same for all.</param>
/// <param name="deleteLinks">
/// Called after a DEL; deletes the links that the plugin has put in the group of released ones. Null: the plugin does it.
/// </param>
/// <param name="deleteAsked">Told of every DEL, with the reason that the plugin gives.</param>
internal sealed class CniBackendService(
    AddressService addresses,
    NetworkRanges ranges,
    CniReplySettings settings,
    Action? deleteLinks = null,
    Action<string>? deleteAsked = null
) : CNIBackend.CNIBackendBase
{
    /// <summary>Trailer that tells our plugin so; that of aws-node does not look for it.</summary>
    internal const string DeletesLinks = "vpccni-deletes-links";

    /// <summary>
    /// Trailer that tells our plugin that the attachment exists already, made for another namespace than the one that is asked for now.
    /// </summary>
    internal const string OtherNamespace = "vpccni-other-namespace";

    public override async Task<AddNetworkReply> AddNetwork(AddNetworkRequest request, ServerCallContext context)
    {
        var key = KeyOf(request.NetworkName, request.ContainerID, request.IfName);
        if (request.RequiresMultiNICAttachment)
            throw new RpcException(new Status(StatusCode.Unimplemented, "multi-NIC attachments are not supported by this daemon"));
        var outcome = await RpcErrorMap.GuardAsync(() =>
            addresses.AddAsync(key, new PodReference(request.K8SPODNAMESPACE, request.K8SPODNAME), request.Netns, context.CancellationToken)
        );
        if (outcome is not AddOutcome.Assigned { Attachment: var attachment })
            throw RpcErrorMap.ToException(outcome);
        if (attachment.NetnsPath.Length > 0 && attachment.NetnsPath != request.Netns)
            context.ResponseTrailers.Add(OtherNamespace, "1");
        var reply = new AddNetworkReply
        {
            Success = true,
            UseExternalSNAT = settings.ExternalSnat,
            NetworkPolicyMode = settings.NetworkPolicyMode,
        };
        reply.IPAllocationMetadata.AddRange(attachment.Addresses.Select(ToMetadata));
        foreach (var range in ranges.Current)
        {
            (range.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? reply.VPCv4CIDRs : reply.VPCv6CIDRs).Add(range.ToString());
        }

        return reply;
    }

    public override async Task<DelNetworkReply> DelNetwork(DelNetworkRequest request, ServerCallContext context)
    {
        var key = KeyOf(request.NetworkName, request.ContainerID, request.IfName);
        deleteAsked?.Invoke(request.Reason);
        // A client that gives up meanwhile has asked for it all the same: the sandbox is gone, and nobody may ask again.
        var released = await RpcErrorMap.GuardAsync(() =>
            addresses.DeleteAsync(key, new PodReference(request.K8SPODNAMESPACE, request.K8SPODNAME), CancellationToken.None)
        );
        if (released is null)
            throw new RpcException(new Status(StatusCode.Unknown, Contract.UnknownPod));
        if (deleteLinks is not null)
        {
            context.ResponseTrailers.Add(DeletesLinks, "1");
            deleteLinks();
        }

        var reply = new DelNetworkReply { Success = true, NetworkPolicyMode = settings.NetworkPolicyMode };
        reply.IPAllocationMetadata.AddRange(released.Addresses.Select(ToMetadata));
        return reply;
    }

    private static AttachmentKey KeyOf(string networkName, string containerId, string interfaceName)
    {
        List<string> missing = [];
        if (containerId.Length == 0)
            missing.Add("ContainerID");
        if (interfaceName.Length == 0)
            missing.Add("IfName");
        if (missing.Count > 0)
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"missing: {string.Join(", ", missing)}"));
        return new AttachmentKey(networkName, containerId, interfaceName);
    }

    private static IPAllocationMetadata ToMetadata(AttachmentAddress held)
    {
        var metadata = new IPAllocationMetadata();
        if (held.Address.AddressFamily == AddressFamily.InterNetwork)
            metadata.IPv4Addr = held.Address.ToString();
        else
            metadata.IPv6Addr = held.Address.ToString();
        if (held.Slot is { } place)
        {
            metadata.DeviceNumber = place.DeviceIndex;
            metadata.RouteTableId = RouteTables.Of(place.DeviceIndex, place.NetworkCard);
        }

        return metadata;
    }
}
