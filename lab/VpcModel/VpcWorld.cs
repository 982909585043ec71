// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// One account's corner of EC2: VPCs, subnets, instances, network interfaces and what EC2 does with them, limits, delays, throttling and
/// failures included. Pure: no I/O, no threads, no clock but the injected one, no randomness but the injected one; the same calls at the
/// same times under the same seed give the same world.
/// <para>
/// Not safe for several threads: whoever shares a world takes <see cref="Gate"/> around everything, and never awaits under it. Refusals are
/// <see cref="Ec2FaultException"/>s and leave the world as it was. Changes that take time happen when the next verb, or
/// <see cref="Settle"/>, is called at or after their time.
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

    /// <param name="time">The only clock; virtual in a simulation.</param>
    /// <param name="random">For ids, MAC addresses, scattered addresses and the probability of injected failures.</param>
    /// <param name="options">Null for the defaults.</param>
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

    /// <summary>Taken by those who share the world among threads; the world itself never takes it.</summary>
    public Lock Gate { get; } = new();

    public DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>The truth now, without any lag, in order of creation.</summary>
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

    /// <summary>The interface that holds an address now, as an address or within a prefix; null for nobody's.</summary>
    public NetworkInterface? FindOwner(IPAddress address) =>
        Interfaces.FirstOrDefault(candidate => candidate.AllRanges.Any(range => range.Contains(address)));

    /// <summary>An instance's interfaces now, whatever the state of their attachment, by card and device index.</summary>
    public IReadOnlyList<NetworkInterface> InterfacesOf(InstanceId id) =>
        _interfacesOf.TryGetValue(id, out var list)
            ? [.. list.Select(Get).OrderBy(eni => eni.Attachment!.NetworkCard).ThenBy(eni => eni.Attachment!.DeviceIndex)]
            : [];

    /// <summary>Free IPv4 addresses of a subnet, as DescribeSubnets counts them.</summary>
    public int FreeAddresses(SubnetId id) => GetSubnet(id).Ipv4.Free;

    /// <summary>Free aligned /28s of a subnet.</summary>
    public int FreePrefixes(SubnetId id) => GetSubnet(id).Ipv4.FreePrefixes;

    /// <summary>
    /// A call of the EC2 API: throttled, possibly struck by an injected failure, logged. <paramref name="body"/> checks everything before
    /// it changes anything.
    /// </summary>
    private T Call<T>(string operation, CallKind kind, Func<T> body)
    {
        Settle();
        var outcome = "InternalError";
        try
        {
            if (!Throttle.TryTake(kind, Now))
                throw Ec2Faults.Throttled();
            if (Faults.Strike(operation, FaultMoment.BeforeEffect) is { } before)
                throw before;
            var result = body();
            if (Faults.Strike(operation, FaultMoment.AfterEffect) is { } after)
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
    /// What EC2 answers to a DryRun of an operation: always a fault, <c>DryRunOperation</c> if the call would be allowed.
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

    /// <summary>A change of the scenery, not an API call: neither throttled nor logged.</summary>
    private T Arrange<T>(Func<T> body)
    {
        Settle();
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

    /// <summary>Forgets the past of interfaces that were deleted longer ago than anybody can look back.</summary>
    private void Forget()
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
