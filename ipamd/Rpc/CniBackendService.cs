// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;

namespace VpcCni.Ipamd.Rpc;

/// <summary>Settings of the node that every ADD reply carries besides the address.</summary>
/// <param name="ExternalSnat">AWS_VPC_K8S_CNI_EXTERNALSNAT.</param>
/// <param name="NetworkPolicyMode">NETWORK_POLICY_ENFORCING_MODE; when empty, the plugin does not call the policy agent.</param>
internal sealed record CniReplySettings(bool ExternalSnat, string NetworkPolicyMode);

/// <summary>
/// Implements <c>rpc.CNIBackend</c>, the contract with the plugin, this project's or the reference's. Requests are idempotent by attachment
/// key. A request that cannot be served ends with a gRPC status that gives the reason, not with <c>Success = false</c>; both plugins print
/// the text of a status.
/// </summary>
/// <param name="addresses">Assigns and releases addresses.</param>
/// <param name="ranges">CIDR blocks of the VPC.</param>
/// <param name="settings">Copied into every reply.</param>
/// <param name="deleteLinks">
/// Called after a DEL; deletes the links that the plugin moved to the group of released links.
/// </param>
/// <param name="deleteAsked">Called for every DEL with the reason that the plugin gives.</param>
internal sealed class CniBackendService(
    AddressService addresses,
    NetworkRanges ranges,
    CniReplySettings settings,
    Action deleteLinks,
    Action<string> deleteAsked
) : CNIBackend.CNIBackendBase
{
    /// <summary>Trailer that tells the plugin that the daemon deletes the links. The plugin of aws-node ignores it.</summary>
    internal const string DeletesLinks = "vpccni-deletes-links";

    /// <summary>
    /// Trailer that tells the plugin that the attachment already exists, for a network namespace other than the requested one.
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
        reply.IPAllocationMetadata.AddRange(attachment.Interfaces.Select(ToMetadata));
        foreach (var range in ranges.Current)
        {
            (range.BaseAddress.AddressFamily == IpFamily.V4 ? reply.VPCv4CIDRs : reply.VPCv6CIDRs).Add(range.ToString());
        }

        return reply;
    }

    public override async Task<DelNetworkReply> DelNetwork(DelNetworkRequest request, ServerCallContext context)
    {
        var key = KeyOf(request.NetworkName, request.ContainerID, request.IfName);
        deleteAsked(request.Reason);
        // The release ignores the client's cancellation: the sandbox is gone, and no second DEL may come.
        var released = await RpcErrorMap.GuardAsync(() =>
            addresses.DeleteAsync(key, new PodReference(request.K8SPODNAMESPACE, request.K8SPODNAME), CancellationToken.None)
        );
        if (released is null)
            throw new RpcException(new Status(StatusCode.Unknown, Contract.UnknownPod));
        context.ResponseTrailers.Add(DeletesLinks, "1");
        deleteLinks();
        var reply = new DelNetworkReply { Success = true, NetworkPolicyMode = settings.NetworkPolicyMode };
        reply.IPAllocationMetadata.AddRange(released.Interfaces.Select(ToMetadata));
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

    private static IPAllocationMetadata ToMetadata(AttachmentInterface item)
    {
        var metadata = new IPAllocationMetadata
        {
            IPv4Addr = item.Find(IpFamily.V4)?.ToString() ?? "",
            IPv6Addr = item.Find(IpFamily.V6)?.ToString() ?? "",
        };
        if (item.Slot is { } carrier)
        {
            metadata.DeviceNumber = carrier.Slot.DeviceIndex;
            metadata.RouteTableId = carrier.RouteTable;
        }

        return metadata;
    }
}
