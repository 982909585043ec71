// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>
/// The true state of the node's pool, compared with the documented targets of the AWS VPC CNI (its docs/eni-and-ip-target.md and
/// docs/prefix-and-ip-target.md), which are computed here independently.
/// </summary>
/// <remarks>
/// T addresses attached, A assigned, W warm, M minimum, E warm interfaces, P warm prefixes, N addresses of an interface. Without prefix
/// delegation a leftover prefix counts only as far as it is used.
/// </remarks>
internal sealed class PoolTruth
{
    private const string OwnerTag = "node.k8s.amazonaws.com/instance_id";
    private const string UnmanagedTag = "node.k8s.amazonaws.com/no_manage";
    private const string RoleTag = "kubernetes.io/role/cni";
    private const string ClusterTag = "cni.networking.k8s.aws/cluster/";
    private const int PrefixSize = 16;

    private readonly Scenario _scenario;
    private readonly VpcWorld _world;
    private readonly InstanceId _instance;
    private readonly (SubnetId Subnet, IReadOnlyList<SecurityGroupId> Groups)? _custom;
    private readonly bool _usesPrefixes;
    private readonly int _podLimit;
    private readonly IReadOnlyList<NetworkInterface> _attached;
    private readonly NetworkInterface[] _managed;
    private readonly NetworkInterface[] _usable;
    private readonly HashSet<IPAddress> _used;

    public PoolTruth(
        Scenario scenario,
        VpcWorld world,
        InstanceId instance,
        bool usesPrefixes,
        (SubnetId Subnet, IReadOnlyList<SecurityGroupId> Groups)? custom,
        IEnumerable<PodRecord> live
    )
    {
        (_scenario, _world, _instance, _custom) = (scenario, world, instance, custom);
        (_usesPrefixes, _podLimit) = (usesPrefixes && scenario.Type.SupportsPrefixes, scenario.PodLimit(usesPrefixes));
        _attached = world.InterfacesOf(instance);
        _managed = [.. _attached.Where(IsManaged)];
        _usable = [.. _managed.Where(eni => !IsExcluded(eni))];
        _used = [.. live.Select(pod => pod.Address!).Where(address => _managed.Any(eni => Carries(eni, address)))];
    }

    /// <summary>Whether one more pod could be served, by a free address or one that the cloud would assign.</summary>
    public bool CanServeOneMore => Available > 0 || (Total < _podLimit && CanGrow(isPoolEmpty: true));

    public override string ToString() => $"{Total} attached, {_used.Count} assigned, {Available} available";

    /// <summary>The attached interfaces that the daemon manages.</summary>
    public IReadOnlyList<NetworkInterface> Managed => _managed;

    /// <summary>An unattached interface of this node's daemon, and whether someone else detached it.</summary>
    public (string What, bool IsByOthers)? Leak(IReadOnlySet<EniId> detachedByOthers) =>
        _world.Interfaces.FirstOrDefault(eni => IsOwn(eni) && eni.Attachment is null) is { } leaked
            ? ($"{leaked.Id} was created by the daemon and is unattached: leaked", detachedByOthers.Contains(leaked.Id))
            : null;

    private bool HasAddressTargets => _scenario.WarmIp > 0 || _scenario.MinimumIp > 0;

    private int Total =>
        _usable.Sum(eni => eni.SecondaryAddresses.Length + (_usesPrefixes ? eni.Ipv4Prefixes.Length * PrefixSize : 0)) + UsedElsewhere;

    /// <summary>Used addresses of blocks that do not count: leftover prefixes, interfaces of excluded subnets.</summary>
    private int UsedElsewhere =>
        _used.Count(address => !_usable.Any(eni => eni.SecondaryAddresses.Contains(address) || (_usesPrefixes && InPrefix(eni, address))));

    private int Available => Total - _used.Count;

    /// <summary>Free addresses to keep at least: an empty pool always counts as too low.</summary>
    private int Wanted =>
        Math.Max(
            HasAddressTargets ? _scenario.WarmIp
                : _usesPrefixes ? _scenario.WarmPrefix * PrefixSize
                : _scenario.WarmEni * _scenario.PerInterface,
            1
        );

    private int Minimum => HasAddressTargets ? _scenario.MinimumIp : 0;

    private int FreePrefixes => _usesPrefixes ? _usable.Sum(eni => eni.Ipv4Prefixes.Count(prefix => !_used.Any(prefix.Contains))) : 0;

    /// <summary>Missing addresses that the cloud would assign; null when none are missing.</summary>
    public string? Shortage()
    {
        var missing = Math.Min(Math.Max(Wanted - Available, Minimum - Total), _podLimit - Total);
        return missing > 0 && CanGrow(isPoolEmpty: Available <= 0)
            ? $"{missing} addresses are missing ({this}), and the cloud would give some"
            : null;
    }

    /// <summary>What exceeds the targets; null when nothing does.</summary>
    public string? Surplus()
    {
        var spare = Math.Min(Available - Wanted, Total - Minimum);
        if (HasAddressTargets && !_usesPrefixes && spare > 0)
            return $"{spare} addresses too many ({this})";
        if (_usesPrefixes && spare >= PrefixSize && FreePrefixes > (HasAddressTargets ? 0 : _scenario.WarmPrefix))
            return $"a prefix too many ({this}, {FreePrefixes} wholly free prefixes)";
        foreach (var eni in _managed)
        {
            var isUnused = !_used.Any(address => Carries(eni, address));
            if (!_usesPrefixes && eni.Ipv4Prefixes.Any(prefix => !_used.Any(prefix.Contains)))
                return $"{eni.Id} has an unused prefix that does not fit the mode ({this})";
            if (eni.Attachment!.IsPrimary || !isUnused || !IsOwn(eni))
                continue;
            if (IsExcluded(eni))
                return $"{eni.Id} is unused and in a subnet that is not for pods";
            // As documented, whole interfaces are removed only when one more than the target is free.
            if (
                !HasAddressTargets
                && !_usesPrefixes
                && Available >= (_scenario.WarmEni + 1) * _scenario.PerInterface
                && spare >= Addresses(eni)
            )
                return $"{eni.Id} is unused and more than WARM_ENI_TARGET is free ({this})";
        }

        return null;
    }

    /// <summary>An interface of this daemon that is attaching or detaching, or would outlive the instance.</summary>
    public string? Unfinished()
    {
        foreach (var eni in _attached.Where(IsOwn))
        {
            if (eni.Attachment!.Status != AttachmentStatus.Attached)
                return $"{eni.Id} is {eni.Attachment.Status}";
            if (eni.Attachment is { DeleteOnTermination: false, IsPrimary: false })
                return $"{eni.Id} would outlive the node";
        }

        return null;
    }

    /// <summary>An interface for pods whose security groups are neither the primary one's nor the configured ones.</summary>
    public string? WrongGroups()
    {
        var primary = _attached.Single(eni => eni.Attachment!.IsPrimary).Groups;
        foreach (var eni in _managed.Where(eni => !eni.Attachment!.IsPrimary && (_custom is null || !IsExcluded(eni))))
        {
            var wanted = _custom is { Groups: { Count: > 0 } configured } ? configured : primary;
            if (!eni.Groups.ToHashSet().SetEquals(wanted))
                return $"{eni.Id} has the security groups {string.Join(' ', eni.Groups)} and not {string.Join(' ', wanted)}";
        }

        return null;
    }

    /// <summary>
    /// Whether the cloud would assign at least one address. With prefixes, single addresses replace prefixes where no subnet has a whole
    /// one; a new interface is created for them only as a last resort.
    /// </summary>
    private bool CanGrow(bool isPoolEmpty)
    {
        if (_usable.Any(eni => eni.Ipv4Slots - 1 < _scenario.PerInterface && _world.FreeAddresses(eni.Subnet) > 0))
            return true;
        if (_attached.Count >= _scenario.MaxInterfaces)
            return false;
        return Candidates()
            .Any(subnet =>
                _usesPrefixes && !isPoolEmpty
                    ? _world.FreePrefixes(subnet) > 0 && _world.FreeAddresses(subnet) > PrefixSize + 1 && !WouldSplit(subnet)
                    : _world.FreeAddresses(subnet) >= 2
            );
    }

    /// <summary>Whether the interface's primary address may break the only free prefix.</summary>
    private bool WouldSplit(SubnetId subnet) => _world.FreePrefixes(subnet) == 1;

    private SubnetId[] Candidates()
    {
        if (_custom is { } custom)
            return [custom.Subnet];
        var primary = PrimarySubnet;
        if (!_scenario.DiscoversSubnets)
            return [primary];
        return [.. _world.Subnets.Where(subnet => IsForPods(subnet, primary)).Select(subnet => subnet.Id)];
    }

    private SubnetId PrimarySubnet => _world.FindInstance(_instance)!.Subnet;

    private static bool IsForPods(Subnet subnet, SubnetId primary)
    {
        var role = subnet.Tags.GetValueOrDefault(RoleTag);
        if (string.Equals(role, "0", StringComparison.Ordinal))
            return false;
        if (subnet.Id == primary)
            return true;
        return role is not null
            && (
                !subnet.Tags.Keys.Any(key => key.StartsWith(ClusterTag, StringComparison.Ordinal))
                || subnet.Tags.ContainsKey(ClusterTag + "sim")
            );
    }

    /// <summary>
    /// Whether the interface is in a subnet that is not for pods; with custom networking, in any but the configured one, or is the primary
    /// one.
    /// </summary>
    private bool IsExcluded(NetworkInterface eni) =>
        _custom is { } custom
            ? eni.Attachment!.IsPrimary || eni.Subnet != custom.Subnet
            : _scenario.DiscoversSubnets
                && string.Equals(_world.FindSubnet(eni.Subnet)!.Tags.GetValueOrDefault(RoleTag), "0", StringComparison.Ordinal);

    private bool IsManaged(NetworkInterface eni)
    {
        if (eni.Attachment is not { Status: AttachmentStatus.Attached, NetworkCard: 0 } attachment)
            return false;
        if (attachment.IsPrimary)
            return true;
        if (eni.Tags.TryGetValue(UnmanagedTag, out var unmanaged) && string.Equals(unmanaged, "true", StringComparison.Ordinal))
            return false;
        return _scenario.ManageUntagged || IsTagged(eni);
    }

    /// <summary>Whether the daemon created it. Interfaces of others may get its tag once it uses them, but never its description.</summary>
    private bool IsOwn(NetworkInterface eni) => IsTagged(eni) && eni.Description.StartsWith("aws-K8S-", StringComparison.Ordinal);

    private bool IsTagged(NetworkInterface eni) =>
        eni.Tags.TryGetValue(OwnerTag, out var owner) && string.Equals(owner, _instance.Value, StringComparison.Ordinal);

    private static int Addresses(NetworkInterface eni) => eni.SecondaryAddresses.Length + (eni.Ipv4Prefixes.Length * PrefixSize);

    private static bool Carries(NetworkInterface eni, IPAddress address) =>
        eni.SecondaryAddresses.Contains(address) || InPrefix(eni, address);

    private static bool InPrefix(NetworkInterface eni, IPAddress address) => eni.Ipv4Prefixes.Any(prefix => prefix.Contains(address));
}
