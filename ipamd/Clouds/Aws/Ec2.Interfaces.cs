// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2;
using Amazon.EC2.Model;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Describes interfaces, and changes them from create to delete.</summary>
internal sealed partial class Ec2
{
    private const string DescribeOperation = "DescribeNetworkInterfaces";

    /// <summary>EC2's largest page.</summary>
    private const int PageSize = 1000;

    /// <summary>Most pages to read. Allows more interfaces than any account's default quota, and stops an endless answer.</summary>
    private const int MaxPages = 20;

    /// <summary>Connection tracking timeouts of the primary interface; null before the first description and when none are set.</summary>
    private ConnectionTrackingConfiguration? _primaryTracking;

    /// <summary>EC2's device index of the primary interface, as last described.</summary>
    private volatile int _primaryIndex;

    public async Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        var described = await DescribeAsync(node, [new Filter("attachment.instance-id", [node.Identity.NodeId])], cancellationToken);
        var interfaces = await MapAsync(node, described, DescribeOperation, cancellationToken);
        var ordered = DeviceIndexes.WithPrimaryFirst(interfaces, node.Identity.PrimaryMac);
        _primaryIndex = DeviceIndexes.OfPrimary(interfaces, node.Identity.PrimaryMac) ?? 0;
        _primaryTracking = ordered is [{ IsPrimary: true, Id: var primary }, ..]
            ? described.First(eni => eni.NetworkInterfaceId == primary.Value).ConnectionTrackingConfiguration
            : null;
        return ordered;
    }

    public async Task<IReadOnlyList<Ec2Interface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        List<Filter> filters =
        [
            new("tag:" + EniTags.InstanceId, [node.Identity.NodeId]),
            new("status", [NetworkInterfaceStatus.Available.Value]),
        ];
        return await MapAsync(node, await DescribeAsync(node, filters, cancellationToken), DescribeOperation, cancellationToken);
    }

    public async Task<IReadOnlyList<Ec2Interface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        List<Filter> filters =
        [
            new("tag-key", [EniTags.InstanceId]),
            new("status", [NetworkInterfaceStatus.Available.Value]),
            new("vpc-id", [node.Identity.NetworkId]),
        ];
        if (_options.ClusterName is { Length: > 0 } cluster)
            filters.Add(new Filter("tag:" + EniTags.ClusterName, [cluster]));

        // The tag alone is not enough for a deletion: tags may be copied from one interface to another, descriptions are not.
        return
        [
            .. (await DescribeAsync(node, filters, cancellationToken))
                .Where(eni => eni.Description?.StartsWith(EniTags.DescriptionPrefix, StringComparison.Ordinal) == true)
                .Select(eni =>
                    InterfaceMapping.ToEc2Interface(
                        eni,
                        InterfaceMapping.PrimaryAlone(eni, DescribeOperation),
                        node.Identity.Ipv6Address,
                        DescribeOperation
                    )
                ),
        ];
    }

    public async Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken)
    {
        const string operation = "CreateNetworkInterface";
        var node = await GetNodeAsync(cancellationToken);

        // Every parameter follows from the request and the node, so that a repeated call after a restart is the same call for EC2
        // (otherwise IdempotentParameterMismatch).
        var create = new CreateNetworkInterfaceRequest
        {
            ClientToken = request.IdempotencyToken,
            SubnetId = request.SubnetId,
            Groups = [.. request.SecurityGroupIds],
            Description = node.Tags.Description,
            TagSpecifications =
            [
                new TagSpecification { ResourceType = ResourceType.NetworkInterface, Tags = node.Tags.ForNew(request.RequestedAt) },
            ],
            ConnectionTrackingSpecification = Copy(_primaryTracking),
        };
        foreach (var blocks in request.Blocks.Where(blocks => blocks.Count > 0))
        {
            switch (blocks.Shape)
            {
                case { Family: IpFamily.V4, IsSingle: true }:
                    create.SecondaryPrivateIpAddressCount = blocks.Count;
                    break;
                case { Family: IpFamily.V4 }:
                    create.Ipv4PrefixCount = blocks.Count;
                    break;
                case { IsSingle: true }:
                    create.Ipv6AddressCount = blocks.Count;
                    break;
                default:
                    create.Ipv6PrefixCount = blocks.Count;
                    break;
            }
        }

        // Before the call: after it, a failure to load the range would look like a failure to create.
        await _subnets.LoadAsync(node.Ec2, request.SubnetId, cancellationToken);
        var response = await _caller.CallAsync(
            operation,
            Idempotency.Safe,
            token => node.Ec2.CreateNetworkInterfaceAsync(create, token),
            cancellationToken
        );
        var created = response.NetworkInterface ?? throw InterfaceMapping.Unreadable(operation, "the answer has no network interface");
        return (await MapAsync(node, [created], operation, cancellationToken))[0];
    }

    public async Task<string> AttachInterfaceAsync(NetworkInterfaceId id, Slot slot, CancellationToken cancellationToken)
    {
        const string operation = "AttachNetworkInterface";
        var node = await GetNodeAsync(cancellationToken);

        // Sends card index 0 explicitly: without it EC2 mistakes a device index in use on another card for one in use on this
        // card (github.com/cilium/cilium/pull/42512).
        var request = new AttachNetworkInterfaceRequest
        {
            NetworkInterfaceId = id.Value,
            InstanceId = node.Identity.NodeId,
            DeviceIndex = slot.NetworkCard == 0 ? DeviceIndexes.Swap(slot.DeviceIndex, _primaryIndex) : slot.DeviceIndex,
            NetworkCardIndex = slot.NetworkCard,
        };

        // Not repeated after a lost answer: the first call's success would be reported as a conflict.
        var response = await _caller.CallAsync(
            operation,
            Idempotency.Unsafe,
            token => node.Ec2.AttachNetworkInterfaceAsync(request, token),
            cancellationToken
        );
        return string.IsNullOrEmpty(response.AttachmentId)
            ? throw InterfaceMapping.Unreadable(operation, $"the answer has no attachment id for {id}")
            : response.AttachmentId;
    }

    public async Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        var request = new ModifyNetworkInterfaceAttributeRequest
        {
            NetworkInterfaceId = id.Value,
            Attachment = new NetworkInterfaceAttachmentChanges { AttachmentId = attachmentId, DeleteOnTermination = true },
        };
        await _caller.CallAsync(
            "ModifyNetworkInterfaceAttribute",
            Idempotency.Safe,
            token => node.Ec2.ModifyNetworkInterfaceAttributeAsync(request, token),
            cancellationToken
        );
    }

    public async Task SetSecurityGroupsAsync(
        NetworkInterfaceId id,
        IReadOnlyList<string> securityGroupIds,
        CancellationToken cancellationToken
    )
    {
        var node = await GetNodeAsync(cancellationToken);
        var request = new ModifyNetworkInterfaceAttributeRequest { NetworkInterfaceId = id.Value, Groups = [.. securityGroupIds] };
        await _caller.CallAsync(
            "ModifyNetworkInterfaceAttribute",
            Idempotency.Safe,
            token => node.Ec2.ModifyNetworkInterfaceAttributeAsync(request, token),
            cancellationToken
        );
    }

    public async Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);

        // Not forced: a forced detachment skips the instance's cleanup. Not repeated after a lost answer: a completed detachment would be
        // reported as not found.
        var request = new DetachNetworkInterfaceRequest { AttachmentId = attachmentId };
        await _caller.CallAsync(
            "DetachNetworkInterface",
            Idempotency.Unsafe,
            token => node.Ec2.DetachNetworkInterfaceAsync(request, token),
            cancellationToken
        );
    }

    public async Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        var request = new DeleteNetworkInterfaceRequest { NetworkInterfaceId = id.Value };
        try
        {
            await _caller.CallAsync(
                "DeleteNetworkInterface",
                Idempotency.Safe,
                token => node.Ec2.DeleteNetworkInterfaceAsync(request, token),
                cancellationToken
            );
        }
        catch (CloudException e) when (e.Kind == CloudErrorKind.NotFound)
        {
            // Already deleted, by an earlier call whose answer was lost or by someone else.
        }
    }

    public async Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        var request = new CreateTagsRequest
        {
            Resources = [id.Value],
            Tags = createdAt is { } at ? [EniTags.Created(at)] : node.Tags.ForExisting(),
        };
        await _caller.CallAsync("CreateTags", Idempotency.Safe, token => node.Ec2.CreateTagsAsync(request, token), cancellationToken);
    }

    private async Task<List<NetworkInterface>> DescribeAsync(Node node, List<Filter> filters, CancellationToken cancellationToken)
    {
        var all = new List<NetworkInterface>();
        string? next = null;
        for (var page = 0; page < MaxPages; page++)
        {
            var request = new DescribeNetworkInterfacesRequest
            {
                Filters = filters,
                MaxResults = PageSize,
                NextToken = next,
            };
            var response = await _caller.CallAsync(
                DescribeOperation,
                Idempotency.Safe,
                token => node.Ec2.DescribeNetworkInterfacesAsync(request, token),
                cancellationToken
            );
            all.AddRange(response.NetworkInterfaces ?? []);
            next = response.NextToken;
            if (string.IsNullOrEmpty(next))
                return all;
        }

        throw InterfaceMapping.Unreadable(DescribeOperation, $"more than {MaxPages} pages of {PageSize} interfaces for one node");
    }

    private async Task<List<Ec2Interface>> MapAsync(
        Node node,
        List<NetworkInterface> described,
        string operation,
        CancellationToken cancellationToken
    )
    {
        await _subnets.LoadAsync(node.Ec2, described, cancellationToken);
        return
        [
            .. described.Select(eni =>
                InterfaceMapping.ToEc2Interface(eni, _subnets.Get(eni.SubnetId), node.Identity.Ipv6Address, operation)
            ),
        ];
    }

    private static ConnectionTrackingSpecificationRequest? Copy(ConnectionTrackingConfiguration? tracking) =>
        tracking is null
            ? null
            : new()
            {
                TcpEstablishedTimeout = tracking.TcpEstablishedTimeout,
                UdpStreamTimeout = tracking.UdpStreamTimeout,
                UdpTimeout = tracking.UdpTimeout,
            };
}
