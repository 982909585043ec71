// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observability;
using VpcCni.Ipamd.WarmPool;
using VpcCni.Protos.V1;
using AttachmentKey = VpcCni.Ipamd.Ledger.AttachmentKey;
using Attachment = VpcCni.Ipamd.Ledger.Attachment;
using WireAttachment = VpcCni.Protos.V1.Attachment;

namespace VpcCni.Ipamd.Rpc;

/// <summary><c>vpccni.v1.NodeIpam</c>: what only this daemon answers.</summary>
internal sealed class NodeIpamService(IpLedger ledger, WaitingAdds waiting, DaemonState state, TimeProvider time) : NodeIpam.NodeIpamBase
{
    public override Task<CheckAttachmentReply> CheckAttachment(CheckAttachmentRequest request, ServerCallContext context)
    {
        if (request.Attachment is not { } wire) throw new RpcException(new Status(StatusCode.InvalidArgument, "missing: attachment"));
        var key = new AttachmentKey(wire.NetworkName, wire.ContainerId, wire.InterfaceName);
        if (ledger.Find(key) is not { } attachment) throw new RpcException(new Status(StatusCode.NotFound, $"{key} holds no address"));
        return Task.FromResult(new CheckAttachmentReply { Attachment = ToWire(attachment) });
    }

    public override Task<ListAttachmentsReply> ListAttachments(ListAttachmentsRequest request, ServerCallContext context)
    {
        var reply = new ListAttachmentsReply();
        reply.Attachments.AddRange(ledger.Attachments().Select(ToWire));
        return Task.FromResult(reply);
    }

    public override Task<GetStatusReply> GetStatus(GetStatusRequest request, ServerCallContext context)
    {
        var view = ledger.View(time.GetUtcNow());
        var reply = new GetStatusReply
        {
            Ready = state.Ready,
            Phase = state.Phase.ToString().ToLowerInvariant(),
            Version = state.Version,
            StartedAt = Timestamp.FromDateTimeOffset(state.StartedAt),
            NodeId = state.Identity?.NodeId ?? "",
            InstanceType = state.Identity?.NodeType ?? "",
            WaitingAdds = (uint)waiting.Demand,
            Pool = new Pool
            {
                Total = (uint)view.Total,
                Assigned = (uint)view.Assigned,
                Cooling = (uint)view.Cooling,
                Available = (uint)view.Free,
                Interfaces = (uint)view.Interfaces.Count,
                InterfaceLimit = (uint)(state.Pool?.Capacity.MaxInterfaces ?? 0),
                MaxPods = (uint)(state.Pool?.Capacity.MaxPods ?? 0),
            },
        };
        if (state.StartObstacle is { } start) reply.Problems.Add(start);
        if (state.Pool is { } pool)
        {
            reply.Pool.Targets.Add(Targets(pool.Targets));
            if (pool.LastPlan is { Short: > 0, Obstacle: { } obstacle } plan) reply.Problems.Add($"{plan.Short} addresses short of the targets: {obstacle.Detail}");
        }

        reply.Problems.AddRange(view.Orphans.Select(orphan => $"pod {orphan.Pod} uses {orphan.Addresses[0].Address}, which no interface of this node carries"));
        reply.Interfaces.AddRange(view.Interfaces.Select(item => new NetworkInterface
        {
            Id = item.Id.Value,
            DeviceIndex = (uint)item.DeviceIndex,
            PrimaryAddress = item.PrimaryAddress.ToString(),
            SubnetId = item.SubnetId,
            Total = (uint)item.Total,
            Assigned = (uint)item.Assigned,
            Cooling = (uint)item.Cooling,
            State = item.IsDraining ? "draining" : item.CarriesPods ? "in use" : "not for pods",
        }));
        return Task.FromResult(reply);
    }

    private static Dictionary<string, string> Targets(PoolTargets targets)
    {
        var named = new Dictionary<string, string>
        {
            ["WARM_IP_TARGET"] = targets.WarmIpTarget.ToString(),
            ["MINIMUM_IP_TARGET"] = targets.MinimumIpTarget.ToString(),
        };
        if (!targets.UsesAddressTargets) named["WARM_ENI_TARGET"] = targets.WarmEniTarget.ToString();
        if (targets.MaxEni is { } maxEni) named["MAX_ENI"] = maxEni.ToString();
        return named;
    }

    private static WireAttachment ToWire(Attachment attachment)
    {
        var wire = new WireAttachment
        {
            Key = new Protos.V1.AttachmentKey
            {
                NetworkName = attachment.Key.NetworkName,
                ContainerId = attachment.Key.ContainerId,
                InterfaceName = attachment.Key.InterfaceName,
            },
            PodNamespace = attachment.Pod.Namespace ?? "",
            PodName = attachment.Pod.Name ?? "",
            AssignedAt = Timestamp.FromDateTimeOffset(attachment.AssignedAt),
            NetnsPath = attachment.NetnsPath,
        };
        wire.Addresses.AddRange(attachment.Addresses.Select(held => held.Address.ToString()));
        if (attachment.Addresses[0].Place is { } place)
        {
            wire.InterfaceId = place.Id.Value;
            wire.DeviceIndex = (uint)place.DeviceIndex;
            wire.RouteTable = (uint)RouteTables.For(place.DeviceIndex, place.NetworkCard);
        }

        return wire;
    }
}
