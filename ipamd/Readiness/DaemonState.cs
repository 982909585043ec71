// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Provisioning;

namespace VpcCni.Ipamd.Readiness;

/// <summary>Where the daemon is in its life.</summary>
internal enum DaemonPhase
{
    /// <summary>The socket is open; attachments of the checkpoint are answered, new ones wait.</summary>
    Starting,

    /// <summary>The pool runs.</summary>
    Serving,

    /// <summary>Asked to stop: nothing new is begun.</summary>
    Stopping,
}

/// <summary>A setting, and where its value comes from.</summary>
/// <param name="Name">Of the variable that decides it.</param>
/// <param name="Value">What holds now.</param>
/// <param name="Source"><c>environment</c>, <c>default</c>, <c>node</c> (the instance type) or <c>cluster</c> (the API server).</param>
/// <param name="OverruledBy">Why it has no effect; null when it has.</param>
internal sealed record SettingInForce(string Name, string Value, string Source, string? OverruledBy = null);

/// <summary>
/// What the daemon knows of itself, for health, status and the policy agent. Written by the start-up and the pool's loop, read by anybody.
/// </summary>
internal sealed class DaemonState
{
    private readonly TaskCompletionSource _observed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _warningsLock = new();
    private volatile string? _obstacle = "not started";
    private volatile NodeIdentity? _identity;
    private volatile PoolReconciler? _reconciler;
    private volatile int _phase;
    private volatile bool _ready;

    public DaemonState(string version, TimeProvider time)
    {
        (Version, StartedAt) = (version, time.GetUtcNow());
        Observed = ObservedAsync();
    }

    public string Version { get; }
    public DateTimeOffset StartedAt { get; }
    public DaemonPhase Phase => (DaemonPhase)_phase;

    /// <summary>What the start-up waits for or why it failed last; null when it is done.</summary>
    public string? StartObstacle => _obstacle;
    public NodeIdentity? Identity => _identity;
    public PoolReconciler? Pool => _reconciler;

    /// <summary>Why the host's network is not what it must be; null when it is.</summary>
    public Func<string?> HostNetworkProblem { get; set; } = () => null;

    /// <summary>Why the cluster's API server is not heard; null when it is, or is not needed.</summary>
    public Func<string?> ClusterProblem { get; set; } = () => null;

    /// <summary>Why new pods do not reach this daemon; null when they do, or when somebody else installs it.</summary>
    public Func<string?> InstallationProblem { get; set; } = () => null;

    /// <summary>Which parts of the daemon stand still because of a defect; null when none does.</summary>
    public Func<string?> DefectProblem { get; set; } = () => null;

    /// <summary>Where the checkpoint of the last run was kept because it could not be used; null when it could.</summary>
    public string? CheckpointSetAside { get; set; }

    /// <summary>Why the log is not where it should be; null when it is.</summary>
    public Func<string?> LogProblem { get; set; } = () => null;

    /// <summary>Why DELs that came while the daemon was away are not taken; null when they are.</summary>
    public Func<string?> MissedDelProblem { get; set; } = () => null;

    /// <summary>What is odd about the environment, one sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; set; } = [];

    /// <summary>Adds a warning that only the running daemon can give. False: it is there already. Thread-safe.</summary>
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

    /// <summary>What decides how much the pool holds.</summary>
    public Func<IReadOnlyList<SettingInForce>> Settings { get; set; } = () => [];

    /// <summary>
    /// Completed with the first observation of the cloud; those who await it go on on another thread than the start-up's.
    /// </summary>
    public Task Observed { get; }

    /// <summary>
    /// An ADD can be served: an address was free at some time since the start, or the node runs pods and is full. An exhausted pool later
    /// does not change it: a node that has no address left for new pods must not lose those it runs.
    /// </summary>
    public bool Ready => _ready && Phase == DaemonPhase.Serving;

    public void Starting(string waitingFor) => _obstacle = waitingFor;

    public void Identified(NodeIdentity identity) => _identity = identity;

    public void Serving(PoolReconciler reconciler)
    {
        _reconciler = reconciler;
        _obstacle = null;
        _phase = (int)DaemonPhase.Serving;
    }

    /// <summary>
    /// The cloud has been observed. Not the same moment as <see cref="Serving"/>: what checkpoint and metadata agree on is served before.
    /// </summary>
    public void MembershipObserved() => _observed.TrySetResult();

    /// <summary>After each step of the pool. True when this one made the daemon ready.</summary>
    public bool Stepped(StepOutcome outcome)
    {
        if (_ready)
            return false;
        var full = outcome.Plan.Shortage == 0 || (outcome.Ledger.Attachments > 0 && outcome.Plan.Obstacle is { MayEndAnyMoment: false });
        return _ready = outcome.Ledger.Free > 0 || full;
    }

    public void Stopping() => _phase = (int)DaemonPhase.Stopping;

    private async Task ObservedAsync() => await _observed.Task;
}
