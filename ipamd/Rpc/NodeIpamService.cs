// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Readiness;
using VpcCni.Protos.V1;
using Attachment = VpcCni.Ipamd.Ledger.Attachment;
using AttachmentKey = VpcCni.Ipamd.Ledger.AttachmentKey;
using WireAttachment = VpcCni.Protos.V1.Attachment;

namespace VpcCni.Ipamd.Rpc;

/// <summary>Dependencies of <see cref="NodeIpamService"/>.</summary>
internal sealed record NodeIpamParts(
    IpLedger Ledger,
    AddressService Addresses,
    PendingAddQueue Waiting,
    ApiRateLimiter Budget,
    PoolSignal Signal,
    PoolEvents Events,
    PoolHistory History,
    DaemonState State,
    HealthMonitor Health,
    TimeProvider Time
)
{
    /// <summary>Finds what the pending ADDs wait for.</summary>
    public WaitReason WaitReason { get; } = new(Ledger, Waiting, Budget, Time);

    /// <summary>Null in tests that have nothing to audit.</summary>
    public NodeAuditor? Auditor { get; init; }
}

/// <summary>
/// Implements <c>vpccni.v1.NodeIpam</c>, which aws-node does not have: CHECK, garbage collection, status, explain, audit.
/// </summary>
internal sealed class NodeIpamService(NodeIpamParts parts) : NodeIpam.NodeIpamBase
{
    /// <summary>
    /// Minimum age of an attachment that garbage collection may release. The runtime lists its attachments before it calls, so a younger
    /// one may be missing from the list.
    /// </summary>
    private static readonly TimeSpan MinimumGarbageAge = TimeSpan.FromMinutes(1);

    public override Task<CheckAttachmentReply> CheckAttachment(CheckAttachmentRequest request, ServerCallContext context)
    {
        if (request.Attachment is not { } wire)
            throw new RpcException(new Status(StatusCode.InvalidArgument, "missing: attachment"));
        var key = new AttachmentKey(wire.NetworkName, wire.ContainerId, wire.InterfaceName);
        var held = parts.Ledger.Find(key);
        parts.Events.Publish(new PoolEvent.Checked(parts.Time.GetUtcNow(), key, held));
        if (held is not { } attachment)
            throw new RpcException(new Status(StatusCode.NotFound, $"{key} has no address"));
        return Task.FromResult(new CheckAttachmentReply { Attachment = ToWire(attachment) });
    }

    /// <summary>Releases attachments that the request does not list. An absent list means unknown, not none, and is rejected.</summary>
    public override async Task<CollectGarbageReply> CollectGarbage(CollectGarbageRequest request, ServerCallContext context)
    {
        List<string> problems = [];
        if (request.NetworkName.Length == 0)
            problems.Add("missing: network_name");
        if (request.ValidAttachments.Count == 0 && !request.ValidAttachmentsGiven)
            problems.Add("missing: valid_attachments; set valid_attachments_given if the list is empty on purpose");
        if (request.ValidAttachments.Any(item => item.ContainerId.Length == 0 || item.InterfaceName.Length == 0))
            problems.Add("a valid attachment has no container_id or interface_name");
        if (problems.Count > 0)
            throw new RpcException(new Status(StatusCode.InvalidArgument, string.Join("; ", problems)));

        var valid = request.ValidAttachments.Select(item => (item.ContainerId, item.InterfaceName)).ToHashSet();
        var reply = new CollectGarbageReply();
        foreach (
            var garbage in parts
                .Ledger.Attachments()
                .Where(item =>
                    item.Key.NetworkName == request.NetworkName
                    && !valid.Contains((item.Key.ContainerId, item.Key.InterfaceName))
                    && parts.Time.GetUtcNow() - item.AssignedAt >= MinimumGarbageAge
                )
        )
        {
            if (await parts.Addresses.DeleteAsync(garbage.Key, garbage.Pod, context.CancellationToken) is not null)
                reply.Released.Add(ToWire(garbage.Key));
        }

        return reply;
    }

    public override Task<ListAttachmentsReply> ListAttachments(ListAttachmentsRequest request, ServerCallContext context)
    {
        var reply = new ListAttachmentsReply();
        reply.Attachments.AddRange(parts.Ledger.Attachments().Select(ToWire));
        return Task.FromResult(reply);
    }

    public override Task<GetStatusReply> GetStatus(GetStatusRequest request, ServerCallContext context) =>
        Task.FromResult(StatusReplies.Of(parts));

    public override Task<ExplainReply> Explain(ExplainRequest request, ServerCallContext context)
    {
        if (ExplainReplies.Problem(request) is { } problem)
            throw new RpcException(new Status(StatusCode.InvalidArgument, problem));
        return Task.FromResult(ExplainReplies.Of(parts, request));
    }

    public override async Task<AuditReply> Audit(AuditRequest request, ServerCallContext context)
    {
        var auditor = parts.Auditor ?? throw new RpcException(new Status(StatusCode.Unimplemented, "this daemon has no auditor"));
        var started = parts.Time.GetTimestamp();
        var result = await auditor.RunAsync(asksCloud: !request.WithoutCloud, context.CancellationToken);
        return AuditReplies.Of(result, parts.Time.GetUtcNow(), parts.Time.GetElapsedTime(started));
    }

    public override Task<SetCloudAccessReply> SetCloudAccess(SetCloudAccessRequest request, ServerCallContext context)
    {
        if (!CloudAccessText.TryParse(request.Access, out var access))
            throw new RpcException(
                new Status(StatusCode.InvalidArgument, $"'{request.Access}' is not an access level; expected {CloudAccessText.Expected}")
            );
        var previous = parts.Budget.Access;
        parts.Budget.Access = access;
        parts.Signal.Raise();
        return Task.FromResult(new SetCloudAccessReply { Previous = CloudAccessText.Of(previous) });
    }

    internal static Protos.V1.AttachmentKey ToWire(AttachmentKey key) =>
        new()
        {
            NetworkName = key.NetworkName,
            ContainerId = key.ContainerId,
            InterfaceName = key.InterfaceName,
        };

    internal static WireAttachment ToWire(Attachment attachment)
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
        if (attachment.Addresses[0].Slot is { } place)
        {
            wire.InterfaceId = place.Id.Value;
            wire.DeviceIndex = (uint)place.Slot.DeviceIndex;
            wire.RouteTable = (uint)place.RouteTable;
        }

        return wire;
    }
}
