// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.MissedDels;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Startup;
using VpcCni.Lab.VpcModel;
using VpcCni.MissedDels;
using VpcCni.Netlink;
using VpcCni.Simulation.Tests.Checker;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// One node of the model and its daemon over many runs: starts, kills and restarts it, and passes the requests of clients to it.
/// </summary>
internal sealed class SimulatedNode
{
    private readonly Scenario _scenario;
    private readonly Mutation _mutation;
    private readonly Random _random;
    private readonly Random _crashes;
    private readonly Random _notes;
    private readonly Random _kernelFaults;
    private readonly Random _settings;

    /// <summary>The settings of the last daemon run that did not refuse them.</summary>
    private (bool UsesPrefixes, PodMode Mode) _accepted;

    /// <summary>Sandboxes whose DEL came while the daemon was away and that were not added again.</summary>
    private readonly HashSet<string> _deleted = new(StringComparer.Ordinal);
    private Life? _life;
    private int _strange;
    private int _lives;

    public SimulatedNode(
        Scenario scenario,
        Mutation mutation,
        VirtualTime time,
        VpcWorld world,
        InstanceId instance,
        SafetyChecker checker,
        Trace trace
    )
    {
        (_scenario, _mutation, Time, World, Instance, Checker, Trace) = (scenario, mutation, time, world, instance, checker, trace);
        (_random, _crashes) = (Scenario.Stream(scenario.Seed, "node"), Scenario.Stream(scenario.Seed, "crashes"));
        _notes = Scenario.Stream(scenario.Seed, "faults of notes");
        Kernel = new ModelKernel(world, instance);
        Plugin = new ModelPlugin(Kernel);
        Network = new HostChecker(checker, Kernel, world, instance);
        _kernelFaults = Scenario.Stream(scenario.Seed, "kernel faults");
        _settings = Scenario.Stream(scenario.Seed, "settings");
        (UsesPrefixes, Mode) = _accepted = (scenario.UsesPrefixes || scenario.Mode == PodMode.Ipv6, scenario.Mode);
    }

    public VirtualTime Time { get; }
    public VpcWorld World { get; }
    public InstanceId Instance { get; }
    public SafetyChecker Checker { get; }
    public Trace Trace { get; }
    public ModelKernel Kernel { get; }
    public ModelPlugin Plugin { get; }
    public HostChecker Network { get; }

    /// <summary>Called before each operation of the reconciler on the kernel; may throw, or kill the daemon.</summary>
    public Action<string> ReconcilerOperation { get; set; } = _ => { };

    /// <summary>Number of daemon runs so far.</summary>
    public int Starts => _lives;
    public ModelDisk Disk { get; } = new();
    public ModelNotes Notes { get; } = new();
    public WallClock Clock { get; } = new();

    /// <summary>ENABLE_PREFIX_DELEGATION, from the next start on.</summary>
    public bool UsesPrefixes { get; set; }

    /// <summary>ENABLE_IPv4 and ENABLE_IPv6, from the next start on.</summary>
    public PodMode Mode { get; set; }

    /// <summary>The node's condition in the cluster, which every daemon run reads at its start.</summary>
    public bool IsUnschedulable { get; private set; }

    /// <summary>The operator's setting.</summary>
    public CloudAccess Access { get; private set; }

    /// <summary>Called when a daemon run begins to listen.</summary>
    public Action DaemonStarted { get; set; } = () => { };

    /// <summary>Called when the daemon has received the description of a subnet.</summary>
    public Action<string> SubnetFound { get; set; } = _ => { };

    /// <summary>When set, no crashes and no failures of disk or kernel.</summary>
    public bool IsCalm { get; set; }

    public int Crashes { get; private set; }

    public bool IsUp => _life is not null;

    /// <summary>The running daemon's engine; null when none runs.</summary>
    public PoolEngine? Engine => _life?.Engine;

    public void StartDaemon()
    {
        if (_life is not null)
            return;
        var run = new DaemonRun(Time, $"daemon {++_lives}", Clock);
        Trace.Add($"{run.Name} starts");
        _ = run.Start(() => LiveAsync(run));
    }

    /// <summary>The operator goes back to settings that the daemon accepted, when it refuses the current ones.</summary>
    public void CorrectSettings()
    {
        if (_scenario.Refusal(UsesPrefixes, Mode) is null)
            return;
        (UsesPrefixes, Mode) = _accepted;
        Trace.Add($"fault: the operator goes back to {Mode}, ENABLE_PREFIX_DELEGATION {UsesPrefixes}");
    }

    public void SetConditions(bool isUnschedulable, CloudAccess access)
    {
        (IsUnschedulable, Access) = (isUnschedulable, access);
        Checker.SetBlind(access == CloudAccess.NoCalls);
        if (_life is { Engine: { } engine })
            Apply(engine);
    }

    private void Apply(PoolEngine engine) => (engine.Conditions.IsUnschedulable, engine.Budget.Access) = (IsUnschedulable, Access);

    /// <summary>Runs an action on the running daemon's thread; no-op when none runs.</summary>
    public void WithEngine(Action<PoolEngine> action)
    {
        if (_life is { Engine: { } engine } life)
            life.Run.Post(() => action(engine));
    }

    /// <summary>Kills the daemon at this point, as kill -9; a supervisor starts the next run.</summary>
    public void Crash(string why)
    {
        if (_life is not { } life)
            return;
        Trace.Add($"{life.Run.Name} is killed: {why}");
        Crashes++;
        End(life);
        life.Run.Kill();
    }

    /// <summary>Stops the daemon as SIGTERM does: cancels its loop, and kills it when it does not stop in time.</summary>
    public void Stop()
    {
        if (_life is not { } life)
            return;
        Trace.Add($"{life.Run.Name} is asked to stop");
        life.Run.Post(life.Stop.Cancel);
        Time.After(
            TimeSpan.FromSeconds(5),
            () =>
            {
                if (ReferenceEquals(_life, life))
                    Crash("it did not stop in time");
            }
        );
    }

    /// <summary>The note that the plugin writes now.</summary>
    public MissedDel NoteOf(PodRecord pod) =>
        new(pod.Network, pod.Container, "eth0", Time.GetUtcNow() + Clock.Offset, Time.GetElapsedTime(0), BootId);

    public void LeaveNote(PodRecord pod, MissedDel note)
    {
        Trace.Add($"a note of the DEL of {pod} is left");
        // A slow plugin replaces the note of a later DEL: then only the kernel shows the pod's end.
        if (Notes.Entries.Any(entry => entry.Del is { } other && other.ContainerId == note.ContainerId && other.SinceBoot > note.SinceBoot))
            _deleted.Remove(pod.Container);
        Notes.Leave(note);
    }

    /// <summary>Adds invalid notes: one of another boot for a live pod, and one that is no JSON.</summary>
    public void LeaveStrangeNotes()
    {
        Trace.Add("strange notes are left");
        Notes.Put(new MissedDelEntry("strange", null, $"it is not JSON, {++_strange}"));
        if (Checker.Live.FirstOrDefault() is { } pod)
            Notes.Put(new MissedDelEntry("earlier", NoteOf(pod) with { BootId = "an earlier boot" }, null));
    }

    /// <summary>Records a sandbox that the runtime ended without an answer to its DEL.</summary>
    public void DeletedUnanswered(PodRecord pod) => _deleted.Add(pod.Container);

    /// <summary>Time within which a daemon processes the notes that exist at its start.</summary>
    private static readonly TimeSpan NoteDeadline = TimeSpan.FromSeconds(1);

    private const string BootId = "this boot";

    private void WatchNotes(Life life, PoolEngine engine)
    {
        engine.Events.Subscribe(poolEvent =>
        {
            if (poolEvent is PoolEvent.MissedDelete { Released: { } released })
                Checker.ReleasedByNote(released.Key.ContainerId, AddressesOf(released));
        });
        if (_scenario.Notes is not { Fails: 0 } || _scenario.DiskFails > 0)
            return;
        var found = Notes.Entries.ToArray();
        Time.After(
            NoteDeadline,
            () =>
            {
                if (!ReferenceEquals(_life, life))
                    return;
                foreach (var entry in found)
                {
                    if (Notes.Entries.Contains(entry))
                        Checker.Fail($"{NoteDeadline.TotalSeconds} s after the daemon's start the note {entry} is still there");
                    if (entry.Del is not { BootId: BootId } note || !_deleted.Contains(note.ContainerId))
                        continue;
                    if (engine.Ledger.Find(new AttachmentKey(note.NetworkName, note.ContainerId, note.InterfaceName)) is { } attachment)
                        Checker.Fail(
                            $"{NoteDeadline.TotalSeconds} s after the daemon's start {attachment.Key} has "
                                + $"{string.Join(' ', AddressesOf(attachment))}, in spite of {entry}"
                        );
                }
            }
        );
    }

    private static IPAddress[] AddressesOf(Attachment attachment) => [.. attachment.Addresses.Select(item => item.Address)];

    private void BeforeRead()
    {
        if (!IsCalm && _scenario.Notes is { } plan && _notes.NextDouble() < plan.Fails)
            throw new IOException("the folder cannot be read");
    }

    private void BeforeRemoval()
    {
        if (IsCalm || _scenario.Notes is not { } plan)
            return;
        if (_notes.NextDouble() < plan.Fails)
            throw new IOException("the file cannot be removed");
        if (_notes.NextDouble() < plan.CrashAtRemoval)
            Crash("before a note was removed");
    }

    private bool IsAnnounced() => _scenario.Notes is not { } plan || _notes.NextDouble() >= plan.Unannounced;

    /// <summary>Time from an ADD to its answer when nothing has to be waited for.</summary>
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(2);

    /// <summary>Sends an ADD over the socket, with the client's time limit.</summary>
    public async Task<AddReply> AddAsync(PodRecord pod, TimeSpan timeout)
    {
        var known = pod.LastAddresses.Count == 0 ? Checker.CountKnownFree(Disk.Content, Kernel.IsRouted) : 0;
        var (life, began) = (_life, Time.GetUtcNow());
        _deleted.Remove(pod.Container);
        var reply = await RequestAddressAsync(pod, timeout);
        // A client that left early, or lost its daemon, received nothing.
        if (
            known > 0
            && reply is not (AddReply.Gone or AddReply.Unavailable)
            && ReferenceEquals(_life, life)
            && (reply is AddReply.Refused || Time.GetUtcNow() - began > AtOnce)
        )
        {
            Checker.Fail(
                $"ADD {pod} returned {reply} after {(Time.GetUtcNow() - began).TotalSeconds:0.000} s "
                    + $"although {known} free addresses were in checkpoint and metadata"
            );
        }

        return reply;
    }

    private Task<AddReply> RequestAddressAsync(PodRecord pod, TimeSpan timeout) =>
        RequestAsync<AddReply>(
            $"ADD {pod}",
            new AddReply.Unavailable(),
            new AddReply.Gone(),
            timeout,
            AddBound,
            async (engine, listening, cancellationToken) =>
            {
                var key = new AttachmentKey(pod.Network, pod.Container, "eth0");
                try
                {
                    var outcome = await engine.Addresses.AddAsync(
                        key,
                        new PodReference(pod.PodNamespace, pod.PodName),
                        pod.Netns,
                        cancellationToken
                    );
                    switch (outcome)
                    {
                        case AddOutcome.Assigned { Attachment: var assigned }:
                            var addresses = AddressesOf(assigned);
                            if (listening())
                                Checker.RecordAddresses(pod, addresses);
                            return new AddReply.Assigned(addresses, assigned.Addresses[0].Slot is { } slot ? slot.Egress : Egress.Main);
                        case AddOutcome.Orphaned { Attachment: var orphan }:
                            if (listening())
                                Checker.RecordOrphaned(pod, AddressesOf(orphan));
                            return new AddReply.Refused("orphaned");
                        case AddOutcome.NoAddress none:
                            return new AddReply.Refused(none.Reason);
                        case AddOutcome.NotObserved unknown:
                            return new AddReply.Refused(unknown.Reason);
                        default:
                            throw new InvalidOperationException($"unknown outcome {outcome}");
                    }
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    return new AddReply.Gone();
                }
                catch (IOException exception)
                {
                    return new AddReply.Refused(exception.Message);
                }
                catch (Exception exception) when (exception is not DaemonRunEndedException)
                {
                    Checker.Fail($"ADD {pod} failed: {exception}");
                    return new AddReply.Gone();
                }
            }
        );

    /// <summary>Sends a DEL over the socket. Returns whether the daemon answered.</summary>
    public Task<bool> DeleteAsync(PodRecord pod, TimeSpan timeout) =>
        RequestAsync(
            $"DEL {pod}",
            false,
            false,
            timeout,
            DeleteBound,
            async (engine, listening, cancellationToken) =>
            {
                try
                {
                    var released = await engine.Addresses.DeleteAsync(
                        new AttachmentKey(pod.Network, pod.Container, "eth0"),
                        new PodReference(pod.PodNamespace, pod.PodName),
                        cancellationToken
                    );
                    if (released is not null && listening())
                        Checker.Released(pod, AddressesOf(released));
                    return true;
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    return false;
                }
                catch (Exception exception) when (exception is not DaemonRunEndedException)
                {
                    Checker.Fail($"DEL {pod} failed: {exception}");
                    return false;
                }
            }
        );

    /// <summary>
    /// Longest time of an ADD: it may wait for another request of its sandbox, and both may then wait for the start's observation.
    /// </summary>
    private TimeSpan AddBound => (_scenario.AddWait * 6) + TimeSpan.FromSeconds(10);

    private TimeSpan DeleteBound => AddBound;

    private async Task<T> RequestAsync<T>(
        string what,
        T unavailable,
        T gone,
        TimeSpan timeout,
        TimeSpan bound,
        Func<PoolEngine, Func<bool>, CancellationToken, Task<T>> ask
    )
    {
        if (_life is not { Engine: { } engine } life)
        {
            Trace.Add($"{what}: no daemon listens on the socket");
            return unavailable;
        }

        Trace.Add(what);
        var client = new CancellationTokenSource();
        var isListening = true;
        var request = Checker.RequestBegins(what, bound);
        var answer = life.Run.Start(async () =>
        {
            try
            {
                var reply = await ask(engine, () => isListening && life.Run.IsAlive, client.Token);
                if (life.Run.IsAlive)
                    Trace.Add($"{what}: {reply}");
                return reply;
            }
            finally
            {
                Checker.RequestEnds(request);
            }
        });
        var first = await Task.WhenAny(answer, life.Died, Task.Delay(timeout, Time));
        if (first == answer)
            return await answer;
        isListening = false;
        // A dead daemon answers no request, whether the client has left before or not.
        _ = EndsWithLifeAsync();
        Trace.Add(first == life.Died ? $"{what}: the connection is lost" : $"{what}: the client leaves");
        life.Run.Post(client.Cancel);
        return gone;

        async Task EndsWithLifeAsync()
        {
            await life.Died;
            Checker.RequestEnds(request);
        }
    }

    private async Task<bool> LiveAsync(DaemonRun run)
    {
        var bound = OptionBinder.Bind(_scenario.Environment(UsesPrefixes, Mode));
        Checker.SettingsRead(UsesPrefixes, Mode, bound.Problems);
        if (bound.Problems.Count > 0)
        {
            Refuse(run, bound.Problems);
            return true;
        }

        _accepted = (UsesPrefixes, Mode);
        var time = new MonotonicTime(run);
        var loggers = new TraceLogger(Trace, run, Checker.Fail);
        var cloud = new ModelCloud(
            World,
            Instance,
            run,
            Scenario.Stream(_scenario.Seed, "cloud" + run.Name),
            new AwsCloudOptions { ClusterName = "sim" }
        )
        {
            Latency = _scenario.Latency,
            OnPhase = OnPhase,
        };
        var file = new ModelCheckpointFile(Disk, run) { BeforeWrite = BeforeWrite, AfterWrite = AfterWrite };
        var missed = new ModelMissedDels(Notes, run)
        {
            BeforeRead = BeforeRead,
            BeforeRemove = BeforeRemoval,
            IsAnnounced = IsAnnounced,
        };
        var random = Scenario.Stream(_scenario.Seed, "daemon" + run.Name);
        var host = ModelHost.Open(Kernel, run, time, loggers, PoolOperation);
        var ports = new PoolPorts(new AwsFactory(cloud, _scenario.ManageUntagged), host, file, missed, time, random, loggers)
        {
            BootId = BootId,
        };
        ports = _mutation.Ports?.Invoke(ports) ?? ports;
        ports = ports.WithEc2(ec2 => new SubnetLookups(ec2, id => SubnetFound(id)));
        var options = bound.Options;
        options = _mutation.Options?.Invoke(options) ?? options;

        using var stop = new CancellationTokenSource();
        var life = new Life(run, stop);
        _life = life;
        try
        {
            var state = new DaemonState("simulated", time);
            var engine = new PoolEngine(ports, options, state);
            life.Engine = engine;
            Apply(engine);
            Checker.DaemonStarted(engine, Disk.Content);
            WatchNotes(life, engine);
            DaemonStarted();
            Plugin.DeleteReleased();
            IHostKernel kernel = new ModelHostKernel(Kernel, run, KernelActor.Reconciler)
            {
                OnOperation = name => ReconcilerOperation(name),
            };
            var reconciler = HostNetworkComposition.Compose(
                engine,
                ports,
                host,
                _mutation.Kernel?.Invoke(kernel) ?? kernel,
                new ModelNetfilter(Kernel, run),
                options.HostNetwork
            );
            _ = engine.Background.RunAsync("host network", reconciler.RunAsync, stop.Token);
            await engine.RunAsync(_ => AfterStep(engine), stop.Token);
            Trace.Add($"{run.Name} has stopped");
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Trace.Add($"{run.Name} has stopped");
        }
        catch (Exception exception) when (exception is CloudException or HostNetworkException or IOException)
        {
            // Failures that end the process in production, for its supervisor to start the next run.
            Trace.Add($"{run.Name} gives up: {exception.Message}");
        }
        catch (Exception exception) when (exception is not DaemonRunEndedException)
        {
            Checker.Fail($"{run.Name} failed unexpectedly:  {exception}");
        }

        if (run.IsAlive && ReferenceEquals(_life, life))
        {
            End(life);
            run.Kill();
        }

        return true;
    }

    private void AfterStep(PoolEngine engine)
    {
        _mutation.AfterStep?.Invoke(engine, _random);
        if (_scenario.Families is not null && Checker.LedgerConflict(engine) is { } conflict)
            Checker.Fail(conflict);
    }

    /// <summary>Ends a run whose settings are not valid. Its supervisor starts it again until the operator has corrected them.</summary>
    private void Refuse(DaemonRun run, IReadOnlyList<string> problems)
    {
        Trace.Add($"{run.Name} refuses its settings: {string.Join("; ", problems)}");
        run.Kill();
        Time.After(TimeSpan.FromMilliseconds(_settings.Next(100, 8_000)), StartDaemon);
        Time.After(TimeSpan.FromSeconds(_settings.Next(5, 40)), CorrectSettings);
    }

    private void End(Life life)
    {
        _life = null;
        life.HasDied.SetResult();
        Time.After(TimeSpan.FromMilliseconds(_crashes.Next(100, 8_000)), StartDaemon);
    }

    private void OnPhase(string operation, CallPhase phase)
    {
        if (phase != CallPhase.Leaving)
            Trace.Add($"{operation}: {phase}");
        if (!IsCalm && _scenario.CrashAtCall > 0 && _crashes.NextDouble() < _scenario.CrashAtCall)
            Crash($"{operation}, {phase}");
    }

    private void BeforeWrite(byte[] content)
    {
        if (IsCalm)
            return;
        if (_scenario.DiskFails > 0 && _crashes.NextDouble() < _scenario.DiskFails)
            throw new IOException("no space left on device");
        if (_scenario.CrashAtWrite > 0 && _crashes.NextDouble() < _scenario.CrashAtWrite)
            Crash("before the checkpoint was replaced");
    }

    private void AfterWrite(byte[] content)
    {
        if (!IsCalm && _scenario.CrashAtWrite > 0 && _crashes.NextDouble() < _scenario.CrashAtWrite)
            Crash("after the checkpoint was replaced");
    }

    private void PoolOperation(string operation)
    {
        if (!IsCalm && _scenario.KernelFails > 0 && _kernelFaults.NextDouble() < _scenario.KernelFails)
            throw new NetlinkException(operation, Errno.ENOBUFS, "made to fail");
    }

    private sealed class Life(DaemonRun run, CancellationTokenSource stop)
    {
        public DaemonRun Run { get; } = run;
        public CancellationTokenSource Stop { get; } = stop;
        public PoolEngine? Engine { get; set; }
        public TaskCompletionSource HasDied { get; } = new();
        public Task Died => HasDied.Task;
    }

    /// <summary>Reports the subnets that the daemon has looked up.</summary>
    private sealed class SubnetLookups(IEc2 inner, Action<string> found) : DelegatingCloud(inner)
    {
        public override async Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken)
        {
            var subnet = await base.FindSubnetAsync(subnetId, cancellationToken);
            found(subnetId);
            return subnet;
        }
    }
}

/// <summary>Result of a client's ADD.</summary>
internal abstract record AddReply
{
    /// <param name="Addresses">The pod's: one of each of its families.</param>
    /// <param name="Egress">The network interface that carries them.</param>
    internal sealed record Assigned(IReadOnlyList<IPAddress> Addresses, Egress Egress) : AddReply
    {
        public override string ToString() => $"{string.Join(' ', Addresses)} by {Egress}";
    }

    internal sealed record Refused(string Reason) : AddReply;

    /// <summary>The client left or lost its connection, and does not know the daemon's outcome.</summary>
    internal sealed record Gone : AddReply;

    internal sealed record Unavailable : AddReply;
}
