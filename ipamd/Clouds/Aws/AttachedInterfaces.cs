// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// The node's interfaces as EC2 last described them, which calls by attachment need, and their translation to the ports: which of them this
/// daemon manages, and which lack something. Thread-safe.
/// </summary>
/// <param name="manageUntagged">See <see cref="InterfacePolicy.ManageUntagged"/>.</param>
internal sealed class AttachedInterfaces(bool manageUntagged)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, Ec2Interface> _described = [];
    private NodeIdentity? _node;

    /// <summary>The node's identity, read once.</summary>
    public async Task<NodeIdentity> NodeAsync(IEc2 ec2, CancellationToken cancellationToken) =>
        _node ??= await ec2.IdentifyNodeAsync(cancellationToken);

    /// <summary>Describes the attached interfaces.</summary>
    public async Task<IReadOnlyList<CloudInterface>> DescribeAsync(IEc2 ec2, CancellationToken cancellationToken)
    {
        await NodeAsync(ec2, cancellationToken);
        var attached = await ec2.DescribeAttachedInterfacesAsync(cancellationToken);
        lock (_lock)
        {
            _described.Clear();
            foreach (var item in attached)
                _described[item.Id] = item;
        }

        return ToCloud(attached);
    }

    /// <summary>The last description of an attached interface; null for none.</summary>
    public Ec2Interface? Find(NetworkInterfaceId id)
    {
        lock (_lock)
            return _described.GetValueOrDefault(id);
    }

    /// <summary>Records an interface that this daemon attached.</summary>
    public CloudInterface Add(Ec2Interface attached)
    {
        lock (_lock)
            _described[attached.Id] = attached;
        return ToCloud([attached])[0];
    }

    /// <summary>Translates the interfaces that are attached; the node's identity has been read.</summary>
    public IReadOnlyList<CloudInterface> ToCloud(IReadOnlyList<Ec2Interface> interfaces)
    {
        var policy = Policy;
        return
        [
            .. interfaces
                .Where(item => item.Slot is not null)
                .Select(item => new CloudInterface
                {
                    Id = item.Id,
                    Mac = item.Mac,
                    SubnetId = item.SubnetId,
                    SubnetRange = item.SubnetRange,
                    PrimaryAddress = item.PrimaryAddress,
                    Blocks = item.Blocks,
                    SecurityGroupIds = item.SecurityGroupIds,
                    Slot = item.Slot!.Value,
                    CarriesPods = policy.CarriesPods(item),
                    IsDetaching = item.State is not (Ec2InterfaceState.InUse or Ec2InterfaceState.Attaching),
                    IsIncomplete = policy.OutlivesInstance(item) || policy.LacksOwner(item),
                }),
        ];
    }

    public InterfacePolicy Policy =>
        new((_node ?? throw new InvalidOperationException("the node is not identified yet")).NodeId, manageUntagged);
}
