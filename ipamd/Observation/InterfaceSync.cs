// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Keeps what the ledger holds equal to what is attached. The control plane is the truth and costs a call on every node of the cluster, so
/// it is asked rarely: at long intervals, after a change of ours that failed or whose outcome is in doubt, and when the instance metadata,
/// which costs nothing and is looked at often, hints at a difference. A hint that the truth has refuted is followed again only at growing
/// intervals: it may have been the truth that was late.
/// </summary>
internal sealed partial class InterfaceSync(
    ICloud cloud,
    InterfaceInventory interfaces,
    KernelUsage evidence,
    InterfacePlacement placement,
    PoolSignal signal,
    TimeProvider time,
    Random random,
    ILogger<InterfaceSync> logger
)
{
    /// <summary>Our word for a cloud that may yet answer: asked again at once.</summary>
    public const string NoFirstAnswer = "NoAnswerYet";

    /// <summary>Told of every observation.</summary>
    public PoolEvents Events { get; init; } = new();

    /// <summary>Told of every observation that succeeded.</summary>
    public Action Observed { get; init; } = () => { };

    /// <summary>Gets to know when the subnets are described.</summary>
    public required SubnetSupply Supply { get; init; }

    private readonly Lock _lock = new();
    private Task _looking = Task.CompletedTask;
    private DateTimeOffset _observeAt = time.GetUtcNow();
    private DateTimeOffset _hintAt = time.GetUtcNow();
    private DateTimeOffset _kernelAt = time.GetUtcNow();
    private DateTimeOffset _kernelLookedAt = DateTimeOffset.MinValue;
    private DateTimeOffset _subnetsAt = time.GetUtcNow();
    private DateTimeOffset _subnetsDescribedAt = time.GetUtcNow();
    private DateTimeOffset? _lastObservedAt;
    private CloudException? _notObserved;
    private long _driftFound;
    private string? _refuted;
    private DateTimeOffset _refutedUntil;
    private TimeSpan _refutedFor;
    private int _failures;
    private int _failedDescriptions;
    private bool _isDescribing;

    /// <summary>When the cloud was last observed with success.</summary>
    public DateTimeOffset? LastObservedAt
    {
        get
        {
            lock (_lock)
                return _lastObservedAt;
        }
    }

    /// <summary>
    /// Why nothing may be added: the cloud has not been observed since the start, and what is attached is presumed. Ends with the first
    /// observation, which is tried again at its <see cref="GrowthObstacle.Until"/>.
    /// </summary>
    public GrowthObstacle? NotObserved
    {
        get
        {
            lock (_lock)
            {
                if (_lastObservedAt is not null || _notObserved is not { } failure)
                    return null;
                return new GrowthObstacle(
                    CloudObstacles.KindOf(failure.Kind),
                    _observeAt,
                    $"the cloud has not been observed since the start, and nothing is added before: {failure.Message}"
                )
                {
                    MayEndAnyMoment = !_looking.IsCompleted,
                };
            }
        }
    }

    /// <summary>
    /// Interfaces and blocks that were not as the ledger had them, since the start; each was put right by the observation that found it.
    /// </summary>
    public long DriftFound => Interlocked.Read(ref _driftFound);

    /// <summary>Interfaces that are attached and not wired.</summary>
    public AwaitedLinks Awaited => interfaces.Awaited;

    /// <summary>When the next look is due.</summary>
    public DateTimeOffset NextAt
    {
        get
        {
            lock (_lock)
            {
                if (!_looking.IsCompleted)
                    return DateTimeOffset.MaxValue;
                var next = _observeAt < _hintAt ? _observeAt : _hintAt;
                if (_kernelAt < next)
                    next = _kernelAt;
                return placement.Describes && _subnetsAt < next ? _subnetsAt : next;
            }
        }
    }

    public Task IdleAsync()
    {
        lock (_lock)
            return _looking;
    }

    /// <summary>The start's observation has just been made.</summary>
    public void ObservedNow()
    {
        lock (_lock)
        {
            _lastObservedAt = time.GetUtcNow();
            _failures = 0;
            _observeAt = After(PoolLimits.ResyncInterval);
            _hintAt = After(PoolLimits.HintInterval);
        }

        ConfirmPlaces();
        ReserveInUse();
    }

    /// <summary>The start's observation failed, and what is attached is presumed: asked again soon.</summary>
    public void Presumed(CloudException failure)
    {
        Failed(failure);
        if (failure.Code == NoFirstAnswer)
        {
            lock (_lock)
                _observeAt = time.GetUtcNow();
        }

        ReserveInUse();
    }

    /// <summary>The subnets have just been described.</summary>
    public void SubnetsDescribedNow()
    {
        lock (_lock)
        {
            _subnetsDescribedAt = time.GetUtcNow();
            _subnetsAt = After(PoolLimits.ResyncInterval);
        }
    }

    /// <summary>Something speaks for a difference: observe at that time at the latest.</summary>
    public void RequestAt(DateTimeOffset at)
    {
        lock (_lock)
        {
            // Failures of the observation itself keep their own pace.
            if (_failures == 0 && at < _observeAt)
                _observeAt = at;
        }
    }

    /// <summary>
    /// Pods wait for an address that nothing brings: look now for those that are not in use any more, unless that has just been done.
    /// </summary>
    public void RequestKernelLook()
    {
        lock (_lock)
        {
            if (_kernelLookedAt + PoolLimits.KernelLookInterval is var at && at < _kernelAt)
                _kernelAt = at;
        }
    }

    /// <summary>
    /// The link with this MAC address is gone. An interface that somebody takes away is known to be gone as soon as the cloud says so, not
    /// with the next hint of the metadata.
    /// </summary>
    public void LinkLost(string mac)
    {
        if (!interfaces.IsTakenAway(mac))
            return;
        DateTimeOffset at;
        // A link that comes and goes must not cost a call each time.
        lock (_lock)
            at =
                _lastObservedAt is { } last && last + PoolLimits.FirstObserveRetry is var next && next > time.GetUtcNow()
                    ? next
                    : time.GetUtcNow();
        RequestAt(at);
        signal.Raise();
    }

    /// <summary>
    /// Something speaks for subnets that are not as they were described: describe them again when the description is older than this, at
    /// once if it is already.
    /// </summary>
    /// <returns>Whether a description is due or under way: what depends on it may change in a moment.</returns>
    public bool RequestSubnets(TimeSpan age)
    {
        lock (_lock)
        {
            if (_subnetsDescribedAt + age is var at && at < _subnetsAt)
                _subnetsAt = at;
            return placement.Describes && (_isDescribing || _subnetsAt <= time.GetUtcNow());
        }
    }

    /// <summary>A subnet refused what it should have had: describe them at once, unless the last description failed.</summary>
    /// <returns>Whether they are described.</returns>
    public bool RequestSubnetsNow()
    {
        lock (_lock)
        {
            if (!placement.Describes || _failedDescriptions > 0)
                return false;
            _subnetsAt = time.GetUtcNow();
            return true;
        }
    }

    /// <summary>What decides where interfaces go has changed: describe at once what it depends on now.</summary>
    public void PlacementChanged()
    {
        ApplyPlacement();
        lock (_lock)
        {
            if (!placement.IsDescribed)
                _subnetsAt = time.GetUtcNow();
        }

        signal.Raise();
    }

    /// <summary>Starts the look that is due, if one is and none is under way.</summary>
    public void StartDue(CancellationToken cancellationToken)
    {
        Task last;
        lock (_lock)
        {
            if (!_looking.IsCompleted)
                return;
            (last, _looking) = (_looking, Task.CompletedTask);
        }

        // Anything but success is a defect; the loop reports it.
        last.GetAwaiter().GetResult();
        if (NextAt > time.GetUtcNow())
            return;
        var looking = SyncAsync(cancellationToken);
        lock (_lock)
            _looking = looking;
    }

    private async Task SyncAsync(CancellationToken cancellationToken)
    {
        try
        {
            bool observe,
                hint,
                describe,
                kernel;
            lock (_lock)
            {
                var now = time.GetUtcNow();
                hint = _hintAt <= now;
                kernel = hint || _kernelAt <= now;
                observe = _observeAt <= now || (hint && !interfaces.AllMended);
                describe = placement.Describes && _subnetsAt <= now;
                if (hint)
                    _hintAt = After(PoolLimits.HintInterval);
            }

            // First, since which interfaces are excluded follows from it.
            if (describe)
                await DescribeSubnetsAsync(cancellationToken);
            string? differs = null;
            if (kernel)
                LookAtKernel();
            if (hint)
            {
                // What could not be looked at when it was to get pods again.
                ApplyPlacement();
                if (!observe)
                {
                    differs = await DifferingHintAsync(cancellationToken);
                    observe = differs is not null;
                }
            }

            if (observe && await ObserveAsync(cancellationToken) && differs is not null)
                await JudgeAsync(differs, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The daemon stops.
        }
        finally
        {
            signal.Raise();
        }
    }

    private async Task<bool> ObserveAsync(CancellationToken cancellationToken)
    {
        // Requests that come while the answer is under way ask for another one.
        lock (_lock)
            _observeAt = After(PoolLimits.ResyncInterval);
        var started = time.GetTimestamp();
        try
        {
            var changes = await interfaces.ObserveAsync(cancellationToken);
            Events.Publish(new PoolEvent.Observed(time.GetUtcNow(), changes, time.GetElapsedTime(started)));
            foreach (var loss in changes.Losses)
                Events.Publish(new PoolEvent.AddressesLost(time.GetUtcNow(), loss));
            bool isFirst;
            lock (_lock)
            {
                isFirst = _lastObservedAt is null;
                _lastObservedAt = time.GetUtcNow();
                _failures = 0;
                if (_notObserved is null)
                    _driftFound += changes.InterfacesAdded.Count + changes.InterfacesLost.Count + changes.BlocksAdded + changes.BlocksLost;
                _notObserved = null;
            }

            Observed();
            if (isFirst)
                ConfirmPlaces();
            if (interfaces.IsAnyLeaving)
                RequestAt(time.GetUtcNow() + PoolLimits.FirstObserveRetry);
            if (changes.BlocksAdded > 0)
                ReserveInUse();
            ApplyPlacement();
            return true;
        }
        catch (CloudException exception)
        {
            // Serving goes on from what is known; the age of the last observation is visible to the operator.
            Failed(exception);
            Log.ObserveFailed(logger, exception);
            Events.Publish(new PoolEvent.ObserveFailed(time.GetUtcNow(), exception.Kind, exception.Message));
            if (LastObservedAt is null)
                await PresumeAgainAsync(cancellationToken);
            return false;
        }
    }

    private void Failed(CloudException failure)
    {
        lock (_lock)
        {
            if (_lastObservedAt is null)
                _notObserved = failure;
            var pause = PoolLimits.FirstObserveRetry * Math.Pow(2, Math.Min(_failures++, 10));
            _observeAt = After(pause < PoolLimits.HintInterval ? pause : PoolLimits.HintInterval);
        }
    }

    /// <summary>
    /// What the metadata does not show any more gets no new pods; what it shows again does, when the kernel has been asked.
    /// </summary>
    private async Task PresumeAgainAsync(CancellationToken cancellationToken)
    {
        try
        {
            await interfaces.PresumeAsync(cancellationToken);
            ReserveInUse();
        }
        catch (CloudException exception)
        {
            Log.NoHint(logger, exception);
        }
    }

    /// <summary>The first observation may be older than what the checkpoint knows.</summary>
    private void ConfirmPlaces()
    {
        if (interfaces.ConfirmPlacesAt is { } confirm)
            RequestAt(confirm);
    }

    /// <summary>
    /// The hint, when it differs from the ledger and has not been refuted. A metadata service that does not answer hints at nothing.
    /// </summary>
    private async Task<string?> DifferingHintAsync(CancellationToken cancellationToken)
    {
        try
        {
            var (agrees, fingerprint) = await interfaces.CompareHintAsync(cancellationToken);
            if (agrees)
                _refuted = null;
            return agrees || (fingerprint == _refuted && time.GetUtcNow() < _refutedUntil) ? null : fingerprint;
        }
        catch (CloudException exception)
        {
            Log.NoHint(logger, exception);
            return null;
        }
    }

    /// <summary>
    /// A hint that differs from the truth as well is not worth another call for a while. The pause doubles as long as it stays the same.
    /// </summary>
    private async Task JudgeAsync(string differs, CancellationToken cancellationToken)
    {
        var before = _refuted;
        _refuted = null;
        if (await DifferingHintAsync(cancellationToken) != differs)
            return;
        var twice = _refutedFor * 2;
        _refutedFor =
            before != differs ? PoolLimits.HintInterval
            : twice < PoolLimits.ResyncInterval ? twice
            : PoolLimits.ResyncInterval;
        (_refuted, _refutedUntil) = (differs, time.GetUtcNow() + _refutedFor);
        if (before != differs)
            Log.Refuted(logger);
    }

    /// <summary>Exclusions at once; what was excluded and is to get pods again, after a look at the kernel.</summary>
    private void ApplyPlacement()
    {
        if (!interfaces.ApplyPlacement(readmits: false))
            return;
        if (ReserveInUse())
        {
            interfaces.ApplyPlacement(readmits: true);
            return;
        }

        lock (_lock)
        {
            if (time.GetUtcNow() + PoolLimits.EvidenceRetry is var at && at < _hintAt)
                _hintAt = at;
        }
    }

    /// <returns>Whether the kernel answered.</returns>
    private bool ReserveInUse()
    {
        try
        {
            evidence.ReserveInUse();
            return true;
        }
        catch (HostNetworkException exception)
        {
            Log.KernelNotAsked(logger, exception);
            return false;
        }
    }

    private void LookAtKernel()
    {
        DateTimeOffset? again = null;
        try
        {
            evidence.ReserveInUse();
            again = evidence.ReleaseUnused();
        }
        catch (HostNetworkException exception)
        {
            Log.KernelNotAsked(logger, exception);
        }

        lock (_lock)
        {
            _kernelLookedAt = time.GetUtcNow();
            _kernelAt = again is { } at && at < After(PoolLimits.HintInterval) ? at : After(PoolLimits.HintInterval);
        }
    }

    private async Task DescribeSubnetsAsync(CancellationToken cancellationToken)
    {
        SubnetsDescribedNow();
        lock (_lock)
            _isDescribing = true;
        Supply.Asking();
        var failures = 0;
        try
        {
            await placement.DescribeAsync(cloud, cancellationToken);
            Supply.Described(placement.Candidates());
        }
        catch (CloudException exception)
        {
            Supply.NotDescribed();
            Log.SubnetsNotDescribed(logger, exception);
            lock (_lock)
                failures = _failedDescriptions + 1;
        }
        finally
        {
            lock (_lock)
                (_isDescribing, _failedDescriptions) = (false, failures);
        }

        ApplyPlacement();
        if (placement.IsDescribed)
            return;
        // Growth waits for it: asked again at once when the question has changed meanwhile, and soon when there was no answer.
        var pause = failures == 0 ? TimeSpan.Zero : PoolLimits.FirstObserveRetry * Math.Pow(2, Math.Min(failures - 1, 10));
        lock (_lock)
            _subnetsAt = After(pause < PoolLimits.HintInterval ? pause : PoolLimits.HintInterval);
    }

    /// <summary>A tenth earlier or later, so that the nodes of a cluster do not ask at the same moment.</summary>
    private DateTimeOffset After(TimeSpan interval) => time.GetUtcNow() + (interval * (0.9 + (random.NextDouble() * 0.2)));

    private static partial class Log
    {
        [LoggerMessage(44, LogLevel.Warning, "the cloud could not be observed: serving goes on from what is known")]
        public static partial void ObserveFailed(ILogger logger, Exception exception);

        [LoggerMessage(45, LogLevel.Warning, "the kernel's routes could not be read: what it shows in use is checked again later")]
        public static partial void KernelNotAsked(ILogger logger, Exception exception);

        [LoggerMessage(
            46,
            LogLevel.Warning,
            "the instance metadata shows other interfaces or addresses than the cloud does; the cloud is believed"
        )]
        public static partial void Refuted(ILogger logger);

        [LoggerMessage(47, LogLevel.Warning, "the instance metadata could not be read: a difference is found at the next observation")]
        public static partial void NoHint(ILogger logger, Exception exception);

        [LoggerMessage(
            48,
            LogLevel.Warning,
            "the subnets could not be described: tried again later, until then new interfaces go where it is known that they may"
        )]
        public static partial void SubnetsNotDescribed(ILogger logger, Exception exception);
    }
}
