// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Provisioning;

namespace VpcCni.Ipamd.Readiness;

/// <summary>Phase of the daemon.</summary>
internal enum DaemonPhase
{
    /// <summary>The socket is open: known attachments are served, new ADDs wait.</summary>
    Starting,

    /// <summary>The pool is running.</summary>
    Serving,

    /// <summary>The daemon was asked to stop and starts nothing new.</summary>
    Stopping,
}

/// <summary>A setting in force, and the source of its value.</summary>
/// <param name="Name">Name of the variable.</param>
/// <param name="Value">Current value.</param>
/// <param name="Source"><c>environment</c>, <c>default</c>, <c>node</c> (the instance type) or <c>cluster</c> (the API server).</param>
/// <param name="OverruledBy">Why it has no effect; null if it has one.</param>
internal sealed record SettingInForce(string Name, string Value, string Source, string? OverruledBy = null);

/// <summary>
/// State of the daemon, for health, status and the policy agent. Written by the start-up and the pool's loop; read by any thread.
/// </summary>
internal sealed class DaemonState
{
    private readonly TaskCompletionSource _observed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _warningsLock = new();
    private volatile string? _obstacle = "not started";
    private volatile NodeIdentity? _identity;
    private volatile PoolReconciler? _reconciler;
    private volatile DaemonFacts? _facts;
    private volatile int _phase;
    private volatile bool _ready;
    private readonly TimeProvider _time;
    private DateTimeOffset? _canServeSince;

    /// <summary>
    /// Longest wait of readiness for the first attempt at the tables of NAT. A pod that is served before they exist would open connections
    /// that are not translated and hang; without a working nftables the node must still get its pods.
    /// </summary>
    public static readonly TimeSpan NatWait = TimeSpan.FromSeconds(10);

    public DaemonState(string version, TimeProvider time)
    {
        (_time, Version, StartedAt) = (time, version, time.GetUtcNow());
        Observed = ObservedAsync();
    }

    public string Version { get; }
    public DateTimeOffset StartedAt { get; }
    public DaemonPhase Phase => (DaemonPhase)_phase;

    /// <summary>What the start-up waits for, or why it failed last; null after the start.</summary>
    public string? StartObstacle => _obstacle;
    public NodeIdentity? Identity => _identity;
    public PoolReconciler? Pool => _reconciler;

    /// <summary>What the other parts of the daemon report.</summary>
    /// <exception cref="InvalidOperationException">Nothing is attached yet: the daemon is being composed.</exception>
    public DaemonFacts Facts => _facts ?? throw new InvalidOperationException("the facts of the daemon are not attached yet");

    /// <summary>Path of the previous checkpoint, which was set aside because it was unusable; null if it was usable.</summary>
    public string? CheckpointSetAside { get; set; }

    /// <summary>Warnings about the environment, one sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; set; } = [];

    /// <summary>Adds a warning at run time. Returns false if it exists already. Thread-safe.</summary>
    public bool AddWarning(string warning)
    {
        lock (_warningsLock)
        {
            if (Warnings.Contains(warning, StringComparer.Ordinal))
                return false;
            Warnings = [.. Warnings, warning];
            return true;
        }
    }

    /// <summary>Completes with the first observation of the cloud. Continuations run on another thread than the start-up's.</summary>
    public Task Observed { get; }

    /// <summary>
    /// Whether the daemon can serve ADDs: an address was free at some time since the start, or the node runs pods and is full; and NAT is
    /// in place, see <see cref="NatWait"/>. A pool that is exhausted later stays ready: a node without free addresses must not lose the
    /// pods that it runs.
    /// </summary>
    public bool Ready => _ready && Phase == DaemonPhase.Serving;

    /// <summary>Attaches what the other parts report. Call it once, before the socket is opened and the pool runs.</summary>
    /// <exception cref="InvalidOperationException">Facts are attached already.</exception>
    public void Attach(DaemonFacts facts)
    {
        if (Interlocked.CompareExchange(ref _facts, facts, null) is not null)
            throw new InvalidOperationException("the facts of the daemon are attached already");
    }

    public void Starting(string waitingFor) => _obstacle = waitingFor;

    public void Identified(NodeIdentity identity) => _identity = identity;

    public void Serving(PoolReconciler reconciler)
    {
        _reconciler = reconciler;
        _obstacle = null;
        _phase = (int)DaemonPhase.Serving;
    }

    /// <summary>
    /// Reports the first observation of the cloud. <see cref="Serving"/> may come earlier, with what checkpoint and metadata agree on.
    /// </summary>
    public void MembershipObserved() => _observed.TrySetResult();

    /// <summary>Updates readiness after a step of the pool. Returns true for the step that made the daemon ready.</summary>
    public bool Stepped(StepOutcome outcome)
    {
        if (_ready)
            return false;
        var full = outcome.Plan.Shortage == 0 || (outcome.Ledger.Attachments > 0 && outcome.Plan.Obstacle is { MayEndAnyMoment: false });
        if (_canServeSince is null && outcome.Ledger.Free == 0 && !full)
            return false;
        _canServeSince ??= _time.GetUtcNow();
        return _ready = Facts.WasNatTried() || _time.GetUtcNow() - _canServeSince >= NatWait;
    }

    /// <summary>Whether only NAT is missing to be ready.</summary>
    public bool WaitsForNat => !_ready && _canServeSince is not null;

    public void Stopping() => _phase = (int)DaemonPhase.Stopping;

    private async Task ObservedAsync() => await _observed.Task;
}
