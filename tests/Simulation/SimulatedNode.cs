// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.MissedDels;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Startup;
using VpcCni.Lab.VpcModel;
using VpcCni.MissedDels;
using VpcCni.Simulation.Tests.Checker;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// One node of the model and its daemon, life after life: starts it, kills it, starts it again, and carries the requests of clients to it.
/// </summary>
internal sealed class SimulatedNode
{
    private readonly Scenario _scenario;
    private readonly Mutation _sabotage;
    private readonly Random _random;
    private readonly Random _crashes;
    private readonly Random _notes;

    /// <summary>Sandboxes whose DEL came while the daemon was away, and which were not asked for since.</summary>
    private readonly HashSet<string> _deleted = new(StringComparer.Ordinal);
    private Life? _life;
    private int _strange;
    private int _lives;

    public SimulatedNode(
        Scenario scenario,
        Mutation sabotage,
        VirtualTime time,
        VpcWorld world,
        InstanceId instance,
        SafetyChecker checker,
        Trace trace
    )
    {
        (_scenario, _sabotage, Time, World, Instance, Checker, Trace) = (scenario, sabotage, time, world, instance, checker, trace);
        (_random, _crashes) = (Scenario.Stream(scenario.Seed, "node"), Scenario.Stream(scenario.Seed, "crashes"));
        _notes = Scenario.Stream(scenario.Seed, "faults of notes");
        Kernel = new ModelKernel(world, instance) { Fault = KernelFault };
        UsesPrefixes = scenario.UsesPrefixes;
    }

    public VirtualTime Time { get; }
    public VpcWorld World { get; }
    public InstanceId Instance { get; }
    public SafetyChecker Checker { get; }
    public Trace Trace { get; }
    public ModelKernel Kernel { get; }
    public ModelDisk Disk { get; } = new();
    public ModelNotes Notes { get; } = new();
    public WallClock Clock { get; } = new();

    /// <summary>ENABLE_PREFIX_DELEGATION from the next start on.</summary>
    public bool UsesPrefixes { get; set; }

    /// <summary>The cluster's word, which every life of the daemon learns at its start.</summary>
    public bool IsUnschedulable { get; private set; }

    /// <summary>The operator's switch.</summary>
    public CloudAccess Access { get; private set; }

    /// <summary>Told when a life of the daemon begins to listen.</summary>
    public Action DaemonStarted { get; set; } = () => { };

    /// <summary>The daemon was told what a subnet is that it had asked for.</summary>
    public Action<string> SubnetFound { get; set; } = _ => { };

    /// <summary>No more crashes and failing disks or kernels.</summary>
    public bool IsCalm { get; set; }

    public int Crashes { get; private set; }

    public bool IsUp => _life is not null;

    /// <summary>The running daemon's engine; null while there is none.</summary>
    public PoolEngine? Engine => _life?.Engine;

    public void StartDaemon()
    {
        if (_life is not null)
            return;
        var incarnation = new DaemonRun(Time, $"daemon {++_lives}", Clock);
        Trace.Add($"{incarnation.Name} starts");
        _ = incarnation.Start(() => LiveAsync(incarnation));
    }

    public void SetConditions(bool isUnschedulable, CloudAccess access)
    {
        (IsUnschedulable, Access) = (isUnschedulable, access);
        Checker.Blind(access == CloudAccess.NoCalls);
        if (_life is { Engine: { } engine })
            Apply(engine);
    }

    private void Apply(PoolEngine engine) => (engine.Conditions.IsUnschedulable, engine.Budget.Access) = (IsUnschedulable, Access);

    /// <summary>Does something on the running daemon's thread; nothing while there is none.</summary>
    public void WithEngine(Action<PoolEngine> action)
    {
        if (_life is { Engine: { } engine } life)
            life.Incarnation.Post(() => action(engine));
    }

    /// <summary>Kill -9, at this very point; a supervisor starts the next one.</summary>
    public void Crash(string why)
    {
        if (_life is not { } life)
            return;
        Trace.Add($"{life.Incarnation.Name} is killed: {why}");
        Crashes++;
        End(life);
        life.Incarnation.Kill();
    }

    /// <summary>A stop as by SIGTERM: the loop is cancelled, and what is not done soon is killed.</summary>
    public void Stop()
    {
        if (_life is not { } life)
            return;
        Trace.Add($"{life.Incarnation.Name} is asked to stop");
        life.Incarnation.Post(life.Stop.Cancel);
        Time.After(
            TimeSpan.FromSeconds(5),
            () =>
            {
                if (ReferenceEquals(_life, life))
                    Crash("it did not stop in time");
            }
        );
    }

    /// <summary>As the plugin writes it now.</summary>
    public MissedDel NoteOf(PodRecord pod) =>
        new(pod.Network, pod.Container, "eth0", Time.GetUtcNow() + Clock.Offset, Time.GetElapsedTime(0), BootId);

    public void LeaveNote(PodRecord pod, MissedDel note)
    {
        Trace.Add($"a note of the DEL of {pod} is left");
        Notes.Leave(note);
    }

    /// <summary>Beside the others: one of another boot, of a pod that lives, and one that is none.</summary>
    public void LeaveStrangeNotes()
    {
        Trace.Add("strange notes are left");
        Notes.Put(new MissedDelEntry("strange", null, $"it is no JSON, {++_strange}"));
        if (Checker.Live.FirstOrDefault() is { } pod)
            Notes.Put(new MissedDelEntry("earlier", NoteOf(pod) with { BootId = "an earlier boot" }, null));
    }

    /// <summary>The runtime has ended it, and its plugin got no answer.</summary>
    public void DeletedUnanswered(PodRecord pod) => _deleted.Add(pod.Container);

    /// <summary>Notes that were there when a daemon started are taken within this.</summary>
    private static readonly TimeSpan TakesNotes = TimeSpan.FromSeconds(1);

    private const string BootId = "this boot";

    private void WatchNotes(Life life, PoolEngine engine)
    {
        engine.Events.Subscribe(happened =>
        {
            if (happened is PoolEvent.MissedDelete { Released: { } released })
                Checker.ReleasedByNote(released.Key.ContainerId, released.Addresses[0].Address);
        });
        if (_scenario.Notes is not { Fails: 0 } || _scenario.DiskFails > 0)
            return;
        var found = Notes.Entries.ToArray();
        Time.After(
            TakesNotes,
            () =>
            {
                if (!ReferenceEquals(_life, life))
                    return;
                foreach (var entry in found)
                {
                    if (Notes.Entries.Contains(entry))
                        Checker.Fail($"{TakesNotes.TotalSeconds} s after the daemon's start the note {entry} is still there");
                    if (entry.Del is not { BootId: BootId } note || !_deleted.Contains(note.ContainerId))
                        continue;
                    if (engine.Ledger.Find(new AttachmentKey(note.NetworkName, note.ContainerId, note.InterfaceName)) is { } held)
                        Checker.Fail(
                            $"{TakesNotes.TotalSeconds} s after the daemon's start {held.Key} holds {held.Addresses[0].Address}, in "
                                + $"spite of {entry}"
                        );
                }
            }
        );
    }

    private void BeforeLook()
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

    /// <summary>From an ADD to its answer when nothing has to be waited for.</summary>
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(2);

    /// <summary>An ADD over the socket by a client that waits so long and no longer.</summary>
    public async Task<AddReply> AddAsync(PodRecord pod, TimeSpan patience)
    {
        var known = pod.LastAddress is null ? Checker.KnownToBeFree(Disk.Content, Kernel.Routes.Keys) : 0;
        var (life, began) = (_life, Time.GetUtcNow());
        _deleted.Remove(pod.Container);
        var reply = await AskForAddressAsync(pod, patience);
        // Whoever left early, or lost its daemon, was told nothing.
        if (
            known > 0
            && reply is not (AddReply.Gone or AddReply.Unavailable)
            && ReferenceEquals(_life, life)
            && (reply is AddReply.Refused || Time.GetUtcNow() - began > AtOnce)
        )
        {
            Checker.Fail(
                $"ADD {pod} came to {reply} after {(Time.GetUtcNow() - began).TotalSeconds:0.000} s "
                    + $"although {known} free addresses were in checkpoint and metadata"
            );
        }

        return reply;
    }

    private Task<AddReply> AskForAddressAsync(PodRecord pod, TimeSpan patience) =>
        AskAsync<AddReply>(
            $"ADD {pod}",
            new AddReply.Unavailable(),
            new AddReply.Gone(),
            patience,
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
                        case AddOutcome.Assigned { Attachment: var held }:
                            var address = held.Addresses[0].Address;
                            if (listening())
                                Checker.TellAddress(pod, address);
                            return new AddReply.Address(address);
                        case AddOutcome.Orphaned { Attachment: var orphan }:
                            if (listening())
                                Checker.TellOrphaned(pod, orphan.Addresses[0].Address);
                            return new AddReply.Refused("orphaned");
                        case AddOutcome.NoAddress none:
                            return new AddReply.Refused(none.Reason);
                        case AddOutcome.NotObserved unknown:
                            return new AddReply.Refused(unknown.Reason);
                        default:
                            throw new InvalidOperationException($"unnamed outcome {outcome}");
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
                catch (Exception exception) when (exception is not DeadIncarnationException)
                {
                    Checker.Fail($"ADD {pod} failed: {exception}");
                    return new AddReply.Gone();
                }
            }
        );

    /// <summary>A DEL over the socket. True when the daemon answered.</summary>
    public Task<bool> DeleteAsync(PodRecord pod, TimeSpan patience) =>
        AskAsync(
            $"DEL {pod}",
            false,
            false,
            patience,
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
                        Checker.Released(pod, released.Addresses[0].Address);
                    return true;
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    return false;
                }
                catch (Exception exception) when (exception is not DeadIncarnationException)
                {
                    Checker.Fail($"DEL {pod} failed: {exception}");
                    return false;
                }
            }
        );

    /// <summary>
    /// A request may stand behind another of the same sandbox, and both may wait for the start's observation after they got their turn.
    /// </summary>
    private TimeSpan AddBound => (_scenario.AddWait * 6) + TimeSpan.FromSeconds(10);

    private TimeSpan DeleteBound => AddBound;

    private async Task<T> AskAsync<T>(
        string what,
        T unavailable,
        T gone,
        TimeSpan patience,
        TimeSpan bound,
        Func<PoolEngine, Func<bool>, CancellationToken, Task<T>> ask
    )
    {
        if (_life is not { Engine: { } engine } life)
        {
            Trace.Add($"{what}: nobody listens on the socket");
            return unavailable;
        }

        Trace.Add(what);
        var client = new CancellationTokenSource();
        var isListening = true;
        var request = Checker.RequestBegins(what, bound);
        var answer = life.Incarnation.Start(async () =>
        {
            try
            {
                var reply = await ask(engine, () => isListening && life.Incarnation.IsAlive, client.Token);
                if (life.Incarnation.IsAlive)
                    Trace.Add($"{what}: {reply}");
                return reply;
            }
            finally
            {
                Checker.RequestEnds(request);
            }
        });
        var first = await Task.WhenAny(answer, life.Died, Task.Delay(patience, Time));
        if (first == answer)
            return await answer;
        isListening = false;
        // A dead daemon answers nobody, whether the client has left before or not.
        _ = EndsWithLifeAsync();
        Trace.Add(first == life.Died ? $"{what}: the connection is lost" : $"{what}: the client leaves");
        life.Incarnation.Post(client.Cancel);
        return gone;

        async Task EndsWithLifeAsync()
        {
            await life.Died;
            Checker.RequestEnds(request);
        }
    }

    private async Task<bool> LiveAsync(DaemonRun incarnation)
    {
        var time = new MonotonicTime(incarnation);
        var loggers = new TraceLogger(Trace, incarnation, Checker.Fail);
        var cloud = new ModelCloud(
            World,
            Instance,
            incarnation,
            Scenario.Stream(_scenario.Seed, "cloud" + incarnation.Name),
            new AwsCloudOptions { ClusterName = "sim" }
        )
        {
            Latency = _scenario.Latency,
            OnPhase = OnPhase,
        };
        var file = new ModelCheckpointFile(Disk, incarnation) { BeforeWrite = BeforeWrite, AfterWrite = AfterWrite };
        var missed = new ModelMissedDels(Notes, incarnation)
        {
            BeforeRead = BeforeLook,
            BeforeRemove = BeforeRemoval,
            IsAnnounced = IsAnnounced,
        };
        var random = Scenario.Stream(_scenario.Seed, "daemon" + incarnation.Name);
        var ports = new PoolPorts(cloud, new ModelHost(Kernel, incarnation), file, missed, time, random, loggers) { BootId = BootId };
        ports = _sabotage.Ports?.Invoke(ports) ?? ports;
        ports = ports with { Cloud = new SubnetLookups(ports.Cloud, id => SubnetFound(id)) };
        var bound = OptionBinder.Bind(_scenario.Environment(UsesPrefixes));
        if (bound.Problems.Count > 0)
            throw new InvalidOperationException(string.Join("; ", bound.Problems));
        var options = bound.Options;
        options = _sabotage.Options?.Invoke(options) ?? options;

        using var stop = new CancellationTokenSource();
        var life = new Life(incarnation, stop);
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
            await engine.RunAsync(_ => _sabotage.AfterStep?.Invoke(engine, _random), stop.Token);
            Trace.Add($"{incarnation.Name} has stopped");
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Trace.Add($"{incarnation.Name} has stopped");
        }
        catch (Exception exception) when (exception is CloudException or Ipamd.HostNetwork.HostNetworkException or IOException)
        {
            // What ends a process in production, for its supervisor to start the next one.
            Trace.Add($"{incarnation.Name} gives up: {exception.Message}");
        }
        catch (Exception exception) when (exception is not DeadIncarnationException)
        {
            Checker.Fail($"{incarnation.Name} broke down: {exception}");
        }

        if (incarnation.IsAlive && ReferenceEquals(_life, life))
        {
            End(life);
            incarnation.Kill();
        }

        return true;
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

    private Ipamd.HostNetwork.HostNetworkException? KernelFault(string operation) =>
        !IsCalm && _scenario.KernelFails > 0 && _crashes.NextDouble() < _scenario.KernelFails
            ? new($"{operation}: the kernel is out of buffers")
            : null;

    private sealed class Life(DaemonRun incarnation, CancellationTokenSource stop)
    {
        public DaemonRun Incarnation { get; } = incarnation;
        public CancellationTokenSource Stop { get; } = stop;
        public PoolEngine? Engine { get; set; }
        public TaskCompletionSource HasDied { get; } = new();
        public Task Died => HasDied.Task;
    }

    /// <summary>Reports which subnets the daemon was told of.</summary>
    private sealed class SubnetLookups(ICloud inner, Action<string> found) : DelegatingCloud(inner)
    {
        public override async Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken)
        {
            var subnet = await base.FindSubnetAsync(subnetId, cancellationToken);
            found(subnetId);
            return subnet;
        }
    }
}

/// <summary>What a client's ADD came to.</summary>
internal abstract record AddReply
{
    internal sealed record Address(IPAddress Value) : AddReply;

    internal sealed record Refused(string Reason) : AddReply;

    /// <summary>The client left, or lost its connection: what the daemon did, it does not know.</summary>
    internal sealed record Gone : AddReply;

    internal sealed record Unavailable : AddReply;
}
