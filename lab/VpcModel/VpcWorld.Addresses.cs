// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Lab.VpcModel;

/// <summary>Operations that assign addresses and prefixes to interfaces and unassign them. Each is atomic.</summary>
public sealed partial class VpcWorld
{
    /// <summary>
    /// AssignPrivateIpAddresses. With <paramref name="allowReassignment"/>, an explicit secondary address moves from the interface that
    /// owns it.
    /// </summary>
    public AddressChange AssignPrivateIpAddresses(EniId id, AddressRequest request, bool allowReassignment = false) =>
        Call(
            "AssignPrivateIpAddresses",
            CallKind.Mutating,
            () =>
            {
                var eni = Get(id);
                CheckRequest(request, "private IPv4");
                if (request.FormCount == 0)
                    throw Ec2Faults.Missing("secondaryPrivateIpAddressCount");
                var pool = GetSubnet(eni.Subnet).Ipv4;
                var type = TypeOf(eni);
                if (type is not null && request.PrefixCount + request.Prefixes.Count > 0)
                    CheckPrefixSupport(type);

                // EC2 accepts addresses that the interface already owns, and returns them as assigned.
                var fresh = request with
                {
                    Addresses = [.. request.Addresses.Where(address => !eni.SecondaryAddresses.Contains(address))],
                };
                if (eni.Ipv4Slots + fresh.Slots > (type?.Ipv4PerInterface ?? UnattachedSlotLimit))
                    throw Ec2Faults.AddressLimit();
                foreach (var address in fresh.Addresses)
                {
                    if (!pool.Contains(address))
                        throw Ec2Faults.BadValue(
                            $"Address {address} does not fall within the subnet's address range {GetSubnet(eni.Subnet).Subnet.Ipv4Range}"
                        );
                }

                var moved = fresh.Addresses.Where(address => !pool.IsFree(address)).ToArray();
                var movedFrom = moved.Select(address => FindMovable(address, eni, allowReassignment)).ToArray();
                var taken = TakeIpv4(pool, fresh with { Addresses = [.. fresh.Addresses.Except(moved)] });
                for (var i = 0; i < moved.Length; i++)
                    RemoveAddress(movedFrom[i], moved[i]);

                var changed = eni with
                {
                    SecondaryAddresses = eni.SecondaryAddresses.AddRange(taken.Addresses).AddRange(moved),
                    Ipv4Prefixes = eni.Ipv4Prefixes.AddRange(taken.Prefixes),
                };
                Put(changed);
                Raise(new VpcEvent.AddressesChanged(id, changed.AllRanges));
                return new AddressChange(id, request.Addresses.Count > 0 ? request.Addresses : taken.Addresses, taken.Prefixes);
            }
        );

    public AddressChange UnassignPrivateIpAddresses(EniId id, IReadOnlyList<IPAddress> addresses, IReadOnlyList<IPNetwork> prefixes) =>
        Call(
            "UnassignPrivateIpAddresses",
            CallKind.Mutating,
            () =>
            {
                var eni = Get(id);
                CheckUnassign(addresses, prefixes, "privateIpAddress");
                if (addresses.Contains(eni.PrimaryAddress))
                    throw Ec2Faults.BadValue($"{eni.PrimaryAddress} is the primary private IP address of {id}; it cannot be unassigned");
                CheckAssigned(id, addresses, eni.SecondaryAddresses, prefixes, eni.Ipv4Prefixes);
                Release(GetSubnet(eni.Subnet).Ipv4, new Taken(addresses, prefixes));
                var changed = eni with
                {
                    SecondaryAddresses = eni.SecondaryAddresses.RemoveRange(addresses),
                    Ipv4Prefixes = eni.Ipv4Prefixes.RemoveRange(prefixes),
                };
                Put(changed);
                Raise(new VpcEvent.AddressesChanged(id, changed.AllRanges));
                return new AddressChange(id, addresses, prefixes);
            }
        );

    public AddressChange AssignIpv6Addresses(EniId id, AddressRequest request) =>
        Call(
            "AssignIpv6Addresses",
            CallKind.Mutating,
            () =>
            {
                var eni = Get(id);
                CheckRequest(request, "IPv6");
                if (request.FormCount == 0)
                    throw Ec2Faults.Missing("ipv6AddressCount");
                var (subnet, _, pool) = GetSubnet(eni.Subnet);
                if (pool is null)
                    throw Ec2Faults.NoIpv6Range(subnet.Id);
                var type = TypeOf(eni);
                if (type is not null && request.PrefixCount + request.Prefixes.Count > 0)
                    CheckPrefixSupport(type);
                if (type is not null)
                    CheckIpv6Fits(eni.Ipv6Slots + request.Slots, type);
                else if (eni.Ipv6Slots + request.Slots > UnattachedSlotLimit)
                    throw Ec2Faults.Ipv6AddressLimit();
                var taken = TakeIpv6(pool, request);
                var changed = eni with
                {
                    Ipv6Addresses = eni.Ipv6Addresses.AddRange(taken.Addresses),
                    Ipv6Prefixes = eni.Ipv6Prefixes.AddRange(taken.Prefixes),
                };
                Put(changed);
                Raise(new VpcEvent.AddressesChanged(id, changed.AllRanges));
                return new AddressChange(id, taken.Addresses, taken.Prefixes);
            }
        );

    public AddressChange UnassignIpv6Addresses(EniId id, IReadOnlyList<IPAddress> addresses, IReadOnlyList<IPNetwork> prefixes) =>
        Call(
            "UnassignIpv6Addresses",
            CallKind.Mutating,
            () =>
            {
                var eni = Get(id);
                CheckUnassign(addresses, prefixes, "ipv6Addresses");
                if (eni.PrimaryIpv6Address is { } primary && addresses.Contains(primary))
                    throw Ec2Faults.BadValue($"{primary} is the primary IPv6 address of {id}; it cannot be unassigned");
                CheckAssigned(id, addresses, eni.Ipv6Addresses, prefixes, eni.Ipv6Prefixes);
                Release(GetSubnet(eni.Subnet).Ipv6!, new Taken(addresses, prefixes));
                var changed = eni with
                {
                    Ipv6Addresses = eni.Ipv6Addresses.RemoveRange(addresses),
                    Ipv6Prefixes = eni.Ipv6Prefixes.RemoveRange(prefixes),
                };
                Put(changed);
                Raise(new VpcEvent.AddressesChanged(id, changed.AllRanges));
                return new AddressChange(id, addresses, prefixes);
            }
        );

    private InstanceType? TypeOf(NetworkInterface eni) => eni.Attachment is { } attachment ? _instances[attachment.Instance].Type : null;

    private NetworkInterface FindMovable(IPAddress address, NetworkInterface to, bool allowed)
    {
        var owner = Interfaces.FirstOrDefault(other => other.Id != to.Id && other.SecondaryAddresses.Contains(address));
        if (owner is null)
            throw Ec2Faults.AddressInUse();
        return allowed ? owner : throw Ec2Faults.BadValue($"[{address}] already assigned to another interface, but move is not allowed.");
    }

    private void RemoveAddress(NetworkInterface owner, IPAddress address)
    {
        var current = Get(owner.Id);
        current = current with { SecondaryAddresses = current.SecondaryAddresses.Remove(address) };
        Put(current);
        Raise(new VpcEvent.AddressesChanged(current.Id, current.AllRanges));
    }

    private static void CheckRequest(AddressRequest request, string family)
    {
        if (request.AddressCount < 0 || request.PrefixCount < 0)
            throw Ec2Faults.BadValue($"A count of {family} addresses or prefixes cannot be negative");
        if (request.FormCount > 1)
            throw Ec2Faults.BadCombination(
                $"Only one of a count of {family} addresses, {family} addresses, a count of prefixes, and prefixes may be specified"
            );
        if (
            request.Addresses.Distinct().Count() != request.Addresses.Count
            || request.Prefixes.Distinct().Count() != request.Prefixes.Count
        )
            throw Ec2Faults.BadValue($"The {family} addresses or prefixes contain a duplicate");
        var expected = family == "IPv6" ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
        if (
            request.Addresses.Any(address => address.AddressFamily != expected)
            || request.Prefixes.Any(prefix => prefix.BaseAddress.AddressFamily != expected)
        )
            throw Ec2Faults.BadValue($"An address or prefix is not {family}");
        var length = family == "IPv6" ? 80 : 28;
        if (request.Prefixes.FirstOrDefault(prefix => prefix.PrefixLength != length) is { PrefixLength: not 0 } odd)
            throw Ec2Faults.BadValue($"The prefix {odd} is invalid: a {family} prefix is a /{length}");
    }

    private static void CheckUnassign(IReadOnlyList<IPAddress> addresses, IReadOnlyList<IPNetwork> prefixes, string parameter)
    {
        if (addresses.Count == 0 && prefixes.Count == 0)
            throw Ec2Faults.Missing(parameter);
        if (addresses.Count != 0 && prefixes.Count != 0)
            throw Ec2Faults.BadCombination("Only one of addresses and prefixes may be specified");
        if (addresses.Distinct().Count() != addresses.Count || prefixes.Distinct().Count() != prefixes.Count)
            throw Ec2Faults.BadValue("The addresses or prefixes contain a duplicate");
    }

    private static void CheckAssigned(
        EniId id,
        IReadOnlyList<IPAddress> addresses,
        IReadOnlyCollection<IPAddress> assigned,
        IReadOnlyList<IPNetwork> prefixes,
        IReadOnlyCollection<IPNetwork> assignedPrefixes
    )
    {
        var missing = addresses
            .Where(address => !assigned.Contains(address))
            .Select(address => address.ToString())
            .Concat(prefixes.Where(prefix => !assignedPrefixes.Contains(prefix)).Select(prefix => prefix.ToString()))
            .ToArray();
        if (missing.Length > 0)
            throw Ec2Faults.BadValue($"Some of [{string.Join(", ", missing)}] are not assigned to interface {id}");
    }

    private static Taken TakeIpv4(Ipv4Pool pool, AddressRequest request)
    {
        if (request.AddressCount > pool.Free)
            throw Ec2Faults.SubnetFull();
        if (request.PrefixCount * Ipv4Pool.PrefixSize > pool.Free)
            throw Ec2Faults.SubnetTooFullForPrefixes();
        List<IPAddress> addresses = [];
        List<IPNetwork> prefixes = [];
        try
        {
            for (var i = 0; i < request.AddressCount; i++)
                addresses.Add(pool.TakeAny() ?? throw Ec2Faults.SubnetFull());
            for (var i = 0; i < request.PrefixCount; i++)
                prefixes.Add(pool.TakeAnyPrefix() ?? throw Ec2Faults.SubnetFragmented());
            foreach (var address in request.Addresses)
                addresses.Add(pool.TryTake(address) ? address : throw Ec2Faults.AddressInUse());
            foreach (var prefix in request.Prefixes)
                prefixes.Add(
                    pool.TryTakePrefix(prefix) ? prefix : throw Ec2Faults.BadValue($"The prefix {prefix} is not free in the subnet")
                );
        }
        catch (Ec2FaultException)
        {
            Release(pool, new Taken(addresses, prefixes));
            throw;
        }

        return new Taken(addresses, prefixes);
    }

    private static Taken TakeIpv6(Ipv6Pool? pool, AddressRequest request)
    {
        List<IPAddress> addresses = [];
        List<IPNetwork> prefixes = [];
        if (pool is null)
            return new Taken(addresses, prefixes);
        try
        {
            for (var i = 0; i < request.AddressCount; i++)
                addresses.Add(pool.TakeAny() ?? throw Ec2Faults.SubnetFull());
            for (var i = 0; i < request.PrefixCount; i++)
                prefixes.Add(pool.TakeAnyPrefix() ?? throw (pool.HasFreeAddress ? Ec2Faults.SubnetFragmented() : Ec2Faults.SubnetFull()));
            foreach (var address in request.Addresses)
                addresses.Add(
                    pool.TryTake(address) ? address : throw Ec2Faults.BadValue($"The IPv6 address {address} is not free in the subnet")
                );
            foreach (var prefix in request.Prefixes)
                prefixes.Add(
                    pool.TryTakePrefix(prefix) ? prefix : throw Ec2Faults.BadValue($"The IPv6 prefix {prefix} is not free in the subnet")
                );
        }
        catch (Ec2FaultException)
        {
            Release(pool, new Taken(addresses, prefixes));
            throw;
        }

        return new Taken(addresses, prefixes);
    }

    private static void Release(Ipv4Pool pool, Taken taken)
    {
        foreach (var address in taken.Addresses)
            pool.Release(address);
        foreach (var prefix in taken.Prefixes)
            pool.ReleasePrefix(prefix);
    }

    private static void Release(Ipv6Pool pool, Taken taken)
    {
        foreach (var address in taken.Addresses)
            pool.Release(address);
        foreach (var prefix in taken.Prefixes)
            pool.ReleasePrefix(prefix);
    }

    private sealed record Taken(IReadOnlyList<IPAddress> Addresses, IReadOnlyList<IPNetwork> Prefixes);
}
