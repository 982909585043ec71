// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>
/// A small stateful cloud: one node, one subnet (more by <see cref="WithSubnet"/>), deterministic ids and addresses. Records every call.
/// The next call of a kind can be made to fail, before or after its effect, or to hang until released.
/// </summary>
internal sealed class FakeCloud(int maxInterfaces = 3, int addressesPerInterface = 4) : IEc2
{
    public static readonly IPNetwork Subnet = IPNetwork.Parse("10.0.0.0/20");
    private const string NodeId = "i-1";
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Queue<Func<Exception?>>> _faults = [];
    private readonly List<Ec2Interface> _interfaces = [];
    private readonly Dictionary<string, NetworkInterfaceId> _tokens = [];
    private readonly Dictionary<string, CloudSubnet> _subnets = new()
    {
        ["subnet-1"] = new CloudSubnet("subnet-1", "vpc-1", "fake-1a", Subnet, 4000, new Dictionary<string, string>()),
    };
    private readonly Dictionary<string, int> _nextAddress = [];
    private int _nextInterface;
    private int _nextAttachment;

    public List<string> Calls { get; } = [];

    /// <summary>Limits that are known without a call.</summary>
    public NodeLimits? Known { get; set; }

    /// <summary>Converts the true state to the instance metadata.</summary>
    public Func<IReadOnlyList<InterfaceHint>, IReadOnlyList<InterfaceHint>> HintFilter { get; set; } = hints => hints;

    /// <summary>Ranges of the network.</summary>
    public IReadOnlyList<IPNetwork> Ranges { get; set; } = [IPNetwork.Parse("10.0.0.0/16")];

    /// <summary>When set, every call waits for it.</summary>
    public TaskCompletionSource? Gate { get; set; }

    /// <summary>The ports on this cloud, without budget.</summary>
    public AwsCloud Ports => field ??= new AwsCloud(this, new AttachedInterfaces(this, manageUntagged: true));

    /// <summary>An interface as the ports show it; detached ones are not shown.</summary>
    public static CloudInterface ToPort(Ec2Interface item) =>
        new()
        {
            Id = item.Id,
            Mac = item.Mac,
            SubnetId = item.SubnetId,
            SubnetRange = item.SubnetRange,
            PrimaryAddress = item.PrimaryAddress,
            Blocks = item.Blocks,
            SecurityGroupIds = item.SecurityGroupIds,
            Slot = item.Slot!.Value,
            CarriesPods = true,
        };

    public IReadOnlyList<Ec2Interface> Interfaces
    {
        get
        {
            lock (_lock)
                return [.. _interfaces];
        }
    }

    public FakeCloud WithPrimary(int blocks = 0)
    {
        _interfaces.Add(
            New("subnet-1", ["sg-1"], blocks) with
            {
                AttachmentId = "attach-0",
                Slot = Slot.Primary,
                State = Ec2InterfaceState.InUse,
            }
        );
        return this;
    }

    public FakeCloud WithSubnet(string id, string range, string zone = "fake-1a", string network = "vpc-1")
    {
        _subnets[id] = new CloudSubnet(id, network, zone, IPNetwork.Parse(range), 200, new Dictionary<string, string>());
        return this;
    }

    private readonly Dictionary<string, int> _left = [];

    /// <summary>Limits the free addresses of a subnet, which then rejects larger requests, all or nothing.</summary>
    public void SetLeft(string subnetId, int addresses)
    {
        lock (_lock)
            _left[subnetId] = addresses;
    }

    /// <summary>Free addresses in a description, given the true number; differs with a reservation, for example.</summary>
    public Func<int, int> ShownLeft { get; set; } = left => left;

    /// <summary>The calls that take addresses, each with the number of requested blocks.</summary>
    public List<string> Asked { get; } = [];

    private void TakeFrom(string subnetId, string operation, int blocks, int own)
    {
        Asked.Add($"{operation} {blocks}");
        if (!_left.TryGetValue(subnetId, out var left))
            return;
        if (blocks + own > left)
            throw new CloudException(CloudErrorKind.SubnetExhausted, operation, "InsufficientFreeAddressesInSubnet", $"{subnetId} is full");
        _left[subnetId] = left - blocks - own;
    }

    /// <summary>The primary interface's groups in the instance metadata; null for the true ones.</summary>
    public IReadOnlyList<string>? HintedGroups { get; set; }

    public void FailNext(string operation, CloudErrorKind kind, int times = 1)
    {
        if (!_faults.TryGetValue(operation, out var queue))
            _faults[operation] = queue = new();
        for (var index = 0; index < times; index++)
            queue.Enqueue(() => new CloudException(kind, operation, kind.ToString(), "made to fail"));
    }

    public void FailNext(string operation, Func<Exception> failure)
    {
        if (!_faults.TryGetValue(operation, out var queue))
            _faults[operation] = queue = new();
        queue.Enqueue(failure);
    }

    /// <summary>Removes all planned failures.</summary>
    public void Forgive() => _faults.Clear();

    /// <summary>Changes an interface, as someone else would.</summary>
    public void Change(NetworkInterfaceId id, Func<Ec2Interface, Ec2Interface?> change)
    {
        lock (_lock)
        {
            var index = _interfaces.FindIndex(item => item.Id == id);
            var changed = change(_interfaces[index]);
            if (changed is null)
                _interfaces.RemoveAt(index);
            else
                _interfaces[index] = changed;
        }
    }

    public Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken) => CallAsync("IdentifyNode", () => Identity);

    public NodeIdentity Identity =>
        new()
        {
            NodeId = NodeId,
            NodeType = "fake.small",
            Region = "fake-1",
            Zone = "fake-1a",
            NetworkId = "vpc-1",
            PrimaryAddress = _interfaces[0].PrimaryAddress,
            PrimaryMac = _interfaces[0].Mac,
            PrimaryInterface = _interfaces[0].Id,
            PrimarySubnetId = "subnet-1",
        };

    public NodeLimits? KnownLimits(string nodeType) => Known;

    public Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken) =>
        CallAsync("DescribeLimits", () => Ec2Limits.Of(maxInterfaces, addressesPerInterface, 0, hasPrefixes: false));

    public Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<Ec2Interface>>(
            "DescribeAttachedInterfaces",
            () => [.. _interfaces.Where(item => item.AttachmentId is not null)]
        );

    public Task<IReadOnlyList<Ec2Interface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<Ec2Interface>>(
            "DescribeUnattachedInterfaces",
            () => [.. _interfaces.Where(item => item.AttachmentId is null)]
        );

    public Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<IPNetwork>>("DescribeNetworkRanges", () => Ranges);

    public Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
        CallAsync(
            "CreateInterface",
            () =>
            {
                if (_tokens.TryGetValue(request.IdempotencyToken, out var existing))
                    return _interfaces.Single(item => item.Id == existing);
                var blocks = request.Blocks.Sum(item => item.Count);
                TakeFrom(request.SubnetId, "CreateInterface", blocks, own: 1);
                var created = New(request.SubnetId, request.SecurityGroupIds, blocks) with
                {
                    Description = EniTags.DescriptionPrefix + NodeId,
                    Tags = new Dictionary<string, string> { [EniTags.InstanceId] = NodeId },
                };
                _interfaces.Add(created);
                _tokens[request.IdempotencyToken] = created.Id;
                return created;
            }
        );

    public Task<string> AttachInterfaceAsync(NetworkInterfaceId id, Slot slot, CancellationToken cancellationToken) =>
        CallAsync(
            "AttachInterface",
            () =>
            {
                if (_interfaces.Count(item => item.AttachmentId is not null) >= maxInterfaces)
                    throw new CloudException(CloudErrorKind.InterfaceLimit, "AttachInterface", "AttachmentLimitExceeded", "full");
                if (_interfaces.Any(item => item.Slot == slot))
                    throw new CloudException(CloudErrorKind.Conflict, "AttachInterface", "InvalidParameterValue", "index in use");
                var attachment = $"attach-{++_nextAttachment}";
                Replace(id, item => item with { AttachmentId = attachment, Slot = slot, State = Ec2InterfaceState.InUse });
                return attachment;
            }
        );

    public Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        CallAsync("SetDeleteOnTermination", () => Replace(id, item => item with { DeleteOnTermination = true }));

    public Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        CallAsync(
            "DetachInterface",
            () =>
                _interfaces.Any(item => item.Id == id && item.AttachmentId == attachmentId)
                    ? Replace(id, item => item with { AttachmentId = null, Slot = null, State = Ec2InterfaceState.Available })
                    : throw new CloudException(CloudErrorKind.NotFound, "DetachInterface", "InvalidAttachmentID.NotFound", attachmentId)
        );

    public Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken) =>
        CallAsync(
            "DeleteInterface",
            () =>
            {
                if (_interfaces.Any(item => item.Id == id && item.AttachmentId is not null))
                    throw new CloudException(CloudErrorKind.Conflict, "DeleteInterface", "InUse", "attached");
                return _interfaces.RemoveAll(item => item.Id == id);
            }
        );

    public Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    ) =>
        CallAsync<IReadOnlyList<IPNetwork>>(
            "AssignBlocks",
            () =>
            {
                var present = _interfaces.Single(item => item.Id == id);
                if (present.Blocks.Count + request.Count > addressesPerInterface - 1)
                    throw new CloudException(CloudErrorKind.AddressLimit, "AssignBlocks", "PrivateIpAddressLimitExceeded", "full");
                TakeFrom(present.SubnetId, "AssignBlocks", request.Count, own: 0);
                var added = Blocks(present.SubnetId, request.Count);
                Replace(id, item => item with { Blocks = [.. item.Blocks, .. added] });
                return added;
            }
        );

    public Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken) =>
        CallAsync("UnassignBlocks", () => Replace(id, item => item with { Blocks = [.. item.Blocks.Except(blocks)] }));

    public Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<InterfaceHint>>(
            "HintAttachedInterfaces",
            () =>
                HintFilter([
                    .. _interfaces.Where(item => item.AttachmentId is not null).Select(item => new InterfaceHint(item.Id, item.Blocks)),
                ])
        );

    /// <summary>The interfaces without tags and attachments, filtered by <see cref="HintFilter"/>.</summary>
    public Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<Ec2Interface>>(
            "ReadMetadataInterfaces",
            () =>
            {
                var attached = _interfaces.Where(item => item.AttachmentId is not null).ToArray();
                var shown = HintFilter([.. attached.Select(item => new InterfaceHint(item.Id, item.Blocks))]);
                return
                [
                    .. shown.Select(hint =>
                        attached.Single(item => item.Id == hint.Id) with
                        {
                            Blocks = hint.Blocks,
                            Tags = new Dictionary<string, string>(),
                            AttachmentId = "not-in-instance-metadata",
                        }
                    ),
                ];
            }
        );

    public Task<IReadOnlyList<Ec2Interface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<Ec2Interface>>("DescribeLeakCandidates", () => [.. _interfaces.Where(item => item.AttachmentId is null)]);

    /// <summary>Gives the subnet this tag as its only one.</summary>
    public FakeCloud WithTag(string subnetId, string key, string value)
    {
        _subnets[subnetId] = _subnets[subnetId] with { Tags = new Dictionary<string, string> { [key] = value } };
        return this;
    }

    public Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<CloudSubnet>>(
            "DescribeSubnets",
            () =>
                [
                    .. _subnets
                        .Values.Where(subnet => subnet is { Zone: "fake-1a", NetworkId: "vpc-1" })
                        .Select(subnet =>
                            _left.TryGetValue(subnet.Id, out var left) ? subnet with { FreeAddresses = ShownLeft(left) } : subnet
                        ),
                ]
        );

    public Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken) =>
        CallAsync("FindSubnet", () => _subnets.GetValueOrDefault(subnetId));

    public Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken) =>
        CallAsync("HintSecurityGroups", () => HintedGroups ?? _interfaces.Single(item => item.Slot == new Slot(0, 0)).SecurityGroupIds);

    public Task SetSecurityGroupsAsync(
        NetworkInterfaceId id,
        IReadOnlyList<string> securityGroupIds,
        CancellationToken cancellationToken
    ) => CallAsync("SetSecurityGroups", () => Replace(id, item => item with { SecurityGroupIds = securityGroupIds }));

    public Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken) =>
        CallAsync("TagInterface", () => true);

    private string? _hangsAfter;
    private TaskCompletionSource? _hanging;

    /// <summary>Lets the next call of a kind take effect and never return, as a crash during the call would look.</summary>
    public void HangAfter(string operation) => (_hangsAfter, _hanging) = (operation, new TaskCompletionSource());

    /// <summary>Ends the hanging; later calls are answered again.</summary>
    public void LetGo() => _hangsAfter = null;

    private async Task<T> CallAsync<T>(string operation, Func<T> effect)
    {
        T result;
        if (Gate is { } gate)
            await gate.Task;
        lock (_lock)
        {
            Calls.Add(operation);
            if (_faults.TryGetValue(operation, out var queue) && queue.TryDequeue(out var fault) && fault() is { } exception)
                throw exception;
            result = effect();
        }

        if (_hangsAfter == operation && _hanging is { } hanging)
            await hanging.Task;
        return result;
    }

    private bool Replace(NetworkInterfaceId id, Func<Ec2Interface, Ec2Interface> change)
    {
        var index = _interfaces.FindIndex(item => item.Id == id);
        if (index < 0)
            throw new CloudException(CloudErrorKind.NotFound, "Replace", "InvalidNetworkInterfaceID.NotFound", id.Value);
        _interfaces[index] = change(_interfaces[index]);
        return true;
    }

    private Ec2Interface New(string subnetId, IReadOnlyList<string> groups, int blocks)
    {
        var number = _nextInterface++;
        return new Ec2Interface
        {
            Id = new NetworkInterfaceId($"eni-{number}"),
            Mac = $"02:00:00:00:00:{number:x2}",
            SubnetId = subnetId,
            SubnetRange = _subnets[subnetId].Range,
            PrimaryAddress = NextAddress(subnetId),
            Blocks = Blocks(subnetId, blocks),
            SecurityGroupIds = groups,
            Tags = new Dictionary<string, string>(),
            State = Ec2InterfaceState.Available,
        };
    }

    private IPNetwork[] Blocks(string subnetId, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => IpRanges.Single(NextAddress(subnetId)))];

    /// <summary>The cloud reserves the first four addresses of a subnet.</summary>
    private IPAddress NextAddress(string subnetId)
    {
        var next = _nextAddress.GetValueOrDefault(subnetId, 4);
        _nextAddress[subnetId] = next + 1;
        return IpRanges.AddressAt(_subnets[subnetId].Range, next);
    }
}
