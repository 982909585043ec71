// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Lab.VpcModel;
using VpcCni.Simulation.Tests.Checker;
using CallKind = VpcCni.Lab.VpcModel.CallKind;
using CreateInterfaceRequest = VpcCni.Lab.VpcModel.CreateInterfaceRequest;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// Injects all faults that pods do not cause: failures and throttling of the cloud, lag, changes of the node's interfaces by others,
/// crashes, clock changes.
/// </summary>
internal sealed class FaultInjector(
    Scenario scenario,
    SimulatedNode node,
    SimulatedCluster cluster,
    IReadOnlyList<SubnetId> subnets,
    IReadOnlyList<SecurityGroupId> groups
)
{
    private const string Everything = "*";

    private static readonly string[] FaultyOperations =
    [
        "CreateNetworkInterface",
        "AttachNetworkInterface",
        "ModifyNetworkInterfaceAttribute",
        "AssignPrivateIpAddresses",
        "UnassignPrivateIpAddresses",
        "DetachNetworkInterface",
        "DeleteNetworkInterface",
        "DescribeNetworkInterfaces",
        Everything,
    ];

    private static readonly string[] FaultyOperationsOfIpv6 = [.. FaultyOperations, "AssignIpv6Addresses", "UnassignIpv6Addresses"];

    private readonly Random _random = Scenario.Stream(scenario.Seed, "trouble");
    private readonly Random _ipv6 = Scenario.Stream(scenario.Seed, "IPv6 trouble");
    private readonly Random _outages = Scenario.Stream(scenario.Seed, "away trouble");
    private readonly List<Task> _tasks = [];
    private readonly List<EniId> _neighbours = [];
    private bool _calm;

    public Exception? Error => _tasks.FirstOrDefault(task => task.IsFaulted)?.Exception;

    /// <summary>Creates other tenants of the subnets, before the daemon starts.</summary>
    public void FillSubnets()
    {
        foreach (var subnet in subnets)
        {
            var wanted = (int)(node.World.FreeAddresses(subnet) * scenario.Neighbours);
            while (wanted > 0)
            {
                var count = Math.Min(wanted - 1, _random.Next(0, 20));
                _neighbours.Add(
                    node.World.CreateNetworkInterface(
                        new CreateInterfaceRequest
                        {
                            Subnet = subnet,
                            Ipv4 = AddressRequest.Any(count),
                            Description = "a neighbour",
                        }
                    ).Id
                );
                wanted -= count + 1;
            }
        }
    }

    public void Begin()
    {
        var world = node.World;
        world.Timing.DescribeLag = scenario.DescribeLag;
        world.Timing.MetadataLag = scenario.MetadataLag;
        if (scenario.FailsBefore > 0)
            world.Faults.Add(
                new FaultRule
                {
                    Operation = Everything,
                    Times = null,
                    Probability = scenario.FailsBefore,
                    Code = "InternalError",
                    Message = "before",
                }
            );
        if (scenario.FailsAfter > 0)
            world.Faults.Add(
                new FaultRule
                {
                    Operation = Everything,
                    Times = null,
                    Probability = scenario.FailsAfter,
                    Code = "Unavailable",
                    Message = "after",
                    Moment = FaultMoment.AfterEffect,
                }
            );
        if (scenario.MutatingRate is { } rate)
            world.Throttle.SetLimits(
                new Dictionary<CallKind, RateLimit>
                {
                    [CallKind.Mutating] = new(2 + _random.Next(5), rate),
                    [CallKind.NonMutating] = new(5 + _random.Next(5), rate * 2),
                }
            );
        Repeat(scenario.MeanFaultWindow, FaultWindowAsync);
        Repeat(
            scenario.MeanInterference,
            () =>
            {
                Interfere();
                return Task.CompletedTask;
            }
        );
        Repeat(
            scenario.MeanCrash,
            () =>
            {
                if (_random.Next(4) == 0)
                    node.Stop();
                else
                    node.Crash("at random");
                return Task.CompletedTask;
            }
        );
        Repeat(
            scenario.MeanOperator,
            () =>
            {
                Operate();
                return Task.CompletedTask;
            }
        );
        Repeat(
            scenario.CustomNetwork?.MeanChange,
            () =>
            {
                cluster.Change();
                return Task.CompletedTask;
            }
        );
        Repeat(
            scenario.MeanGroupChange,
            () =>
            {
                Guarded(ChangeGroups);
                return Task.CompletedTask;
            }
        );
        Repeat(
            scenario.MeanClockJump,
            () =>
            {
                JumpClock();
                return Task.CompletedTask;
            }
        );
        Repeat(scenario.Families?.MeanSwitch, SwitchMode);
        Repeat(scenario.Families?.MeanExhaustion, LimitRange);
        Repeat(scenario.Families?.MeanInterference, () => Guarded(InterfereWithIpv6));
        if (scenario.MeanAway is { } away)
            _tasks.Add(BeUnavailableAsync(away));
        if (scenario.Neighbours > 0)
            Repeat(
                TimeSpan.FromSeconds(20),
                () =>
                {
                    Guarded(MoveNeighbour);
                    return Task.CompletedTask;
                }
            );
    }

    /// <summary>Ends all faults; their damage stays.</summary>
    public void End()
    {
        _calm = true;
        node.Checker.IsCloudAway = false;
        var world = node.World;
        node.SetConditions(isUnschedulable: false, CloudAccess.Full);
        node.CorrectSettings();
        foreach (var subnet in Ipv6Subnets())
            world.LimitIpv6Range(subnet, VpcWorld.MaxIpv6Prefixes);
        cluster.Calm();
        world.Faults.Clear();
        world.Throttle.SetLimits(null);
        world.Timing.DescribeLag = TimeSpan.Zero;
        world.Timing.MetadataLag = TimeSpan.Zero;
        foreach (var hidden in world.Faults.HiddenFromMetadata.ToArray())
            world.Faults.ShowInMetadata(hidden);
        foreach (var neighbour in _neighbours.Where(neighbour => world.FindInterface(neighbour) is not null))
            world.DeleteNetworkInterface(neighbour);
        _neighbours.Clear();
    }

    private void Repeat(TimeSpan? mean, Func<Task> fault)
    {
        if (mean is { } interval)
            _tasks.Add(RepeatAsync(interval, fault));
    }

    private void Repeat(TimeSpan? mean, Action fault) =>
        Repeat(
            mean,
            () =>
            {
                fault();
                return Task.CompletedTask;
            }
        );

    private async Task RepeatAsync(TimeSpan mean, Func<Task> fault)
    {
        while (true)
        {
            await Task.Delay(Scenario.Exponential(_random, mean), node.Time);
            if (_calm)
                return;
            await fault();
            if (_calm)
                return;
        }
    }

    /// <summary>
    /// Makes EC2 unavailable, and restarts the daemon before it returns. Sometimes someone removes an address from the node meanwhile.
    /// </summary>
    private async Task BeUnavailableAsync(TimeSpan mean)
    {
        while (true)
        {
            await Task.Delay(Scenario.Exponential(_outages, mean), node.Time);
            if (_calm)
                return;
            if (!node.IsUp)
                continue;
            node.Crash("EC2 goes away");
            if (_outages.Next(2) == 0)
                Guarded(() => Unassign(_outages));
            var rule =
                _outages.Next(2) == 0
                    ? FaultRule.Throttle(Everything, times: null)
                    : new FaultRule
                    {
                        Operation = Everything,
                        Times = null,
                        Code = "Unavailable",
                        Message = "away",
                        Status = HttpStatusCode.ServiceUnavailable,
                    };
            node.Trace.Add($"fault: EC2 is away, every call answers {rule.Code}");
            node.World.Faults.Add(rule);
            node.Checker.IsCloudAway = true;
            await Task.Delay(TimeSpan.FromSeconds(_outages.Next(20, 110)), node.Time);
            if (_calm)
                return;
            node.Trace.Add("fault: EC2 is back");
            node.Checker.IsCloudAway = false;
            node.World.Faults.Clear(Everything);
        }
    }

    private async Task FaultWindowAsync()
    {
        var operations = scenario.Families is null ? FaultyOperations : FaultyOperationsOfIpv6;
        var operation = operations[_random.Next(operations.Length)];
        var rule = _random.Next(5) switch
        {
            0 => new FaultRule
            {
                Operation = operation,
                Times = null,
                Code = "RequestLimitExceeded",
                Message = "Request limit exceeded.",
                Status = HttpStatusCode.ServiceUnavailable,
            },
            1 => new FaultRule
            {
                Operation = operation,
                Times = null,
                Code = "UnauthorizedOperation",
                Message = "You are not authorized",
                Status = HttpStatusCode.Forbidden,
            },
            2 => new FaultRule
            {
                Operation = operation,
                Times = _random.Next(1, 4),
                Code = "Unavailable",
                Message = "lost",
                Moment = FaultMoment.AfterEffect,
            },
            3 when operation is "CreateNetworkInterface" or "AssignPrivateIpAddresses" or "AssignIpv6Addresses" => new FaultRule
            {
                Operation = operation,
                Times = null,
                Code = "InsufficientFreeAddressesInSubnet",
                Message = "not enough",
                Status = HttpStatusCode.BadRequest,
            },
            _ => new FaultRule
            {
                Operation = operation,
                Times = _random.Next(1, 6),
                Code = "InternalError",
                Message = "window",
            },
        };
        node.Trace.Add($"fault: {operation} answers {rule.Code} ({rule.Moment})");
        node.World.Faults.Add(rule);
        await Task.Delay(TimeSpan.FromSeconds(_random.Next(1, 60)), node.Time);
        if (!_calm && operation != Everything)
            node.World.Faults.Clear(operation);
        else if (!_calm && rule.Times is null)
            node.World.Faults.Clear(Everything);
    }

    /// <summary>Actions of operators: another mode with a restart, a cordoned node, a limit on cloud calls.</summary>
    private void Operate()
    {
        switch (_random.Next(4))
        {
            case 0:
                node.UsesPrefixes = !node.UsesPrefixes;
                node.Trace.Add($"fault: ENABLE_PREFIX_DELEGATION is now {node.UsesPrefixes}");
                node.Stop();
                break;
            case 1:
                node.SetConditions(!node.IsUnschedulable, node.Access);
                node.Trace.Add($"fault: the node is {(node.IsUnschedulable ? "cordoned" : "not cordoned any more")}");
                break;
            default:
                node.SetConditions(
                    node.IsUnschedulable,
                    node.Access == CloudAccess.Full ? (CloudAccess)_random.Next(1, 3) : CloudAccess.Full
                );
                node.Trace.Add($"fault: cloud access is {node.Access}");
                break;
        }
    }

    /// <summary>
    /// An operator sets another mode and restarts the daemon, with pods running: mostly one that it accepts, with what it needs.
    /// </summary>
    private void SwitchMode()
    {
        PodMode[] others = [.. Enum.GetValues<PodMode>().Where(mode => mode != node.Mode)];
        node.Mode = others[_ipv6.Next(others.Length)];
        if (node.Mode == PodMode.Ipv6 && _ipv6.Next(4) > 0)
            node.UsesPrefixes = true;
        node.Trace.Add($"fault: the mode is now {node.Mode}, ENABLE_PREFIX_DELEGATION {node.UsesPrefixes}");
        node.Stop();
    }

    private SubnetId[] Ipv6Subnets() => [.. subnets.Where(subnet => node.World.FindSubnet(subnet)!.Ipv6Range is not null)];

    /// <summary>Other tenants take the IPv6 prefixes of a subnet, or most of them, or leave.</summary>
    private void LimitRange()
    {
        if (Ipv6Subnets() is not { Length: > 0 } all)
            return;
        var subnet = all[_ipv6.Next(all.Length)];
        var prefixes = _ipv6.Next(2) == 0 ? _ipv6.Next(4) : VpcWorld.MaxIpv6Prefixes;
        node.Trace.Add($"fault: {subnet} has {prefixes} IPv6 prefixes");
        node.World.LimitIpv6Range(subnet, prefixes);
    }

    private void InterfereWithIpv6()
    {
        var all = node.World.InterfacesOf(node.Instance);
        var eni = all[_ipv6.Next(all.Count)];
        switch (_ipv6.Next(4))
        {
            case 0:
                node.Trace.Add($"fault: someone adds an IPv6 address to {eni.Id}");
                node.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1));
                break;
            case 1:
                node.Trace.Add($"fault: someone adds an IPv6 prefix to {eni.Id}");
                node.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(1));
                break;
            default:
                UnassignIpv6(eni);
                break;
        }
    }

    private void UnassignIpv6(NetworkInterface eni)
    {
        IPNetwork[] blocks = [.. AddressMath.PodIpv6Addresses(eni).Select(AddressMath.Single), .. eni.Ipv6Prefixes];
        if (blocks.Length == 0)
            return;
        var block = blocks[_ipv6.Next(blocks.Length)];
        node.Trace.Add($"fault: someone removes {block} from {eni.Id}");
        node.Checker.Damage([block]);
        if (AddressMath.IsSingle(block))
            node.World.UnassignIpv6Addresses(eni.Id, [block.BaseAddress], []);
        else
            node.World.UnassignIpv6Addresses(eni.Id, [], [block]);
    }

    private void ChangeGroups()
    {
        SecurityGroupId[] chosen = [groups[0], .. groups.Skip(1).Where(_ => _random.Next(2) == 0)];
        var primary = node.World.InterfacesOf(node.Instance).Single(eni => eni.Attachment!.IsPrimary);
        node.Trace.Add($"fault: someone sets the security groups of {primary.Id} to {string.Join(' ', chosen)}");
        node.World.ModifyNetworkInterfaceAttribute(new ModifyInterfaceRequest { Interface = primary.Id, Groups = chosen });
    }

    private void JumpClock()
    {
        var by = TimeSpan.FromSeconds(_random.Next(-7200, 7200));
        node.Trace.Add($"fault: the clock is set by {by}");
        node.Clock.Jump(by);
        if (by > TimeSpan.Zero)
            node.Checker.ClockSetForward();
    }

    private void Interfere()
    {
        var ours = node.World.InterfacesOf(node.Instance).Where(eni => !eni.Attachment!.IsPrimary).ToArray();
        switch (_random.Next(7))
        {
            case 0 when ours.Length > 0:
                Guarded(() => Detach(ours[_random.Next(ours.Length)]));
                break;
            case 1 or 2:
                Guarded(() => Unassign(_random));
                break;
            case 3:
                Guarded(Attach);
                break;
            case 4:
                Guarded(DeleteUnattached);
                break;
            case 5 when ours.Length > 0 && scenario.HidesFromMetadata:
                node.World.Faults.HideFromMetadata(ours[_random.Next(ours.Length)].Id);
                break;
            default:
                Guarded(AssignMore);
                break;
        }
    }

    private void Detach(NetworkInterface eni)
    {
        node.Trace.Add($"fault: someone detaches {eni.Id}");
        node.Checker.Detach(eni);
        node.World.DetachNetworkInterface(eni.Attachment!.Id, force: _random.Next(2) == 0);
        if (_random.Next(2) == 0)
            node.Time.After(TimeSpan.FromSeconds(_random.Next(30)), () => Guarded(() => DeleteIfDetached(eni.Id)));
    }

    private void DeleteIfDetached(EniId id)
    {
        if (node.World.FindInterface(id) is not { Attachment: null } eni)
            return;
        node.Trace.Add($"fault: someone deletes {id}");
        node.Checker.Damage(eni.AllRanges);
        node.World.DeleteNetworkInterface(id);
    }

    private void Unassign(Random random)
    {
        var candidates = node
            .World.InterfacesOf(node.Instance)
            .Where(eni => eni.SecondaryAddresses.Length + eni.Ipv4Prefixes.Length > 0)
            .ToArray();
        if (candidates.Length == 0)
            return;
        var eni = candidates[random.Next(candidates.Length)];
        var index = random.Next(eni.SecondaryAddresses.Length + eni.Ipv4Prefixes.Length);
        IPAddress[] addresses = index < eni.SecondaryAddresses.Length ? [eni.SecondaryAddresses[index]] : [];
        IPNetwork[] prefixes = index >= eni.SecondaryAddresses.Length ? [eni.Ipv4Prefixes[index - eni.SecondaryAddresses.Length]] : [];
        var taken = addresses.Select(address => address.ToString()).Concat(prefixes.Select(prefix => prefix.ToString()));
        node.Trace.Add($"fault: someone removes {string.Join(", ", taken)} from {eni.Id}");
        node.Checker.Damage([.. addresses.Select(address => new IPNetwork(address, 32)), .. prefixes]);
        node.World.UnassignPrivateIpAddresses(eni.Id, addresses, prefixes);
    }

    private void AssignMore()
    {
        var all = node.World.InterfacesOf(node.Instance);
        var eni = all[_random.Next(all.Count)];
        node.Trace.Add($"fault: someone adds an address to {eni.Id}");
        node.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(1));
    }

    private void Attach()
    {
        var used = node.World.InterfacesOf(node.Instance).Select(eni => eni.Attachment!.DeviceIndex).ToHashSet();
        var free = Enumerable.Range(1, 20).First(index => !used.Contains(index));
        Dictionary<string, string> tags =
            _random.Next(2) == 0 ? new(StringComparer.Ordinal) { ["node.k8s.amazonaws.com/no_manage"] = "true" } : [];
        var eni = node.World.CreateNetworkInterface(
            new CreateInterfaceRequest
            {
                Subnet = subnets[0],
                Ipv4 = AddressRequest.Any(_random.Next(0, 3)),
                Description = "somebody's",
                Tags = tags,
            }
        );
        node.Trace.Add($"fault: someone attaches {eni.Id}{(tags.Count > 0 ? ", not to be managed" : "")}");
        node.World.AttachNetworkInterface(new AttachInterfaceRequest(eni.Id, node.Instance, free));
    }

    private void DeleteUnattached()
    {
        var ours = node
            .World.Interfaces.Where(eni => eni.Attachment is null && eni.Tags.ContainsKey("node.k8s.amazonaws.com/instance_id"))
            .ToArray();
        if (ours.Length > 0)
            DeleteIfDetached(ours[_random.Next(ours.Length)].Id);
    }

    private void MoveNeighbour()
    {
        if (_neighbours.Count > 0 && _random.Next(2) == 0)
        {
            var going = _neighbours[_random.Next(_neighbours.Count)];
            node.World.DeleteNetworkInterface(going);
            _neighbours.Remove(going);
            return;
        }

        _neighbours.Add(
            node.World.CreateNetworkInterface(
                new CreateInterfaceRequest
                {
                    Subnet = subnets[_random.Next(subnets.Count)],
                    Ipv4 = AddressRequest.Any(_random.Next(0, 8)),
                    Description = "a neighbour",
                }
            ).Id
        );
    }

    /// <summary>Runs an action of others, whose calls meet the same failures as the daemon's.</summary>
    private void Guarded(Action action)
    {
        try
        {
            action();
        }
        catch (Ec2FaultException exception)
        {
            node.Trace.Add($"fault: someone's call failed: {exception.Code}");
        }
    }
}
