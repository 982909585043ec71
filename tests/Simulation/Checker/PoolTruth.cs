// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>
/// What the world says of the node's pool, against the documented targets of the AWS VPC CNI (docs/eni-and-ip-target.md and docs/prefix-and-ip-target.md there), computed here once more and on its own.
/// </summary>
/// <remarks>Symbols of that documentation: T addresses attached, A assigned, W warm, M minimum, E warm interfaces, N addresses of an interface.</remarks>
internal sealed class PoolTruth
{
    private const string OwnerTag = "node.k8s.amazonaws.com/instance_id";
    private const string UnmanagedTag = "node.k8s.amazonaws.com/no_manage";

    private readonly Scenario _scenario;
    private readonly VpcWorld _world;
    private readonly InstanceId _instance;
    private readonly IReadOnlyList<NetworkInterface> _attached;
    private readonly NetworkInterface[] _managed;
    private readonly HashSet<IPAddress> _used;

    public PoolTruth(Scenario scenario, VpcWorld world, InstanceId instance, IEnumerable<PodRecord> live)
    {
        (_scenario, _world, _instance) = (scenario, world, instance);
        _attached = world.InterfacesOf(instance);
        _managed = [.. _attached.Where(IsManaged)];
        _used = [.. live.Select(pod => pod.Address!).Where(address => _managed.Any(eni => Carries(eni, address)))];
    }

    public int Total => _managed.Sum(Addresses);

    public int Assigned => _used.Count;

    private int Available => Total - Assigned;

    private bool HasAddressTargets => _scenario.WarmIp > 0 || _scenario.MinimumIp > 0;

    /// <summary>Free addresses to have at least: an empty pool always counts as too low.</summary>
    private int Wanted => HasAddressTargets ? Math.Max(_scenario.WarmIp, 1) : Math.Max(_scenario.WarmEni * _scenario.PerInterface, 1);

    /// <summary>One more pod could be served, by an address that is there or by one that the cloud would give.</summary>
    public bool CanServeOneMore => Available > 0 || (Total < _scenario.MaxPods && CanGrow);

    /// <summary>Null when the pool is what the targets ask for; else what is wrong.</summary>
    public string? Problem => Shortage() ?? Surplus() ?? Leak();

    private string? Shortage()
    {
        var missing = Wanted - Available;
        if (HasAddressTargets) missing = Math.Max(missing, _scenario.MinimumIp - Total);
        missing = Math.Min(missing, _scenario.MaxPods - Total);
        return missing > 0 && CanGrow ? $"{missing} addresses are missing ({Total} attached, {Assigned} assigned), and the cloud would give some" : null;
    }

    private string? Surplus()
    {
        if (HasAddressTargets)
        {
            var over = Math.Min(Available - Wanted, Total - _scenario.MinimumIp);
            return over > 0 ? $"{over} addresses too many ({Total} attached, {Assigned} assigned)" : null;
        }

        if (Available < (_scenario.WarmEni + 1) * _scenario.PerInterface) return null;
        // Never so far that the pool would be too low again.
        var unused = _managed.FirstOrDefault(eni => !eni.Attachment!.IsPrimary && IsOurs(eni) && !_used.Any(address => Carries(eni, address)) && Available - Addresses(eni) >= Wanted);
        return unused is null ? null : $"{unused.Id} is unused and more than WARM_ENI_TARGET is free ({Total} attached, {Assigned} assigned)";
    }

    private string? Leak()
    {
        foreach (var eni in _world.Interfaces.Where(IsOurs))
        {
            if (eni.Attachment is not { } attachment) return $"{eni.Id} is ours and attached to nothing: leaked";
            if (attachment.Status != AttachmentStatus.Attached) return $"{eni.Id} is {attachment.Status}";
            if (!attachment.DeleteOnTermination && !attachment.IsPrimary) return $"{eni.Id} would outlive the node";
        }

        return null;
    }

    private bool CanGrow
    {
        get
        {
            if (_managed.Any(eni => eni.Ipv4Slots - 1 < _scenario.PerInterface && _world.FreeAddresses(eni.Subnet) > 0)) return true;
            var primary = _attached.First(eni => eni.Attachment!.IsPrimary);
            return _attached.Count < _scenario.MaxInterfaces && _world.FreeAddresses(primary.Subnet) >= 2;
        }
    }

    private bool IsManaged(NetworkInterface eni)
    {
        if (eni.Attachment is not { Status: AttachmentStatus.Attached, NetworkCard: 0 } attachment) return false;
        if (attachment.IsPrimary) return true;
        if (eni.Tags.TryGetValue(UnmanagedTag, out var unmanaged) && string.Equals(unmanaged, "true", StringComparison.Ordinal)) return false;
        return _scenario.ManageUntagged || IsOurs(eni);
    }

    private bool IsOurs(NetworkInterface eni) => eni.Tags.TryGetValue(OwnerTag, out var owner) && string.Equals(owner, _instance.Value, StringComparison.Ordinal);

    private static int Addresses(NetworkInterface eni) => eni.SecondaryAddresses.Length + (eni.Ipv4Prefixes.Length * 16);

    private static bool Carries(NetworkInterface eni, IPAddress address) => eni.SecondaryAddresses.Contains(address) || eni.Ipv4Prefixes.Any(prefix => prefix.Contains(address));
}
