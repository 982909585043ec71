// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;
using Model = VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation;

/// <summary>Operations on interfaces, from create to delete.</summary>
internal sealed partial class ModelCloud
{
    public async Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        [
            .. (await DescribeAsync([new Model.Filter("attachment.instance-id", _instance.Value)], cancellationToken))
                .OrderBy(item => item.Slot is null)
                .ThenBy(item => item.Slot),
        ];

    public Task<IReadOnlyList<Ec2Interface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken) =>
        DescribeAsync(
            [new Model.Filter("tag:" + EniTags.InstanceId, _instance.Value), new Model.Filter("status", "available")],
            cancellationToken
        );

    public async Task<IReadOnlyList<Ec2Interface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken)
    {
        List<Model.Filter> filters =
        [
            new("tag-key", EniTags.InstanceId),
            new("status", "available"),
            new("vpc-id", _world.FindInstance(_instance)!.Vpc.Value),
        ];
        if (_options.ClusterName is { Length: > 0 } cluster)
            filters.Add(new Model.Filter("tag:" + EniTags.ClusterName, cluster));
        return
        [
            .. (await DescribeAsync(filters, cancellationToken)).Where(item =>
                item.Description.StartsWith(EniTags.DescriptionPrefix, StringComparison.Ordinal)
            ),
        ];
    }

    public Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
        CallAsync(
            "CreateNetworkInterface",
            () =>
                ToCloudInterface(
                    _world.CreateNetworkInterface(
                        new Model.CreateInterfaceRequest
                        {
                            ClientToken = request.IdempotencyToken,
                            Subnet = new Model.SubnetId(request.SubnetId),
                            Groups = [.. request.SecurityGroupIds.Select(id => new Model.SecurityGroupId(id))],
                            Description = _tags.Description,
                            Tags = ToDictionary(_tags.ForNew(request.RequestedAt)),
                            Ipv4 = ToRequest(request.Blocks, IpFamily.V4) ?? Model.AddressRequest.None,
                            Ipv6 = ToRequest(request.Blocks, IpFamily.V6),
                        }
                    )
                ),
            cancellationToken
        );

    public Task<string> AttachInterfaceAsync(NetworkInterfaceId id, Slot slot, CancellationToken cancellationToken) =>
        CallAsync(
            "AttachNetworkInterface",
            () =>
                _world
                    .AttachNetworkInterface(new Model.AttachInterfaceRequest(new Model.EniId(id.Value), _instance, slot.DeviceIndex))
                    .Id.Value,
            cancellationToken
        );

    public Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        CallAsync(
            "ModifyNetworkInterfaceAttribute",
            () =>
                _world.ModifyNetworkInterfaceAttribute(
                    new Model.ModifyInterfaceRequest
                    {
                        Interface = new Model.EniId(id.Value),
                        DeleteOnTermination = (new Model.AttachmentId(attachmentId), true),
                    }
                ),
            cancellationToken
        );

    public Task SetSecurityGroupsAsync(
        NetworkInterfaceId id,
        IReadOnlyList<string> securityGroupIds,
        CancellationToken cancellationToken
    ) =>
        CallAsync(
            "ModifyNetworkInterfaceAttribute",
            () =>
                _world.ModifyNetworkInterfaceAttribute(
                    new Model.ModifyInterfaceRequest
                    {
                        Interface = new Model.EniId(id.Value),
                        Groups = [.. securityGroupIds.Select(group => new Model.SecurityGroupId(group))],
                    }
                ),
            cancellationToken
        );

    public Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        CallAsync(
            "DetachNetworkInterface",
            () =>
            {
                _world.DetachNetworkInterface(new Model.AttachmentId(attachmentId));
                return true;
            },
            cancellationToken
        );

    public async Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        try
        {
            await CallAsync(
                "DeleteNetworkInterface",
                () =>
                {
                    _world.DeleteNetworkInterface(new Model.EniId(id.Value));
                    return true;
                },
                cancellationToken
            );
        }
        catch (CloudException exception) when (exception.Kind == CloudErrorKind.NotFound)
        {
            // The desired outcome.
        }
    }

    public Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken) =>
        CallAsync(
            "CreateTags",
            () =>
            {
                _world.CreateTags([id.Value], ToDictionary(createdAt is { } at ? [EniTags.Created(at)] : _tags.ForExisting()));
                return true;
            },
            cancellationToken
        );

    public Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    )
    {
        var eni = new Model.EniId(id.Value);
        return request.Shape.Family == IpFamily.V4
            ? CallAsync(
                "AssignPrivateIpAddresses",
                () => ToBlocks(_world.AssignPrivateIpAddresses(eni, ToRequest(request))),
                cancellationToken
            )
            : CallAsync("AssignIpv6Addresses", () => ToBlocks(_world.AssignIpv6Addresses(eni, ToRequest(request))), cancellationToken);
    }

    public async Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken)
    {
        // EC2 rejects addresses and prefixes of one family in one call. A failure after the first call may have removed some.
        var isUntouched = true;
        foreach (var group in blocks.GroupBy(BlockShape.Of))
        {
            try
            {
                await UnassignAsync(id, [.. group], cancellationToken);
            }
            catch (CloudException exception) when (Ec2ErrorCodes.IsNotAssigned(exception))
            {
                await UnassignRestAsync(id, [.. group], exception, cancellationToken);
            }
            catch (CloudException exception) when (!isUntouched)
            {
                throw OutcomeUnknown(exception);
            }

            isUntouched = false;
        }
    }

    private async Task UnassignRestAsync(
        NetworkInterfaceId id,
        List<IPNetwork> wanted,
        CloudException refusal,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var carried = (await DescribeAsync([new Model.Filter("network-interface-id", id.Value)], cancellationToken))
                .SelectMany(item => item.Blocks)
                .ToHashSet();
            List<IPNetwork> rest = [.. wanted.Where(carried.Contains)];
            if (rest.Count == wanted.Count)
                throw refusal;
            if (rest.Count > 0)
                await UnassignAsync(id, rest, cancellationToken);
        }
        catch (CloudException exception) when (exception.Kind != CloudErrorKind.NotFound)
        {
            throw OutcomeUnknown(exception);
        }
    }

    private static CloudException OutcomeUnknown(CloudException exception) =>
        new(CloudErrorKind.Transient, exception.Operation, exception.Code, exception.Message, innerException: exception);

    private Task<Model.AddressChange> UnassignAsync(NetworkInterfaceId id, List<IPNetwork> blocks, CancellationToken cancellationToken)
    {
        var eni = new Model.EniId(id.Value);
        IPAddress[] addresses = [.. blocks.Where(IpRanges.IsSingle).Select(block => block.BaseAddress)];
        IPNetwork[] prefixes = [.. blocks.Where(block => !IpRanges.IsSingle(block))];
        return IpFamily.Of(blocks[0]) == IpFamily.V4
            ? CallAsync("UnassignPrivateIpAddresses", () => _world.UnassignPrivateIpAddresses(eni, addresses, prefixes), cancellationToken)
            : CallAsync("UnassignIpv6Addresses", () => _world.UnassignIpv6Addresses(eni, addresses, prefixes), cancellationToken);
    }

    private Task<IReadOnlyList<Ec2Interface>> DescribeAsync(IReadOnlyList<Model.Filter> filters, CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<Ec2Interface>>(
            Describe,
            () => [.. _world.DescribeNetworkInterfaces(new Model.Query { Filters = filters }).Items.Select(ToCloudInterface)],
            cancellationToken
        );

    /// <summary>Reads the subnet's range without a call: the production port describes each subnet once.</summary>
    private Ec2Interface ToCloudInterface(Model.NetworkInterface eni) =>
        new()
        {
            Id = new NetworkInterfaceId(eni.Id.Value),
            Mac = eni.Mac,
            SubnetId = eni.Subnet.Value,
            SubnetRange = _world.FindSubnet(eni.Subnet)!.Ipv4Range,
            PrimaryAddress = eni.PrimaryAddress,
            Blocks = Blocks(eni),
            SecurityGroupIds = [.. eni.Groups.Select(group => group.Value)],
            Tags = eni.Tags,
            State = eni.Attachment?.Status switch
            {
                null => Ec2InterfaceState.Available,
                Model.AttachmentStatus.Attaching => Ec2InterfaceState.Attaching,
                Model.AttachmentStatus.Attached => Ec2InterfaceState.InUse,
                Model.AttachmentStatus.Detaching => Ec2InterfaceState.Detaching,
                var unknown => throw new UnreachableException($"unnamed state {unknown}"),
            },
            AttachmentId = eni.Attachment?.Id.Value,
            Slot = eni.Attachment is { } attached ? new Slot(attached.NetworkCard, attached.DeviceIndex) : null,
            DeleteOnTermination = eni.Attachment?.DeleteOnTermination ?? false,
            Description = eni.Description,
            InterfaceType = eni.InterfaceType,
        };

    private static Dictionary<string, string> ToDictionary(IEnumerable<Amazon.EC2.Model.Tag> tags) =>
        tags.ToDictionary(tag => tag.Key!, tag => tag.Value!, StringComparer.Ordinal);

    private static Model.AddressRequest ToRequest(BlockRequest request) =>
        request.Shape.IsSingle ? Model.AddressRequest.Any(request.Count) : Model.AddressRequest.AnyPrefixes(request.Count);

    /// <summary>Null when nothing of the family is requested.</summary>
    private static Model.AddressRequest? ToRequest(IReadOnlyList<BlockRequest> requests, AddressFamily family) =>
        requests.FirstOrDefault(request => request.Shape.Family == family) is { Count: > 0 } wanted ? ToRequest(wanted) : null;

    private static IReadOnlyList<IPNetwork> ToBlocks(Model.AddressChange change) =>
        [.. change.Addresses.Select(IpRanges.Single), .. change.Prefixes];
}
