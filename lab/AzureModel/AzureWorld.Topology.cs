// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.AzureModel;

/// <summary>The topology. The lab and tests change it directly, not through the API: without delay, limits or faults.</summary>
public sealed partial class AzureWorld
{
    private const string PrimaryName = "ipconfig1";

    public AzureNetwork CreateNetwork(DateTimeOffset now, string name, params IReadOnlyList<IPNetwork> ranges)
    {
        Advance(now);
        var network = new AzureNetwork
        {
            Id = NetworkId(name),
            Tag = NextTag(),
            ResourceGuid = _numbers.NextGuid(),
            Ranges = [.. ranges],
        };
        _networks.Add(network.Id, network);
        return network;
    }

    public AzureSubnet CreateSubnet(DateTimeOffset now, string network, string name, IPNetwork range, string? routeTable = null)
    {
        Advance(now);
        var id = SubnetId(network, name);
        if (range.BaseAddress.AddressFamily != AddressFamily.InterNetwork || range.PrefixLength is < 2 or > 29)
            throw AzureFaults.Bad("NetcfgInvalidSubnet", $"Subnet '{name}' is not valid: {range} is not an IPv4 /2 to /29.");
        if (!_networks[NetworkId(network)].Ranges.Any(outer => Ipv4.Within(range, outer)))
            throw AzureFaults.Bad("NetcfgInvalidSubnet", $"Subnet '{name}' is not valid in virtual network '{network}'.");
        if (Subnets.FirstOrDefault(other => Ipv4.Overlap(other.Range, range)) is { } clash)
            throw AzureFaults.Bad("NetcfgSubnetRangesOverlap", $"Subnet '{name}' is not valid because its range overlaps '{clash.Name}'.");
        if (routeTable is not null && !_tables.ContainsKey(routeTable))
            throw AzureFaults.InvalidReference(routeTable, id);
        var subnet = new AzureSubnet
        {
            Id = id,
            Network = NetworkId(network),
            Tag = NextTag(),
            Range = range,
            RouteTable = routeTable,
        };
        _subnets.Add(id, (subnet, new RangePool(range, ReservedFirst, ReservedLast)));
        return subnet;
    }

    public AzureRouteTable CreateRouteTable(DateTimeOffset now, string name)
    {
        Advance(now);
        var table = new AzureRouteTable
        {
            Id = RouteTableId(name),
            Tag = NextTag(),
            ResourceGuid = _numbers.NextGuid(),
        };
        _tables.Add(table.Id, table);
        return table;
    }

    /// <summary>Launches a virtual machine, which runs at once, with an interface that has one address.</summary>
    public AzureMachine LaunchMachine(DateTimeOffset now, AzureLaunchRequest request)
    {
        Advance(now);
        var (subnet, pool) = _subnets.TryGetValue(request.Subnet, out var entry)
            ? entry
            : throw AzureFaults.InvalidReference(request.Subnet, request.ComputerName);
        var number = Machines.Count(machine => machine.ScaleSet == request.ScaleSet).ToString(CultureInfo.InvariantCulture);
        var id = request.ScaleSet is { } scaleSet ? ScaleSetMachineId(scaleSet, number) : MachineId(request.ComputerName);
        if (_machines.ContainsKey(id))
            throw AzureFaults.NotAllowed($"The virtual machine {id} exists already.");
        var address = pool.TakeAny(32) ?? throw AzureFaults.SubnetFull(subnet, 1);
        AzureIpConfiguration[] configurations =
        [
            new AzureIpConfiguration
            {
                Name = PrimaryName,
                Range = address,
                IsPrimary = true,
                IsStatic = false,
                Subnet = subnet.Id,
            },
        ];
        var nic = new AzureInterface
        {
            Id = request.ScaleSet is null ? InterfaceId($"{request.ComputerName}-nic") : $"{id}/networkInterfaces/{request.ScaleSet}-nic",
            ResourceGuid = _numbers.NextGuid(),
            Tag = NextTag(),
            State = AzureProvisioningState.Succeeded,
            Mac = NextMac(),
            Machine = id,
            MayForward = request.MayForward,
            AppliedMayForward = request.MayForward,
            Configurations = [.. configurations],
            Applied = [.. configurations],
        };
        var machine = new AzureMachine
        {
            Id = id,
            VmId = _numbers.NextGuid(),
            ComputerName = request.ComputerName,
            Size = request.Size,
            Zone = request.Zone,
            Interface = nic.Id,
            ScaleSet = request.ScaleSet,
        };
        _machines.Add(id, machine);
        Put(now, nic);
        NetworkChanged?.Invoke();
        return machine;
    }

    /// <summary>Deletes a machine with its interface and frees its addresses.</summary>
    public void DeleteMachine(DateTimeOffset now, string id)
    {
        Advance(now);
        if (!_machines.Remove(id, out var machine))
            throw AzureFaults.ChildNotFound(id);
        _interfaces.Remove(machine.Interface, out var nic);
        foreach (var held in nic!.Configurations.Union(nic.Applied).DistinctBy(configuration => configuration.Range))
            _subnets[held.Subnet].Pool.Release(held.Range);
        _history.Remove(nic.Id);
        NetworkChanged?.Invoke();
    }
}
