// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>
/// The true state of the node's pool, compared with the documented targets of the AWS VPC CNI (its docs/eni-and-ip-target.md and
/// docs/prefix-and-ip-target.md), which are computed here independently.
/// </summary>
/// <remarks>
/// Addresses are those of the family that the targets count: IPv6 in IPv6 mode, IPv4 otherwise. Without prefix delegation a leftover
/// prefix counts only as far as it is used. In dual stack an IPv4 address is available when its interface has an IPv6 address for it, or
/// the cloud would give one (docs/ipv6.md).
/// </remarks>
internal sealed class PoolTruth
{
    private const string OwnerTag = "node.k8s.amazonaws.com/instance_id";
    private const string UnmanagedTag = "node.k8s.amazonaws.com/no_manage";
    private const string RoleTag = "kubernetes.io/role/cni";
    private const string ClusterTag = "cni.networking.k8s.aws/cluster/";
    private readonly Scenario _scenario;
    private readonly VpcWorld _world;
    private readonly InstanceId _instance;
    private readonly (SubnetId Subnet, IReadOnlyList<SecurityGroupId> Groups)? _custom;
    private readonly PodMode _mode;
    private readonly bool _usesPrefixes;
    private readonly int _podLimit;
    private readonly IReadOnlyList<NetworkInterface> _attached;
    private readonly NetworkInterface[] _managed;
    private readonly NetworkInterface[] _usable;

    /// <summary>Addresses that pods have, of the family that counts.</summary>
    private readonly HashSet<IPAddress> _used;

    /// <summary>Those of both families.</summary>
    private readonly HashSet<IPAddress> _usedOfAny;

    public PoolTruth(
        Scenario scenario,
        VpcWorld world,
        InstanceId instance,
        (bool UsesPrefixes, PodMode Mode) settings,
        (SubnetId Subnet, IReadOnlyList<SecurityGroupId> Groups)? custom,
        IEnumerable<PodRecord> live
    )
    {
        (_scenario, _world, _instance, _custom) = (scenario, world, instance, custom);
        (_mode, _podLimit) = (settings.Mode, scenario.PodLimit(settings.UsesPrefixes, settings.Mode));
        _usesPrefixes = settings.UsesPrefixes && scenario.Type.SupportsPrefixes;
        _attached = world.InterfacesOf(instance);
        _managed = [.. _attached.Where(IsManaged)];
        _usable = [.. _managed.Where(eni => !IsExcluded(eni))];
        _usedOfAny = [.. live.SelectMany(pod => pod.Addresses).Where(address => _managed.Any(eni => AddressMath.Carries(eni, address)))];
        _used = [.. _usedOfAny.Where(address => AddressMath.IsIpv6(address) == IsIpv6Mode)];
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

    private bool IsIpv6Mode => _mode == PodMode.Ipv6;

    /// <summary>Whether one prefix on the primary interface has addresses for every pod, so that targets mean nothing.</summary>
    private bool HasOnePrefixForAll => IsIpv6Mode && _usesPrefixes;

    private int PrefixSize => IsIpv6Mode ? AddressMath.Ipv6PrefixSize : AddressMath.Ipv4PrefixSize;

    private int PerInterface => _scenario.PerInterface(_mode);

    private int Total => _usable.Sum(Counted) + UsedElsewhere;

    /// <summary>Used addresses of blocks that do not count: leftover prefixes, interfaces of excluded subnets.</summary>
    private int UsedElsewhere => _used.Count(address => !_usable.Any(eni => IsCounted(eni, address)));

    private int Available => _usable.Sum(Free);

    /// <summary>Addresses of an interface that count.</summary>
    private int Counted(NetworkInterface eni) => Singles(eni).Count + (_usesPrefixes ? Prefixes(eni).Length * PrefixSize : 0);

    private bool IsCounted(NetworkInterface eni, IPAddress address) =>
        Singles(eni).Contains(address) || (_usesPrefixes && Prefixes(eni).Any(prefix => prefix.Contains(address)));

    private HashSet<IPAddress> Singles(NetworkInterface eni) =>
        IsIpv6Mode ? [.. AddressMath.PodIpv6Addresses(eni)] : [.. eni.SecondaryAddresses];

    private IPNetwork[] Prefixes(NetworkInterface eni) => [.. IsIpv6Mode ? eni.Ipv6Prefixes : eni.Ipv4Prefixes];

    /// <summary>Number of pods that the interface has addresses for, or would have.</summary>
    private int Free(NetworkInterface eni)
    {
        var free = Counted(eni) - _used.Count(address => IsCounted(eni, address));
        return _mode == PodMode.Dual ? Math.Min(free, FreeIpv6(eni) + (Ipv6Room(eni) * Ipv6Size)) : free;
    }

    private int Ipv6Size => _usesPrefixes ? AddressMath.Ipv6PrefixSize : 1;

    private int FreeIpv6(NetworkInterface eni) =>
        AddressMath.PodIpv6Addresses(eni).Count(address => !_usedOfAny.Contains(address))
        + (eni.Ipv6Prefixes.Length * AddressMath.Ipv6PrefixSize);

    /// <summary>Number of IPv6 addresses or prefixes that the cloud would add to an interface.</summary>
    private int Ipv6Room(NetworkInterface eni) =>
        HasIpv6(eni.Subnet)
            ? Math.Max(_scenario.Type.Ipv6PerInterface - 1 - AddressMath.PodIpv6Addresses(eni).Count() - eni.Ipv6Prefixes.Length, 0)
            : 0;

    /// <summary>
    /// Number of IPv6 addresses that the interface has more than IPv4 ones, of all and of those that no pod has; negative when some are
    /// missing.
    /// </summary>
    private int ExcessIpv6(NetworkInterface eni)
    {
        var used = _usedOfAny.Count(address => AddressMath.IsIpv6(address) && IsCountedIpv6(eni, address));
        var all = AddressMath.PodIpv6Addresses(eni).Count() + (_usesPrefixes ? eni.Ipv6Prefixes.Length * AddressMath.Ipv6PrefixSize : 0);
        return Math.Min(all - Counted(eni), all - used - Counted(eni) + _used.Count(address => IsCounted(eni, address)));
    }

    private bool IsCountedIpv6(NetworkInterface eni, IPAddress address) =>
        AddressMath.Carries(eni, address) && (_usesPrefixes || !eni.Ipv6Prefixes.Any(prefix => prefix.Contains(address)));

    private bool HasIpv6(SubnetId subnet) => _world.FindSubnet(subnet)!.Ipv6Range is not null;

    /// <summary>An interface with fewer IPv6 than IPv4 addresses, although the cloud would give some: dual stack only.</summary>
    public string? Unpaired() =>
        _mode == PodMode.Dual && _usable.FirstOrDefault(eni => ExcessIpv6(eni) < 0 && Ipv6Room(eni) > 0) is { } lacking
            ? $"{lacking.Id} has {-ExcessIpv6(lacking)} IPv6 addresses fewer than IPv4 ones, and the cloud would give some"
            : null;

    /// <summary>Free addresses to keep at least: an empty pool always counts as too low.</summary>
    private int Wanted =>
        Math.Max(
            HasOnePrefixForAll ? 1
                : HasAddressTargets ? _scenario.WarmIp
                : _usesPrefixes ? _scenario.WarmPrefix * PrefixSize
                : _scenario.WarmEni * PerInterface,
            1
        );

    private int Minimum => HasAddressTargets && !HasOnePrefixForAll ? _scenario.MinimumIp : 0;

    private int FreePrefixes => _usesPrefixes ? _usable.Sum(eni => Prefixes(eni).Count(prefix => !_used.Any(prefix.Contains))) : 0;

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
        if (!HasOnePrefixForAll)
        {
            if (HasAddressTargets && !_usesPrefixes && spare > 0)
                return $"{spare} addresses too many ({this})";
            if (_usesPrefixes && spare >= PrefixSize && FreePrefixes > (HasAddressTargets ? 0 : _scenario.WarmPrefix))
                return $"a prefix too many ({this}, {FreePrefixes} wholly free prefixes)";
        }

        return _managed.Select(eni => Surplus(eni, spare)).FirstOrDefault(surplus => surplus is not null);
    }

    private string? Surplus(NetworkInterface eni, int spare)
    {
        var isUnused = !_usedOfAny.Any(address => AddressMath.Carries(eni, address));
        if (!_usesPrefixes && Prefixes(eni).Any(prefix => !_used.Any(prefix.Contains)))
            return $"{eni.Id} has an unused prefix that does not fit the mode ({this})";
        if (
            _mode == PodMode.Dual
            && spare >= 0
            && ExcessIpv6(eni) > 0
            && AddressMath.PodIpv6Addresses(eni).Any(address => !_usedOfAny.Contains(address))
        )
            return $"{eni.Id} has {ExcessIpv6(eni)} IPv6 addresses more than IPv4 ones";
        if (eni.Attachment!.IsPrimary || !isUnused || !IsOwn(eni))
            return null;
        if (IsExcluded(eni))
            return $"{eni.Id} is unused and in a subnet that is not for pods";
        if (HasOnePrefixForAll)
            return Available - Free(eni) >= Wanted ? $"{eni.Id} is unused, and pods have addresses of the primary interface" : null;
        // As documented, whole interfaces are removed only when one more than the target is free.
        return
            !HasAddressTargets
            && !_usesPrefixes
            && Available >= (_scenario.WarmEni + 1) * PerInterface
            && spare >= Singles(eni).Count + (Prefixes(eni).Length * PrefixSize)
            ? $"{eni.Id} is unused and more than WARM_ENI_TARGET is free ({this})"
            : null;
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
        if (HasOnePrefixForAll)
            return _usable.Any(eni => eni.Attachment!.IsPrimary && Ipv6Room(eni) > 0);
        if (_usable.Any(CanGrow))
            return true;
        if (_attached.Count >= _scenario.MaxInterfaces)
            return false;
        return Candidates()
            .Where(subnet => _mode == PodMode.Ipv4 || HasIpv6(subnet))
            .Any(subnet =>
                IsIpv6Mode ? _world.FreeAddresses(subnet) > 0
                : _usesPrefixes && !isPoolEmpty
                    ? _world.FreePrefixes(subnet) > 0 && _world.FreeAddresses(subnet) > PrefixSize + 1 && !WouldSplit(subnet)
                : _world.FreeAddresses(subnet) >= 2
            );
    }

    private bool CanGrow(NetworkInterface eni) =>
        IsIpv6Mode
            ? Ipv6Room(eni) > 0
            : eni.Ipv4Slots - 1 < PerInterface
                && _world.FreeAddresses(eni.Subnet) > 0
                && (_mode == PodMode.Ipv4 || ExcessIpv6(eni) > 0 || Ipv6Room(eni) > 0);

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
}
