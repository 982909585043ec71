// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>Checks invariants of a world, computed from its resources only. For tests and simulations.</summary>
public static class WorldInvariants
{
    /// <summary>Returns a description of every violation; empty if there is none.</summary>
    public static IReadOnlyList<string> Check(VpcWorld world)
    {
        List<string> problems = [];
        var interfaces = world.Interfaces.ToArray();
        foreach (var subnet in world.Subnets)
        {
            var here = interfaces.Where(eni => eni.Subnet == subnet.Id).ToArray();
            CheckSubnet(world, subnet, here, problems);
        }

        foreach (var eni in interfaces)
            CheckInterface(world, eni, problems);
        foreach (var instance in world.Instances)
            CheckInstance(world, instance, problems);
        foreach (var repeated in interfaces.GroupBy(eni => eni.Mac, StringComparer.Ordinal).Where(group => group.Count() > 1))
            problems.Add($"MAC {repeated.Key} is on {repeated.Count()} interfaces");
        return problems;
    }

    private static void CheckSubnet(VpcWorld world, Subnet subnet, NetworkInterface[] interfaces, List<string> problems)
    {
        var size = 1L << (32 - subnet.Ipv4Range.PrefixLength);
        var first = Ipv4Number.Of(subnet.Ipv4Range.BaseAddress);
        var owners = new Dictionary<uint, EniId>();
        foreach (var eni in interfaces)
        {
            foreach (
                var range in eni.AllRanges.Where(range => range.BaseAddress.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork)
            )
            {
                var start = Ipv4Number.Of(range.BaseAddress);
                var length = 1u << (32 - range.PrefixLength);
                if (start % length != 0)
                    problems.Add($"{range} of {eni.Id} is not aligned");
                for (var number = start; number < start + length; number++)
                {
                    if (!owners.TryAdd(number, eni.Id))
                        problems.Add($"{Ipv4Number.ToAddress(number)} is owned by {owners[number]} and by {eni.Id}");
                    if (number < first + 4 || number >= first + size - 1)
                        problems.Add($"{Ipv4Number.ToAddress(number)} of {eni.Id} is reserved or outside {subnet.Ipv4Range}");
                }
            }
        }

        if (world.FreeAddresses(subnet.Id) != size - 5 - owners.Count)
            problems.Add(
                $"{subnet.Id} counts {world.FreeAddresses(subnet.Id)} free addresses, but {size - 5} minus {owners.Count} owned are "
                    + $"{size - 5 - owners.Count}"
            );
        CheckIpv6(subnet, interfaces, problems);
    }

    private static void CheckIpv6(Subnet subnet, NetworkInterface[] interfaces, List<string> problems)
    {
        var ranges = interfaces
            .SelectMany(eni => eni.Ipv6Addresses.Select(address => new IPNetwork(address, 128)).Concat(eni.Ipv6Prefixes))
            .ToArray();
        foreach (var range in ranges)
        {
            if (subnet.Ipv6Range is not { } all || !all.Contains(range.BaseAddress))
                problems.Add($"{range} is outside {subnet.Id}");
            if (
                range.PrefixLength != 128
                && (range.PrefixLength != 80 || (Ipv6Number.Of(range.BaseAddress) & ((UInt128.One << 48) - 1)) != 0)
            )
                problems.Add($"{range} is not an aligned /80");
            if (ranges.Count(other => other.Contains(range.BaseAddress) || range.Contains(other.BaseAddress)) != 1)
                problems.Add($"{range} overlaps another IPv6 range of {subnet.Id}");
        }
    }

    private static void CheckInterface(VpcWorld world, NetworkInterface eni, List<string> problems)
    {
        if (eni.PrimaryIpv6Address is { } primary && !eni.Ipv6Addresses.Contains(primary))
            problems.Add($"{eni.Id} has the primary IPv6 address {primary}, but does not own it");
        if (eni.Attachment is not { } attachment)
        {
            if (eni.Ipv4Slots > VpcWorld.UnattachedSlotLimit)
                problems.Add($"{eni.Id} has {eni.Ipv4Slots} slots taken");
            return;
        }

        if (world.FindInstance(attachment.Instance) is not { } instance)
        {
            problems.Add($"{eni.Id} is attached to {attachment.Instance}, which does not exist");
            return;
        }

        if (eni.Ipv4Slots > instance.Type.Ipv4PerInterface)
            problems.Add($"{eni.Id} has {eni.Ipv4Slots} IPv4 slots taken, {instance.Type.Name} allows {instance.Type.Ipv4PerInterface}");
        if (eni.Ipv6Slots > instance.Type.Ipv6PerInterface)
            problems.Add($"{eni.Id} has {eni.Ipv6Slots} IPv6 slots taken, {instance.Type.Name} allows {instance.Type.Ipv6PerInterface}");
        if (eni.Zone != instance.Zone)
            problems.Add($"{eni.Id} is in {eni.Zone}, its instance in {instance.Zone}");
        if (world.InterfacesOf(instance.Id).All(other => other.Id != eni.Id))
            problems.Add($"{instance.Id} does not list its interface {eni.Id}");
    }

    private static void CheckInstance(VpcWorld world, Instance instance, List<string> problems)
    {
        var interfaces = world.InterfacesOf(instance.Id);
        if (interfaces.Count > instance.Type.MaxInterfaces)
            problems.Add($"{instance.Id} has {interfaces.Count} interfaces, {instance.Type.Name} allows {instance.Type.MaxInterfaces}");
        if (instance.State == InstanceState.Terminated && interfaces.Count > 0)
            problems.Add($"{instance.Id} is terminated and has interfaces");
        if (instance.State == InstanceState.Running && interfaces.All(eni => eni.Id != instance.PrimaryInterface))
            problems.Add($"{instance.Id} has lost its primary interface");
        foreach (
            var group in interfaces
                .GroupBy(eni => (eni.Attachment!.NetworkCard, eni.Attachment.DeviceIndex))
                .Where(group => group.Count() > 1)
        )
            problems.Add($"{instance.Id} has {group.Count()} interfaces at {group.Key}");
    }
}
