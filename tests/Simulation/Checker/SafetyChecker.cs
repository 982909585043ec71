// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Startup;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>
/// What must never happen, at any step. Keeps its own record of who was told which address, looks at the world's truth, and shares no code
/// with the daemon's ledger. The first violation ends the run.
/// </summary>
internal sealed class SafetyChecker
{
    /// <summary>
    /// Of damage by others: so long the daemon may not know yet (a lag of the cloud, the interval of its observations, a failed one).
    /// </summary>
    private static readonly TimeSpan Ignorance = TimeSpan.FromMinutes(5);

    /// <summary>
    /// From the start of a daemon until it serves while EC2 is away: it waits three seconds for EC2, and asks the metadata a few times.
    /// </summary>
    private static readonly TimeSpan RestartBound = TimeSpan.FromSeconds(6);

    /// <summary>The whole world is checked every so many changes; what the daemon can break, at each.</summary>
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

    /// <summary>In which subnet new pods may be, from when on; null: in none. Custom networking only.</summary>
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
        world.Subscribe(happened =>
        {
            _events++;
            // What comes to an interface that is on its way out goes with it.
            if (happened is VpcEvent.AddressesChanged { Interface: var id, Ranges: var ranges } && _detached.ContainsKey(id))
                Damage(ranges);
        });
    }

    /// <summary>Null as long as all is well.</summary>
    public string? Violation { get; private set; }

    public IReadOnlyCollection<PodRecord> Live => _live.Values;

    public int Told { get; private set; }

    /// <summary>
    /// Somebody else took it from this node after a pod was told it, or so shortly before that the daemon could not know.
    /// </summary>
    public bool IsDamaged(IPAddress address, DateTimeOffset toldAt) =>
        _damaged.TryGetValue(address, out var at) && (_isBlind || toldAt < (at > _blindUntil ? at : _blindUntil) + Ignorance);

    /// <summary>EC2 answers no call. The instance metadata does.</summary>
    public bool IsCloudAway
    {
        get;
        set
        {
            // A daemon that runs already goes by what it observed.
            if (value && !field)
                _startedAt = DateTimeOffset.MaxValue;
            field = value;
        }
    }

    /// <summary>
    /// EC2 has been away since before the daemon started, and that is long enough ago: what checkpoint and metadata agree on is served.
    /// </summary>
    private bool MustPresume => IsCloudAway && _startedAt != DateTimeOffset.MaxValue && _time.GetUtcNow() >= _startedAt + RestartBound;

    /// <summary>
    /// Free addresses that the daemon must know although EC2 is away; none where something else may keep it from serving.
    /// </summary>
    public int KnownToBeFree(byte[]? checkpoint, ICollection<string> routed)
    {
        var isExcused =
            _scenario.CustomNetwork is not null
            || _scenario.Subnets.Any(plan => plan.Role == "0")
            || _scenario.DiskFails > 0
            || _scenario.KernelFails > 0
            || _scenario.Latency.SlowShare > 0;
        if (isExcused || !MustPresume || _requests.Count > 0)
            return 0;
        var known = CheckpointTruth.FreeAddresses(checkpoint);
        known.IntersectWith(_knownAtStart);
        known.IntersectWith(ShownByMetadata());
        known.RemoveWhere(address => !IsCarried(address));
        known.RemoveWhere(address => routed.Contains(address.ToString()));
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

    /// <summary>An operator forbids the daemon to look, or allows it again.</summary>
    public void Blind(bool isBlind)
    {
        if (_isBlind)
            _blindUntil = _time.GetUtcNow();
        _isBlind = isBlind;
    }

    /// <summary>The cluster's word on where new pods may be.</summary>
    public void Configured(SubnetId? subnet) => _configured.Add((_time.GetUtcNow(), subnet));

    public void Fail(string violation)
    {
        if (Violation is not null)
            return;
        Violation = violation;
        _trace.Add($"VIOLATION: {violation}");
    }

    /// <summary>A client was told an address, and listened.</summary>
    public void TellAddress(PodRecord pod, IPAddress address)
    {
        Told++;
        if (pod.Address is { } before)
        {
            if (!before.Equals(address))
                Fail($"{pod} was told {before} and now {address}");
            return;
        }

        if (pod.Ended)
            return;
        if (_live.TryGetValue(address, out var other))
            Fail($"{address} is given to {pod} while {other} lives on it");
        // What a sandbox asks for again it may keep.
        if (
            _freed.TryGetValue(address, out var freed)
            && freed.By.Container != pod.Container
            && _time.GetUtcNow() < freed.At + _scenario.Cooldown
            && !ExcusedByClock(freed.At)
        )
            Fail(
                $"{address} is given to {pod} {(_time.GetUtcNow() - freed.At).TotalSeconds:0.000} s after {freed.By} gave it back; "
                    + $"the cooldown is {_scenario.Cooldown.TotalSeconds} s"
            );
        if (
            MustPresume
            && !IsCarried(address)
            && _damaged.TryGetValue(address, out var takenAt)
            && takenAt + _scenario.MetadataLag < _startedAt
        )
        {
            Fail(
                $"{address} is given to {pod}; somebody took it from the node at {takenAt:HH:mm:ss.fff}, "
                    + "and the metadata has shown that since before the daemon started"
            );
        }

        if (!IsCarried(address) && !IsDamaged(address, _time.GetUtcNow()))
            Fail($"{address} is given to {pod}, but no interface that is attached to the node carries it");
        if (_scenario.CustomNetwork is not null && !MayBeAt(address, pod.MadeAt))
            Fail($"{address} is given to {pod}, and no subnet that was configured since {pod.MadeAt:HH:mm:ss.fff} has it");
        (pod.Address, pod.LastAddress, pod.ToldAt) = (address, address, _time.GetUtcNow());
        _live[address] = pod;
    }

    /// <summary>It is of a subnet that counted at some time since then: when the daemon chose it is not known here.</summary>
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
    /// No interface of the daemon is in a subnet that never counted, and interfaces that are not to be managed have the groups that they
    /// came with.
    /// </summary>
    private string? Misplaced()
    {
        foreach (var eni in _world.Interfaces)
        {
            if (eni.Tags.GetValueOrDefault("node.k8s.amazonaws.com/no_manage") == "true" && eni.Groups.Length > 0)
                return $"{eni.Id} is not to be managed and was given security groups";
            if (
                _scenario.CustomNetwork is not null
                && eni.Description.StartsWith("aws-K8S-", StringComparison.Ordinal)
                && _configured.TrueForAll(entry => entry.Subnet != eni.Subnet)
            )
                return $"{eni.Id} was made in {eni.Subnet}, which was never configured";
        }

        return null;
    }

    /// <summary>A client was told that its address is on no interface any more.</summary>
    public void TellOrphaned(PodRecord pod, IPAddress address)
    {
        if (pod.Address is null || !pod.Address.Equals(address))
            return;
        if (IsCarried(address) && !pod.IsHurt && !IsDamaged(address, pod.ToldAt))
            Fail($"{pod} is told that nobody carries {address}, but the node does");
    }

    /// <summary>The pod's end begins: its DEL is about to be sent, or, if that gets lost, the last of it has been torn down.</summary>
    public void End(PodRecord pod)
    {
        pod.Ended = true;
        if (pod.Address is not { } address)
            return;
        pod.Address = null;
        _live.Remove(address);
        _freed[address] = (_time.GetUtcNow(), pod);
    }

    /// <summary>A DEL was answered, by a daemon that knew the address.</summary>
    public void Released(PodRecord pod, IPAddress address)
    {
        if (!pod.Ended)
            Fail($"{pod} lost {address} without having asked for it");
        // Without a cooldown the next pod may have it before the answer is on its way.
        if (_live.TryGetValue(address, out var holder) && (_scenario.Cooldown > TimeSpan.Zero || holder.ToldAt < _time.GetUtcNow()))
            Fail($"the DEL of {pod} gave {address} back, on which {holder} lives");
        else
            _freed[address] = (_time.GetUtcNow(), pod);
    }

    /// <summary>A daemon gave an address back by a note of a DEL.</summary>
    public void ReleasedByNote(string container, IPAddress address)
    {
        foreach (var pod in _live.Values)
        {
            // Without a cooldown the next pod may have it already, as after any other DEL.
            if (pod.Container != container && _scenario.Cooldown == TimeSpan.Zero && pod.ToldAt == _time.GetUtcNow())
                continue;
            if (pod.Container == container || address.Equals(pod.Address))
                Fail($"a note gave {address} of {container} back, on which {pod} lives");
        }
    }

    /// <summary>Somebody else takes these from the node, or has.</summary>
    public void Damage(IEnumerable<IPNetwork> ranges)
    {
        foreach (var range in ranges)
        {
            for (var number = 0; number < 1 << (32 - range.PrefixLength); number++)
                _damaged[Offset(range.BaseAddress, number)] = _time.GetUtcNow();
        }
    }

    /// <summary>Interfaces of ours that others took off the node.</summary>
    public IReadOnlySet<EniId> DetachedByOthers => _detached.Keys.ToHashSet();

    /// <summary>Somebody else takes an interface off the node.</summary>
    public void Detach(NetworkInterface eni)
    {
        Damage(eni.AllRanges);
        _detached[eni.Id] = _time.GetUtcNow();
    }

    public void ClockSetForward() => _clockSetForward = _time.GetUtcNow();

    /// <summary>A daemon has read its checkpoint: every promise that was made is in it.</summary>
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
                Fail($"after a restart the daemon does not know {pod}, which was told {pod.Address}");
            else if (!found.Addresses[0].Address.Equals(pod.Address))
                Fail($"after a restart the daemon has {found.Addresses[0].Address} for {pod}, which was told {pod.Address}");
        }
    }

    /// <summary>A request is under way that must end by then, unless its daemon dies.</summary>
    public long RequestBegins(string what, TimeSpan bound)
    {
        _requests[++_request] = (what, _time.GetUtcNow() + bound);
        return _request;
    }

    public void RequestEnds(long request) => _requests.Remove(request);

    /// <summary>To be called now and then: requests that nobody answers.</summary>
    public void CheckRequests()
    {
        foreach (var (what, deadline) in _requests.Values)
        {
            if (_time.GetUtcNow() > deadline)
                Fail($"{what} has no answer; it was due {(_time.GetUtcNow() - deadline).TotalSeconds:0} s ago");
        }
    }

    /// <summary>After every step.</summary>
    public void AfterStep()
    {
        if (_seenCalls == _world.Calls.Total && _seenEvents == _events)
            return;
        (_seenCalls, _seenEvents) = (_world.Calls.Total, _events);
        foreach (var (address, pod) in _live)
        {
            if (pod.IsHurt || IsCarried(address))
                continue;
            if (IsDamaged(address, pod.ToldAt))
                pod.IsHurt = true;
            else
                Fail($"{address} is not on the node any more, but {pod} lives on it");
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
    /// Release times are kept as times of the wall clock: a clock that is set forward before a restart shortens the cooldowns that the
    /// restart finds.
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
