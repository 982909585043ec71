// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Startup;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>
/// Checks at every step what must never happen. Keeps its own record of reported addresses, reads the true state of the world, and shares
/// no code with the daemon's ledger. The first violation ends the run.
/// </summary>
internal sealed class SafetyChecker
{
    /// <summary>
    /// How long the daemon may be unaware of damage by others (a lag of the cloud, the interval of its observations, a failed one).
    /// </summary>
    private static readonly TimeSpan DetectionTime = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Time from a daemon's start until it serves pods while EC2 is away: it waits three seconds for EC2, and reads the metadata a few
    /// times.
    /// </summary>
    private static readonly TimeSpan RestartBound = TimeSpan.FromSeconds(6);

    /// <summary>Number of changes between checks of the whole world; what the daemon can break is checked at each change.</summary>
    private const int ChangesPerWorldCheck = 200;

    private readonly Scenario _scenario;
    private readonly VpcWorld _world;
    private readonly InstanceId _instance;
    private readonly TimeProvider _time;
    private readonly Trace _trace;
    private readonly Dictionary<IPAddress, PodRecord> _live = [];
    private readonly Dictionary<IPAddress, (DateTimeOffset At, PodRecord By)> _freed = [];
    private readonly Dictionary<IPAddress, DateTimeOffset> _damaged = [];
    private readonly Dictionary<EniId, DateTimeOffset> _detached = [];
    private readonly Dictionary<long, (string What, DateTimeOffset Deadline)> _requests = [];

    /// <summary>The subnets of new pods with their start times; null for none. Custom networking only.</summary>
    private readonly List<(DateTimeOffset From, SubnetId? Subnet)> _configured = [];
    private DateTimeOffset _startedAt;
    private HashSet<IPAddress> _knownAtStart = [];
    private bool _isBlind;
    private DateTimeOffset _blindUntil;
    private DateTimeOffset? _clockSetForward;
    private DateTimeOffset? _restartedAfterJump;
    private long _seenCalls = -1;
    private long _events;
    private long _seenEvents;
    private long _changes;
    private long _request;

    public SafetyChecker(Scenario scenario, VpcWorld world, InstanceId instance, TimeProvider time, Trace trace)
    {
        (_scenario, _world, _instance, _time, _trace) = (scenario, world, instance, time, trace);
        world.Subscribe(vpcEvent =>
        {
            _events++;
            // Blocks added to a detaching interface are lost with it.
            if (vpcEvent is VpcEvent.AddressesChanged { Interface: var id, Ranges: var ranges } && _detached.ContainsKey(id))
                Damage(ranges);
        });
    }

    /// <summary>The first violation; null when there is none.</summary>
    public string? Violation { get; private set; }

    public IReadOnlyCollection<PodRecord> Live => _live.Values;

    /// <summary>The pod that uses the address; null when none does.</summary>
    public PodRecord? FindLive(IPAddress address) => _live.GetValueOrDefault(address);

    public int Reported { get; private set; }

    /// <summary>
    /// Whether someone else removed the address from this node after a pod received it, or too shortly before for the daemon to know.
    /// </summary>
    public bool IsDamaged(IPAddress address, DateTimeOffset reportedAt) =>
        _damaged.TryGetValue(address, out var at) && (_isBlind || reportedAt < (at > _blindUntil ? at : _blindUntil) + DetectionTime);

    /// <summary>Whether EC2 fails every call. The instance metadata works.</summary>
    public bool IsCloudAway
    {
        get;
        set
        {
            // A running daemon uses what it has observed.
            if (value && !field)
                _startedAt = DateTimeOffset.MaxValue;
            field = value;
        }
    }

    /// <summary>
    /// Whether EC2 has been away since before the daemon's start, long enough that it must serve what checkpoint and metadata agree on.
    /// </summary>
    private bool MustServeWithoutCloud =>
        IsCloudAway && _startedAt != DateTimeOffset.MaxValue && _time.GetUtcNow() >= _startedAt + RestartBound;

    /// <summary>
    /// Number of free addresses that the daemon must know although EC2 is away; 0 when another fault may keep it from serving.
    /// </summary>
    public int CountKnownFree(byte[]? checkpoint, Predicate<IPAddress> isRouted)
    {
        var isExcused =
            _scenario.CustomNetwork is not null
            || _scenario.Subnets.Any(plan => plan.Role == "0")
            || _scenario.DiskFails > 0
            || _scenario.KernelFails > 0
            || _scenario.Latency.SlowShare > 0;
        if (isExcused || !MustServeWithoutCloud || _requests.Count > 0)
            return 0;
        var known = CheckpointTruth.FreeAddresses(checkpoint);
        known.IntersectWith(_knownAtStart);
        known.IntersectWith(ShownByMetadata());
        known.RemoveWhere(address => !IsCarried(address));
        known.RemoveWhere(isRouted);
        return known.Count;
    }

    private HashSet<IPAddress> ShownByMetadata()
    {
        var shown = _world.DescribeMetadata(_instance)?.Interfaces ?? [];
        var prefixes = shown.SelectMany(pair => pair.Interface.Ipv4Prefixes);
        return
        [
            .. shown.SelectMany(pair => pair.Interface.SecondaryAddresses),
            .. prefixes.SelectMany(prefix => Enumerable.Range(0, 16).Select(number => Offset(prefix.BaseAddress, number))),
        ];
    }

    /// <summary>Records that an operator forbids the daemon to call the cloud, or permits it again.</summary>
    public void SetBlind(bool isBlind)
    {
        if (_isBlind)
            _blindUntil = _time.GetUtcNow();
        _isBlind = isBlind;
    }

    /// <summary>Records the subnet of new pods.</summary>
    public void Configured(SubnetId? subnet) => _configured.Add((_time.GetUtcNow(), subnet));

    public void Fail(string violation)
    {
        if (Violation is not null)
            return;
        Violation = violation;
        _trace.Add($"VIOLATION: {violation}");
    }

    /// <summary>Records an address that a listening client received.</summary>
    public void RecordAddress(PodRecord pod, IPAddress address)
    {
        Reported++;
        if (pod.Address is { } before)
        {
            if (!before.Equals(address))
                Fail($"{pod} got {before} and now {address}");
            return;
        }

        if (pod.Ended)
            return;
        if (_live.TryGetValue(address, out var other))
            Fail($"{address} is assigned to {pod} while {other} uses it");
        // A sandbox may keep its address when it is added again.
        if (
            _freed.TryGetValue(address, out var freed)
            && freed.By.Container != pod.Container
            && _time.GetUtcNow() < freed.At + _scenario.Cooldown
            && !ExcusedByClock(freed.At)
        )
            Fail(
                $"{address} is assigned to {pod} {(_time.GetUtcNow() - freed.At).TotalSeconds:0.000} s after {freed.By} released it; "
                    + $"the cooldown is {_scenario.Cooldown.TotalSeconds} s"
            );
        if (
            MustServeWithoutCloud
            && !IsCarried(address)
            && _damaged.TryGetValue(address, out var takenAt)
            && takenAt + _scenario.MetadataLag < _startedAt
        )
        {
            Fail(
                $"{address} is assigned to {pod}; someone removed it from the node at {takenAt:HH:mm:ss.fff}, "
                    + "and the metadata has shown that since before the daemon started"
            );
        }

        if (!IsCarried(address) && !IsDamaged(address, _time.GetUtcNow()))
            Fail($"{address} is assigned to {pod}, but no interface that is attached to the node carries it");
        if (_scenario.CustomNetwork is not null && !MayBeAt(address, pod.CreatedAt))
            Fail($"{address} is assigned to {pod}, and no subnet that was configured since {pod.CreatedAt:HH:mm:ss.fff} has it");
        (pod.Address, pod.LastAddress, pod.ReportedAt) = (address, address, _time.GetUtcNow());
        _live[address] = pod;
    }

    /// <summary>
    /// Whether the address is in a subnet that was configured at some time since: the time of the daemon's choice is unknown here.
    /// </summary>
    private bool MayBeAt(IPAddress address, DateTimeOffset since)
    {
        for (var index = _configured.Count - 1; index >= 0; index--)
        {
            if (_configured[index].Subnet is { } id && _world.FindSubnet(id)!.Ipv4Range.Contains(address))
                return true;
            if (_configured[index].From < since)
                return false;
        }

        return false;
    }

    /// <summary>
    /// An interface that the daemon created in a subnet that was never configured, or an unmanaged one whose security groups it changed.
    /// </summary>
    private string? Misplaced()
    {
        foreach (var eni in _world.Interfaces)
        {
            if (eni.Tags.GetValueOrDefault("node.k8s.amazonaws.com/no_manage") == "true" && eni.Groups.Length > 0)
                return $"{eni.Id} is unmanaged, but its security groups were changed";
            if (
                _scenario.CustomNetwork is not null
                && eni.Description.StartsWith("aws-K8S-", StringComparison.Ordinal)
                && _configured.TrueForAll(entry => entry.Subnet != eni.Subnet)
            )
                return $"{eni.Id} was created in {eni.Subnet}, which was never configured";
        }

        return null;
    }

    /// <summary>Records a reply that the client's address is on no interface.</summary>
    public void RecordOrphaned(PodRecord pod, IPAddress address)
    {
        if (pod.Address is null || !pod.Address.Equals(address))
            return;
        if (IsCarried(address) && !pod.HasLostAddress && !IsDamaged(address, pod.ReportedAt))
            Fail($"the reply to {pod} says that no interface carries {address}, but one does");
    }

    /// <summary>Records the pod's end: its DEL is about to be sent or, if that gets lost, its last trace has been removed.</summary>
    public void End(PodRecord pod)
    {
        pod.Ended = true;
        if (pod.Address is not { } address)
            return;
        pod.Address = null;
        _live.Remove(address);
        _freed[address] = (_time.GetUtcNow(), pod);
    }

    /// <summary>Records a DEL answered by a daemon that had the address.</summary>
    public void Released(PodRecord pod, IPAddress address)
    {
        if (!pod.Ended)
            Fail($"{pod} lost {address} without a DEL");
        // Without a cooldown the next pod may get it before the answer is sent.
        if (_live.TryGetValue(address, out var owner) && (_scenario.Cooldown > TimeSpan.Zero || owner.ReportedAt < _time.GetUtcNow()))
            Fail($"the DEL of {pod} released {address}, which {owner} uses");
        else
            _freed[address] = (_time.GetUtcNow(), pod);
    }

    /// <summary>Records an address that a daemon released because of a note.</summary>
    public void ReleasedByNote(string container, IPAddress address)
    {
        foreach (var pod in _live.Values)
        {
            // Without a cooldown the next pod may have it already, as after any other DEL.
            if (pod.Container != container && _scenario.Cooldown == TimeSpan.Zero && pod.ReportedAt == _time.GetUtcNow())
                continue;
            if (pod.Container == container || address.Equals(pod.Address))
                Fail($"a note released {address} of {container}, which {pod} uses");
        }
    }

    /// <summary>
    /// Records ranges that someone else removes from the node. A daemon that has not observed the cloud may not serve from them again, even
    /// when they come back.
    /// </summary>
    public void Damage(IEnumerable<IPNetwork> ranges)
    {
        foreach (var range in ranges)
        {
            _knownAtStart.RemoveWhere(range.Contains);
            for (var number = 0; number < 1 << (32 - range.PrefixLength); number++)
                _damaged[Offset(range.BaseAddress, number)] = _time.GetUtcNow();
        }
    }

    /// <summary>Interfaces of the daemon that others detached.</summary>
    public IReadOnlySet<EniId> DetachedByOthers => _detached.Keys.ToHashSet();

    /// <summary>Records that someone else detaches an interface.</summary>
    public void Detach(NetworkInterface eni)
    {
        Damage(eni.AllRanges);
        _detached[eni.Id] = _time.GetUtcNow();
    }

    public void ClockSetForward() => _clockSetForward = _time.GetUtcNow();

    /// <summary>Checks after a start that the checkpoint had every reported address.</summary>
    public void DaemonStarted(PoolEngine engine, byte[]? checkpoint)
    {
        _startedAt = _time.GetUtcNow();
        _knownAtStart = CheckpointTruth.FreeAddresses(checkpoint);
        _knownAtStart.IntersectWith(ShownByMetadata());
        if (_clockSetForward is not null)
            _restartedAfterJump = _time.GetUtcNow();
        foreach (var pod in _live.Values)
        {
            var found = engine.Ledger.Find(new AttachmentKey(pod.Network, pod.Container, "eth0"));
            if (found is null)
                Fail($"after a restart the daemon does not know {pod}, which got {pod.Address}");
            else if (!found.Addresses[0].Address.Equals(pod.Address))
                Fail($"after a restart the daemon has {found.Addresses[0].Address} for {pod}, which got {pod.Address}");
        }
    }

    /// <summary>Records a request that must end within the bound, unless its daemon dies.</summary>
    public long RequestBegins(string what, TimeSpan bound)
    {
        _requests[++_request] = (what, _time.GetUtcNow() + bound);
        return _request;
    }

    public void RequestEnds(long request) => _requests.Remove(request);

    /// <summary>Checks for overdue requests; called periodically.</summary>
    public void CheckRequests()
    {
        foreach (var (what, deadline) in _requests.Values)
        {
            if (_time.GetUtcNow() > deadline)
                Fail($"{what} has no answer; it was due {(_time.GetUtcNow() - deadline).TotalSeconds:0} s ago");
        }
    }

    /// <summary>Checks after every step.</summary>
    public void AfterStep()
    {
        if (_seenCalls == _world.Calls.Total && _seenEvents == _events)
            return;
        (_seenCalls, _seenEvents) = (_world.Calls.Total, _events);
        foreach (var (address, pod) in _live)
        {
            if (pod.HasLostAddress || IsCarried(address))
                continue;
            if (IsDamaged(address, pod.ReportedAt))
                pod.HasLostAddress = true;
            else
                Fail($"{address} is no longer on the node, but {pod} uses it");
        }

        if (++_changes % ChangesPerWorldCheck == 0)
            CheckWorld();
    }

    public void CheckWorld()
    {
        foreach (var problem in WorldInvariants.Check(_world))
            Fail(problem);
        if (Misplaced() is { } misplaced)
            Fail(misplaced);
    }

    private bool IsCarried(IPAddress address)
    {
        foreach (var eni in _world.InterfacesOf(_instance))
        {
            if (eni.Attachment is not { Status: AttachmentStatus.Attached })
                continue;
            if (eni.SecondaryAddresses.Contains(address))
                return true;
            foreach (var prefix in eni.Ipv4Prefixes)
            {
                if (prefix.Contains(address))
                    return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Whether a clock change excuses a short cooldown: release times are wall clock times, and a clock set forward before a restart
    /// shortens the cooldowns that the restart finds.
    /// </summary>
    private bool ExcusedByClock(DateTimeOffset freedAt) => _restartedAfterJump >= freedAt;

    internal static IPAddress Offset(IPAddress address, int offset)
    {
        Span<byte> bytes = stackalloc byte[4];
        address.TryWriteBytes(bytes, out _);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(
            bytes,
            System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(bytes) + (uint)offset
        );
        return new IPAddress(bytes);
    }
}
