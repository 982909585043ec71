// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Startup;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

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

    /// <summary>Pods by their first address.</summary>
    private readonly Dictionary<IPAddress, PodRecord> _live = [];

    /// <summary>Dual-stack pods by their second address.</summary>
    private readonly Dictionary<IPAddress, PodRecord> _liveBySecond = [];
    private readonly Dictionary<IPAddress, (DateTimeOffset At, PodRecord By)> _freed = [];

    /// <summary>Addresses, and IPv6 prefixes as a whole, with the time of the last removal.</summary>
    private readonly Dictionary<IPNetwork, DateTimeOffset> _damaged = [];
    private readonly Dictionary<EniId, DateTimeOffset> _detached = [];
    private readonly Dictionary<long, (string What, DateTimeOffset Deadline)> _requests = [];

    /// <summary>The subnets of new pods with their start times; null for none. Custom networking only.</summary>
    private readonly List<(DateTimeOffset From, SubnetId? Subnet)> _configured = [];

    /// <summary>The modes of the daemon runs with their start times.</summary>
    private readonly List<(DateTimeOffset From, PodMode Mode)> _modes = [];
    private DateTimeOffset _startedAt;
    private HashSet<IPNetwork> _knownAtStart = [];
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
    public PodRecord? FindLive(IPAddress address) => _live.GetValueOrDefault(address) ?? _liveBySecond.GetValueOrDefault(address);

    public int Reported { get; private set; }

    /// <summary>
    /// Whether someone else removed the address from this node after a pod received it, or too shortly before for the daemon to know.
    /// </summary>
    private bool IsDamaged(IPAddress address, DateTimeOffset reportedAt) =>
        DamagedAt(address) is { } at && (_isBlind || reportedAt < (at > _blindUntil ? at : _blindUntil) + DetectionTime);

    /// <summary>The same for any of a pod's addresses.</summary>
    public bool IsDamaged(PodRecord pod) => pod.Addresses.Any(address => IsDamaged(address, pod.ReportedAt));

    private DateTimeOffset? DamagedAt(IPAddress address)
    {
        DateTimeOffset? single = _damaged.TryGetValue(AddressMath.Single(address), out var at) ? at : null;
        return
            AddressMath.IsIpv6(address) && _damaged.TryGetValue(AddressMath.Ipv6PrefixOf(address), out var prefixAt) && !(single > prefixAt)
            ? prefixAt
            : single;
    }

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
    /// Number of pods for which the daemon must know free addresses although EC2 is away; 0 when another fault may keep it from serving.
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
        var known = CheckpointTruth.FreeUnits(checkpoint);
        known.IntersectWith(_knownAtStart);
        known.IntersectWith(ShownByMetadata());
        known.RemoveWhere(unit => AddressMath.IsSingle(unit) && isRouted(unit.BaseAddress));
        return _world.InterfacesOf(_instance).Where(IsAttached).Sum(eni => CountServable(eni, known));
    }

    /// <summary>Number of pods of the running mode that an interface has free addresses for.</summary>
    private int CountServable(NetworkInterface eni, HashSet<IPNetwork> free)
    {
        var units = AddressMath.Blocks(eni).SelectMany(AddressMath.Units).Where(free.Contains).ToArray();
        var ipv4 = units.Count(unit => unit.BaseAddress.AddressFamily == IpFamily.V4);
        var ipv6 = units
            .Where(unit => unit.BaseAddress.AddressFamily == IpFamily.V6)
            .Sum(unit => AddressMath.IsSingle(unit) ? 1 : AddressMath.Ipv6PrefixSize);
        return _modes[^1].Mode switch
        {
            PodMode.Ipv4 => ipv4,
            PodMode.Ipv6 => ipv6,
            _ => Math.Min(ipv4, ipv6),
        };
    }

    private HashSet<IPNetwork> ShownByMetadata() =>
        [
            .. (_world.DescribeMetadata(_instance)?.Interfaces ?? [])
                .SelectMany(pair => AddressMath.Blocks(pair.Interface))
                .SelectMany(AddressMath.Units),
        ];

    private static bool IsAttached(NetworkInterface eni) => eni.Attachment is { Status: AttachmentStatus.Attached };

    /// <summary>Records that a daemon run has read its settings, and what it refuses.</summary>
    public void SettingsRead(bool usesPrefixes, PodMode mode, IReadOnlyList<string> problems)
    {
        var text = string.Join("; ", problems);
        switch (_scenario.Refusal(usesPrefixes, mode))
        {
            case null when problems.Count > 0:
                Fail($"the daemon refuses valid settings: {text}");
                break;
            case { } variable when !problems.Any(problem => problem.Contains(variable, StringComparison.Ordinal)):
                Fail($"the daemon must refuse {mode} because of {variable}, and refuses [{text}]");
                break;
            case null:
                _modes.Add((_time.GetUtcNow(), mode));
                break;
        }
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

    /// <summary>Records the addresses that a listening client received.</summary>
    public void RecordAddresses(PodRecord pod, IReadOnlyList<IPAddress> addresses)
    {
        Reported++;
        if (pod.IsAssigned)
        {
            if (!pod.Addresses.ToHashSet().SetEquals(addresses))
                Fail($"{pod} got {Text(pod.Addresses)} and now {Text(addresses)}");
            return;
        }

        if (pod.Ended)
            return;
        if (!HasFamiliesOfMode(addresses, pod.CreatedAt))
            Fail($"{pod} got {Text(addresses)}, and no mode since {pod.CreatedAt:HH:mm:ss.fff} gives a pod these families");
        foreach (var address in addresses)
            CheckAssignable(pod, address);
        if (
            addresses is [var one, var other]
            && CarrierOf(one) is { } carrier
            && CarrierOf(other) is { } otherCarrier
            && carrier.Id != otherCarrier.Id
        )
        {
            // Someone else took one of them, and EC2 has given it to another interface of the node since.
            IPAddress[] taken = [.. addresses.Where(address => IsDamaged(address, _time.GetUtcNow()))];
            if (taken.Length == 0)
                Fail($"{pod} got {one} of {carrier.Id} and {other} of {otherCarrier.Id}: its traffic leaves by one interface only");
            pod.Lost.UnionWith(taken);
        }

        if (_scenario.CustomNetwork is not null && !MayBeAt(addresses, pod.CreatedAt))
            Fail($"{Text(addresses)} is assigned to {pod}, and no subnet that was configured since {pod.CreatedAt:HH:mm:ss.fff} has it");
        (pod.Addresses, pod.LastAddresses, pod.ReportedAt) = (addresses, addresses, _time.GetUtcNow());
        _live[addresses[0]] = pod;
        if (addresses.Count > 1)
            _liveBySecond[addresses[1]] = pod;
    }

    private void CheckAssignable(PodRecord pod, IPAddress address)
    {
        if (FindLive(address) is { } other)
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
            && DamagedAt(address) is { } takenAt
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
    }

    private static string Text(IEnumerable<IPAddress> addresses) => string.Join(" and ", addresses);

    /// <summary>
    /// Whether the addresses are one of each family of a mode that was in force at some time since: the time of the daemon's choice is
    /// unknown here. A pod keeps what the mode at that time gave it.
    /// </summary>
    private bool HasFamiliesOfMode(IReadOnlyList<IPAddress> addresses, DateTimeOffset since)
    {
        PodMode? mode = addresses.Select(AddressMath.IsIpv6).ToArray() switch
        {
            [false] => PodMode.Ipv4,
            [true] => PodMode.Ipv6,
            [false, true] => PodMode.Dual,
            _ => null,
        };
        for (var index = _modes.Count - 1; index >= 0; index--)
        {
            if (_modes[index].Mode == mode)
                return true;
            if (_modes[index].From < since)
                return false;
        }

        return false;
    }

    /// <summary>
    /// Whether the addresses are in a subnet that was configured at some time since: the time of the daemon's choice is unknown here.
    /// </summary>
    private bool MayBeAt(IReadOnlyList<IPAddress> addresses, DateTimeOffset since)
    {
        for (var index = _configured.Count - 1; index >= 0; index--)
        {
            if (
                _configured[index].Subnet is { } id
                && _world.FindSubnet(id) is { } subnet
                && addresses.All(address => subnet.Ipv4Range.Contains(address) || (subnet.Ipv6Range?.Contains(address) ?? false))
            )
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

    /// <summary>Records a reply that an address of the client's is on no interface.</summary>
    public void RecordOrphaned(PodRecord pod, IReadOnlyList<IPAddress> addresses)
    {
        if (!pod.IsAssigned || !pod.Addresses.ToHashSet().SetEquals(addresses))
            return;
        if (addresses.All(IsCarried) && !pod.HasLostAddress && !IsDamaged(pod))
            Fail($"the reply to {pod} says that no interface carries {Text(addresses)}, but one does");
    }

    /// <summary>Records the pod's end: its DEL is about to be sent or, if that gets lost, its last trace has been removed.</summary>
    public void End(PodRecord pod)
    {
        pod.Ended = true;
        foreach (var address in pod.Addresses)
        {
            _live.Remove(address);
            _liveBySecond.Remove(address);
            _freed[address] = (_time.GetUtcNow(), pod);
        }

        pod.Addresses = [];
    }

    /// <summary>Records a DEL answered by a daemon that had the addresses.</summary>
    public void Released(PodRecord pod, IReadOnlyList<IPAddress> addresses)
    {
        if (!pod.Ended)
            Fail($"{pod} lost {Text(addresses)} without a DEL");
        foreach (var address in addresses)
        {
            // Without a cooldown the next pod may get it before the answer is sent.
            if (FindLive(address) is { } owner && (_scenario.Cooldown > TimeSpan.Zero || owner.ReportedAt < _time.GetUtcNow()))
                Fail($"the DEL of {pod} released {address}, which {owner} uses");
            else
                _freed[address] = (_time.GetUtcNow(), pod);
        }
    }

    /// <summary>Records addresses that a daemon released because of a note.</summary>
    public void ReleasedByNote(string container, IReadOnlyList<IPAddress> addresses)
    {
        foreach (var pod in _live.Values)
        {
            // Without a cooldown the next pod may have it already, as after any other DEL.
            if (pod.Container != container && _scenario.Cooldown == TimeSpan.Zero && pod.ReportedAt == _time.GetUtcNow())
                continue;
            if (pod.Container == container || addresses.Any(pod.Addresses.Contains))
                Fail($"a note released {Text(addresses)} of {container}, which {pod} uses");
        }
    }

    /// <summary>Records ranges that a daemon that has not observed the cloud cannot serve: their interface has no link.</summary>
    public void HasNoLink(IReadOnlyList<IPNetwork> ranges) =>
        _knownAtStart.RemoveWhere(unit => ranges.Any(range => AddressMath.Overlap(range, unit)));

    /// <summary>
    /// Records ranges that someone else removes from the node. A daemon that has not observed the cloud may not serve from them again, even
    /// when they come back.
    /// </summary>
    public void Damage(IEnumerable<IPNetwork> ranges)
    {
        foreach (var range in ranges)
        {
            _knownAtStart.RemoveWhere(unit => AddressMath.Overlap(range, unit));
            foreach (var unit in AddressMath.Units(range))
                _damaged[unit] = _time.GetUtcNow();
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
        _knownAtStart = CheckpointTruth.FreeUnits(checkpoint);
        _knownAtStart.IntersectWith(ShownByMetadata());
        if (_clockSetForward is not null)
            _restartedAfterJump = _time.GetUtcNow();
        if (LedgerConflict(engine) is { } conflict)
            Fail($"after a restart {conflict}");
    }

    /// <summary>A live pod whose addresses the daemon does not have; null when there is none.</summary>
    public string? LedgerConflict(PoolEngine engine)
    {
        foreach (var pod in _live.Values)
        {
            var found = engine.Ledger.Find(new AttachmentKey(pod.Network, pod.Container, "eth0"));
            if (found is null)
                return $"the daemon does not know {pod}, which got {Text(pod.Addresses)}";
            var recorded = found.Addresses.Select(item => item.Address).ToHashSet();
            if (!recorded.SetEquals(pod.Addresses))
                return $"the daemon has {Text(recorded)} for {pod}, which got {Text(pod.Addresses)}";
        }

        return null;
    }

    /// <summary>A block of which the daemon counts other addresses as assigned than pods have; null when there is none.</summary>
    public string? LedgerProblem(PoolEngine engine)
    {
        foreach (var block in engine.Ledger.View(_time.GetUtcNow()).Interfaces.SelectMany(item => item.Blocks))
        {
            var used = _live.Keys.Concat(_liveBySecond.Keys).Count(block.Range.Contains);
            if (block.Assigned != used)
                return $"the daemon counts {block.Assigned} addresses of {block.Range} as assigned, and pods have {used}";
        }

        return null;
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
            CheckCarried(address, pod);
        foreach (var (address, pod) in _liveBySecond)
            CheckCarried(address, pod);

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

    private void CheckCarried(IPAddress address, PodRecord pod)
    {
        if (pod.Lost.Contains(address) || IsCarried(address))
            return;
        if (IsDamaged(address, pod.ReportedAt))
            pod.Lost.Add(address);
        else
            Fail($"{address} is no longer on the node, but {pod} uses it");
    }

    private bool IsCarried(IPAddress address) => CarrierOf(address) is not null;

    private NetworkInterface? CarrierOf(IPAddress address)
    {
        foreach (var eni in _world.InterfacesOf(_instance))
        {
            if (IsAttached(eni) && AddressMath.Carries(eni, address))
                return eni;
        }

        return null;
    }

    /// <summary>
    /// Whether a clock change excuses a short cooldown: release times are wall clock times, and a clock set forward before a restart
    /// shortens the cooldowns that the restart finds.
    /// </summary>
    private bool ExcusedByClock(DateTimeOffset freedAt) => _restartedAfterJump >= freedAt;
}
