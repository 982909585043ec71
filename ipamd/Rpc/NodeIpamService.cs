// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using VpcCni.Ipamd.Cloud;
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
internal sealed class NodeIpamService(
    IpLedger ledger, AddressService addresses, WaitingAdds waiting, ApiBudget budget, PoolSignal signal, DaemonState state, TimeProvider time) : NodeIpam.NodeIpamBase
{
    /// <summary>The runtime lists its attachments before it calls; one that was added since then is not garbage.</summary>
    private static readonly TimeSpan MinimumGarbageAge = TimeSpan.FromMinutes(1);

    public override Task<CheckAttachmentReply> CheckAttachment(CheckAttachmentRequest request, ServerCallContext context)
    {
        if (request.Attachment is not { } wire) throw new RpcException(new Status(StatusCode.InvalidArgument, "missing: attachment"));
        var key = new AttachmentKey(wire.NetworkName, wire.ContainerId, wire.InterfaceName);
        if (ledger.Find(key) is not { } attachment) throw new RpcException(new Status(StatusCode.NotFound, $"{key} holds no address"));
        return Task.FromResult(new CheckAttachmentReply { Attachment = ToWire(attachment) });
    }

    /// <summary>An absent list is "unknown", never "none": it releases nothing.</summary>
    public override async Task<CollectGarbageReply> CollectGarbage(CollectGarbageRequest request, ServerCallContext context)
    {
        List<string> problems = [];
        if (request.NetworkName.Length == 0) problems.Add("missing: network_name");
        if (request.ValidAttachments.Count == 0 && !request.ValidAttachmentsGiven) problems.Add("the list of valid attachments is absent; an empty one must be marked by valid_attachments_given");
        if (request.ValidAttachments.Any(item => item.ContainerId.Length == 0 || item.InterfaceName.Length == 0)) problems.Add("a valid attachment lacks container_id or interface_name");
        if (problems.Count > 0) throw new RpcException(new Status(StatusCode.InvalidArgument, string.Join("; ", problems)));

        var valid = request.ValidAttachments.Select(item => (item.ContainerId, item.InterfaceName)).ToHashSet();
        var reply = new CollectGarbageReply();
        foreach (var garbage in ledger.Attachments().Where(item => item.Key.NetworkName == request.NetworkName
            && !valid.Contains((item.Key.ContainerId, item.Key.InterfaceName))
            && time.GetUtcNow() - item.AssignedAt >= MinimumGarbageAge))
        {
            if (await addresses.DeleteAsync(garbage.Key, context.CancellationToken) is not null) reply.Released.Add(ToWire(garbage.Key));
        }

        return reply;
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
        if (state.HostNetworkProblem() is { } network) reply.Problems.Add($"host network: {network}");
        if (state.Pool is { } pool)
        {
            reply.Pool.Targets.Add(Targets(pool.Targets));
            if (pool.LastPlan is { Short: > 0, Obstacle: { } obstacle } plan) reply.Problems.Add($"{plan.Short} addresses short of the targets: {obstacle.Detail}");
        }

        reply.Cloud = CloudOf(view);
        if (budget.Access != CloudAccess.Full) reply.Problems.Add($"cloud access is {CloudAccessText.Of(budget.Access)}; `ipamd access full` ends that");
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
            State = item.IsDraining ? "draining" : item.IsExcluded ? "subnet excluded" : item.CarriesPods ? "in use" : "not for pods",
        }));
        return Task.FromResult(reply);
    }

    public override Task<SetCloudAccessReply> SetCloudAccess(SetCloudAccessRequest request, ServerCallContext context)
    {
        if (!CloudAccessText.TryParse(request.Access, out var access))
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"'{request.Access}' is not a level of access: expected {CloudAccessText.Expected}"));
        var previous = budget.Access;
        budget.Access = access;
        signal.Raise();
        return Task.FromResult(new SetCloudAccessReply { Previous = CloudAccessText.Of(previous) });
    }

    private Protos.V1.Cloud CloudOf(LedgerView view)
    {
        var spent = budget.View();
        var cloud = new Protos.V1.Cloud
        {
            Access = CloudAccessText.Of(spent.Access),
            ObservedAt = state.Pool?.Membership.LastObservedAt is { } at ? Timestamp.FromDateTimeOffset(at) : null,
            DriftFound = (ulong)(state.Pool?.Membership.DriftFound ?? 0),
        };
        cloud.OpenChanges.AddRange(view.Intents.Select(open => $"{open.Intent.Description}{(open.IsRunning ? "" : " (outcome in doubt)")}"));
        cloud.Budget.AddRange(spent.Buckets.Select(bucket => new CallBudget
        {
            Kind = bucket.Kind.ToString().ToLowerInvariant(), Tokens = bucket.Tokens, Capacity = bucket.Allowance.Capacity, PerSecond = bucket.PerSecond, Waiting = (uint)bucket.Waiting,
        }));
        cloud.Calls.AddRange(spent.Calls.Select(call => new Protos.V1.CallCount { Operation = call.Operation, Outcome = call.Outcome, Count = (ulong)call.Count }));
        return cloud;
    }

    private static Dictionary<string, string> Targets(PoolTargets targets)
    {
        var named = new Dictionary<string, string>
        {
            ["WARM_IP_TARGET"] = targets.WarmIpTarget.ToString(),
            ["MINIMUM_IP_TARGET"] = targets.MinimumIpTarget.ToString(),
        };
        if (targets.UsesPrefixes) named["ENABLE_PREFIX_DELEGATION"] = "true";
        if (targets is { UsesAddressTargets: false, UsesPrefixes: true }) named["WARM_PREFIX_TARGET"] = targets.WarmPrefixTarget.ToString();
        if (targets is { UsesAddressTargets: false, UsesPrefixes: false }) named["WARM_ENI_TARGET"] = targets.WarmEniTarget.ToString();
        if (targets.MaxEni is { } maxEni) named["MAX_ENI"] = maxEni.ToString();
        return named;
    }

    private static Protos.V1.AttachmentKey ToWire(AttachmentKey key) => new() { NetworkName = key.NetworkName, ContainerId = key.ContainerId, InterfaceName = key.InterfaceName };

    private static WireAttachment ToWire(Attachment attachment)
    {
        var wire = new WireAttachment
        {
            Key = ToWire(attachment.Key),
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
