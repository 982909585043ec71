// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Models EC2 for one account and region: VPCs, subnets, instances, network interfaces and the operations on them, with EC2's limits,
/// delays, throttling and errors. Pure: no I/O, no threads, and only the injected clock and randomness. The same calls at the same times
/// with the same seed give the same world.
/// <para>
/// Not thread-safe: threads that share a world hold <see cref="Gate"/> around every use and never await under it. Errors are
/// <see cref="Ec2FaultException"/>s and leave the world unchanged. A delayed change is completed by the next operation or
/// <see cref="CompleteDueTransitions"/> at or after its time.
/// </para>
/// </summary>
public sealed partial class VpcWorld
{
    private readonly TimeProvider _time;
    private readonly IdSource _ids;
    private readonly Random _random;
    private readonly Dictionary<VpcId, Vpc> _vpcs = [];
    private readonly Dictionary<SubnetId, SubnetEntry> _subnets = [];
    private readonly Dictionary<SecurityGroupId, SecurityGroup> _groups = [];
    private readonly Dictionary<InstanceId, Instance> _instances = [];
    private readonly Dictionary<EniId, InterfaceEntry> _interfaces = [];
    private readonly Dictionary<AttachmentId, EniId> _attachments = [];
    private readonly Dictionary<InstanceId, List<EniId>> _interfacesOf = [];
    private readonly Queue<EniId> _deleted = new();
    private readonly PriorityQueue<Transition, (DateTimeOffset At, long Order)> _transitions = new();
    private long _order;

    /// <param name="time">The clock; virtual in a simulation.</param>
    /// <param name="random">Randomness of ids, MAC addresses, scattered addresses and injected faults.</param>
    /// <param name="options">The options; null for the defaults.</param>
    public VpcWorld(TimeProvider time, Random random, WorldOptions? options = null)
    {
        _time = time;
        _random = random;
        _ids = new IdSource(random);
        Options = options ?? new WorldOptions();
        Faults = new FaultInjection(random);
        Calls = new CallLog(Options.CallLogCapacity);
    }

    public WorldOptions Options { get; }

    public WorldTiming Timing { get; } = new();

    public Throttle Throttle { get; } = new();

    public FaultInjection Faults { get; }

    public CallLog Calls { get; }

    /// <summary>Lock for threads that share the world. The world itself never takes it.</summary>
    public Lock Gate { get; } = new();

    public DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>The current VPCs, without lag, in order of creation.</summary>
    public IEnumerable<Vpc> Vpcs => _vpcs.Values;

    public IEnumerable<Subnet> Subnets => _subnets.Values.Select(entry => entry.Subnet);

    public IEnumerable<SecurityGroup> SecurityGroups => _groups.Values;

    public IEnumerable<Instance> Instances => _instances.Values;

    public IEnumerable<NetworkInterface> Interfaces =>
        _interfaces.Values.OrderBy(entry => entry.Order).Select(entry => entry.Versions.Current).OfType<NetworkInterface>();

    public Vpc? FindVpc(VpcId id) => _vpcs.GetValueOrDefault(id);

    public Subnet? FindSubnet(SubnetId id) => _subnets.GetValueOrDefault(id)?.Subnet;

    public SecurityGroup? FindSecurityGroup(SecurityGroupId id) => _groups.GetValueOrDefault(id);

    public Instance? FindInstance(InstanceId id) => _instances.GetValueOrDefault(id);

    public NetworkInterface? FindInterface(EniId id) => _interfaces.GetValueOrDefault(id)?.Versions.Current;

    /// <summary>The interface that currently owns an address, singly or within a prefix; null if none does.</summary>
    public NetworkInterface? FindOwner(IPAddress address) =>
        Interfaces.FirstOrDefault(candidate => candidate.AllRanges.Any(range => range.Contains(address)));

    /// <summary>An instance's current interfaces, in any state of attachment, ordered by card and device index.</summary>
    public IReadOnlyList<NetworkInterface> InterfacesOf(InstanceId id) =>
        _interfacesOf.TryGetValue(id, out var list)
            ? [.. list.Select(Get).OrderBy(eni => eni.Attachment!.NetworkCard).ThenBy(eni => eni.Attachment!.DeviceIndex)]
            : [];

    /// <summary>Number of free IPv4 addresses of a subnet, as DescribeSubnets counts them.</summary>
    public int FreeAddresses(SubnetId id) => GetSubnet(id).Ipv4.Free;

    /// <summary>Number of free aligned /28s of a subnet.</summary>
    public int FreePrefixes(SubnetId id) => GetSubnet(id).Ipv4.FreePrefixes;

    /// <summary>
    /// Executes a call of the EC2 API: completes due transitions, throttles, injects faults and logs. <paramref name="body"/> must check
    /// everything before it changes anything.
    /// </summary>
    private T Call<T>(string operation, CallKind kind, Func<T> body)
    {
        CompleteDueTransitions();
        var outcome = "InternalError";
        try
        {
            if (!Throttle.TryTake(kind, Now))
                throw Ec2Faults.Throttled();
            if (Faults.NextFault(operation, FaultMoment.BeforeEffect) is { } before)
                throw before;
            var result = body();
            if (Faults.NextFault(operation, FaultMoment.AfterEffect) is { } after)
                throw after;
            outcome = CallLog.Success;
            return result;
        }
        catch (Ec2FaultException fault)
        {
            outcome = fault.Code;
            throw;
        }
        finally
        {
            Calls.Add(Now, operation, outcome);
            Publish();
        }
    }

    /// <summary>
    /// Returns EC2's response to a DryRun of an operation, which is always an error: <c>DryRunOperation</c> if the call is allowed.
    /// </summary>
    public Ec2FaultException DryRun(string operation)
    {
        try
        {
            return Call<Ec2FaultException>(operation, CallKind.NonMutating, () => throw Ec2Faults.WouldHaveSucceeded());
        }
        catch (Ec2FaultException fault)
        {
            return fault;
        }
    }

    /// <summary>Executes a change of the topology, which is not an API call: it is neither throttled nor logged.</summary>
    private T ChangeTopology<T>(Func<T> body)
    {
        CompleteDueTransitions();
        var result = body();
        Publish();
        return result;
    }

    private SubnetEntry GetSubnet(SubnetId id) => _subnets.GetValueOrDefault(id) ?? throw Ec2Faults.NoSuchSubnet(id.Value);

    private Instance GetInstance(InstanceId id) => _instances.GetValueOrDefault(id) ?? throw Ec2Faults.NoSuchInstance(id.Value);

    private NetworkInterface Get(EniId id) => FindInterface(id) ?? throw Ec2Faults.NoSuchInterface(id.Value);

    private void Put(NetworkInterface eni, DateTimeOffset? at = null)
    {
        if (!_interfaces.TryGetValue(eni.Id, out var entry))
            _interfaces[eni.Id] = entry = new InterfaceEntry(_order++);
        entry.Versions.Set(at ?? Now, eni);
    }

    /// <summary>Removes interfaces that were deleted longer ago than the maximum lag.</summary>
    private void PruneDeleted()
    {
        while (_deleted.TryPeek(out var id) && _interfaces[id].Versions.LastChange + WorldTiming.MaxLag < Now)
            _interfaces.Remove(_deleted.Dequeue());
    }

    private sealed record SubnetEntry(Subnet Subnet, Ipv4Pool Ipv4, Ipv6Pool? Ipv6);

    private sealed class InterfaceEntry(long order)
    {
        public long Order { get; } = order;
        public Versioned<NetworkInterface> Versions { get; } = new();
    }
}
