// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// The node's interfaces as EC2 last described them, which calls by attachment need, and their translation to the ports: which of them this
/// daemon manages, and which lack something. Thread-safe.
/// </summary>
/// <param name="ec2">Describes them.</param>
/// <param name="manageUntagged">See <see cref="InterfacePolicy.ManageUntagged"/>.</param>
internal sealed class AttachedInterfaces(IEc2 ec2, bool manageUntagged)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, Ec2Interface> _described = [];
    private InterfacePolicy? _policy;
    private long _lastRequested;
    private long _lastApplied;

    /// <summary>Describes the attached interfaces.</summary>
    public async Task<IReadOnlyList<CloudInterface>> DescribeAsync(CancellationToken cancellationToken)
    {
        long number;
        lock (_lock)
            number = ++_lastRequested;
        var attached = await ec2.DescribeAttachedInterfacesAsync(cancellationToken);
        lock (_lock)
        {
            // Of two descriptions at the same time, the later request counts.
            if (number > _lastApplied)
            {
                _lastApplied = number;
                _described.Clear();
                foreach (var item in attached)
                    _described[item.Id] = item;
            }
        }

        return await ToCloudAsync(attached, cancellationToken);
    }

    /// <summary>The attached interfaces as far as the metadata shows them.</summary>
    public async Task<IReadOnlyList<CloudInterface>> ReadMetadataAsync(CancellationToken cancellationToken) =>
        await ToCloudAsync(await ec2.ReadMetadataInterfacesAsync(cancellationToken), cancellationToken);

    /// <summary>The last description of an attached interface; null for none.</summary>
    public Ec2Interface? Find(NetworkInterfaceId id)
    {
        lock (_lock)
            return _described.GetValueOrDefault(id);
    }

    /// <summary>Records an interface that this daemon attached.</summary>
    public async Task<CloudInterface> AddAsync(Ec2Interface attached, CancellationToken cancellationToken)
    {
        lock (_lock)
            _described[attached.Id] = attached;
        return (await ToCloudAsync([attached], cancellationToken))[0];
    }

    public async Task<InterfacePolicy> PolicyAsync(CancellationToken cancellationToken) =>
        _policy ??= new InterfacePolicy((await ec2.IdentifyNodeAsync(cancellationToken)).NodeId, manageUntagged);

    /// <summary>Translates the interfaces that are attached.</summary>
    private async Task<IReadOnlyList<CloudInterface>> ToCloudAsync(
        IReadOnlyList<Ec2Interface> interfaces,
        CancellationToken cancellationToken
    )
    {
        var policy = await PolicyAsync(cancellationToken);
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
}
