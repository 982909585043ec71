// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Keeps the ledger in sync with the attached interfaces. The control plane is authoritative, but each call counts on every node of the
/// cluster, so it is called rarely: at long intervals, after a change that failed or has an unknown outcome, and when the free and
/// frequently read instance metadata hints at a difference. A hint that an observation refuted is followed again only at growing intervals,
/// since the observation may have been late.
/// </summary>
/// <param name="subnets">Describes subnets.</param>
/// <param name="interfaces">The observed interfaces.</param>
/// <param name="usage">Addresses in use by the kernel.</param>
/// <param name="placement">Depends on descriptions of subnets.</param>
/// <param name="supply">Tracks descriptions of the subnets.</param>
/// <param name="signal">Wakes the pool's loop.</param>
/// <param name="events">Gets every observation.</param>
/// <param name="observed">Called after every successful observation.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Source of jitter.</param>
/// <param name="logger">The log.</param>
internal sealed partial class InterfaceSync(
    ISubnetCatalog subnets,
    InterfaceInventory interfaces,
    KernelUsage usage,
    InterfacePlacement placement,
    SubnetSupply supply,
    PoolSignal signal,
    PoolEvents events,
    Action observed,
    TimeProvider time,
    Random random,
    ILogger<InterfaceSync> logger
)
{
    /// <summary>Error code for a cloud that may still answer: the observation is retried at once.</summary>
    public const string NoFirstAnswer = "NoAnswerYet";

    private readonly Lock _lock = new();
    private Task _syncing = Task.CompletedTask;
    private DateTimeOffset _observeAt = time.GetUtcNow();
    private DateTimeOffset _hintAt = time.GetUtcNow();
    private DateTimeOffset _kernelAt = time.GetUtcNow();
    private DateTimeOffset _kernelCheckedAt = DateTimeOffset.MinValue;
    private DateTimeOffset _subnetsAt = time.GetUtcNow();
    private DateTimeOffset _subnetsDescribedAt = time.GetUtcNow();
    private DateTimeOffset? _lastObservedAt;
    private CloudException? _notObserved;
    private long _driftFound;
    private string? _refuted;
    private DateTimeOffset _refutedUntil;
    private int _refutedTimes;
    private int _failures;
    private int _failedDescriptions;
    private bool _isDescribing;

    /// <summary>When the cloud was last observed successfully.</summary>
    public DateTimeOffset? LastObservedAt
    {
        get
        {
            lock (_lock)
                return _lastObservedAt;
        }
    }

    /// <summary>
    /// Why nothing may be added: the cloud has not been observed since the start, and the attached interfaces are those of checkpoint and
    /// metadata. Ends with the first observation, which is retried at <see cref="GrowthObstacle.Until"/>.
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
                    MayEndAnyMoment = !_syncing.IsCompleted,
                };
            }
        }
    }

    /// <summary>
    /// Number of interfaces and blocks since the start that differed from the ledger; each was corrected by the observation that found it.
    /// </summary>
    public long DriftFound => Interlocked.Read(ref _driftFound);

    /// <summary>Attached interfaces whose link is not configured.</summary>
    public AwaitedLinks Awaited => interfaces.Awaited;

    /// <summary>When the next sync is due.</summary>
    public DateTimeOffset NextAt
    {
        get
        {
            lock (_lock)
            {
                if (!_syncing.IsCompleted)
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
            return _syncing;
    }

    /// <summary>Records the successful observation of the start.</summary>
    public void RecordObserved()
    {
        lock (_lock)
        {
            _lastObservedAt = time.GetUtcNow();
            _failures = 0;
            _observeAt = After(PoolLimits.ResyncInterval);
            _hintAt = After(PoolLimits.HintInterval);
        }

        ConfirmSlots();
        ReserveInUse();
    }

    /// <summary>
    /// Records the failed observation of the start, after which interfaces come from checkpoint and metadata: retried soon.
    /// </summary>
    public void RecordFailedStart(CloudException failure)
    {
        Failed(failure);
        if (failure.Code == NoFirstAnswer)
        {
            lock (_lock)
                _observeAt = time.GetUtcNow();
        }

        ReserveInUse();
    }

    /// <summary>Records a description of the subnets.</summary>
    public void RecordSubnetsDescribed()
    {
        lock (_lock)
        {
            _subnetsDescribedAt = time.GetUtcNow();
            _subnetsAt = After(PoolLimits.ResyncInterval);
        }
    }

    /// <summary>Requests an observation at that time at the latest.</summary>
    public void RequestAt(DateTimeOffset at)
    {
        lock (_lock)
        {
            // Failed observations keep their own backoff.
            if (_failures == 0 && at < _observeAt)
                _observeAt = at;
        }
    }

    /// <summary>
    /// Requests a check of the kernel for addresses that are no longer in use, because pods wait for one, unless it was checked just now.
    /// </summary>
    public void RequestKernelCheck()
    {
        lock (_lock)
        {
            if (_kernelCheckedAt + PoolLimits.KernelCheckInterval is var at && at < _kernelAt)
                _kernelAt = at;
        }
    }

    /// <summary>
    /// Reports that the link with this MAC address is gone. Requests an observation when someone else detaches an interface, so that it is
    /// found at once and not with the next hint.
    /// </summary>
    public void LinkLost(string mac)
    {
        if (!interfaces.IsDetachedExternally(mac))
            return;
        DateTimeOffset at;
        // A link that flaps must not cost a call each time.
        lock (_lock)
            at =
                _lastObservedAt is { } last && last + PoolLimits.ObserveRetries.First is var next && next > time.GetUtcNow()
                    ? next
                    : time.GetUtcNow();
        RequestAt(at);
        signal.Raise();
    }

    /// <summary>
    /// Requests a description of the subnets when the last one is older than <paramref name="age"/>, at once if it already is.
    /// </summary>
    /// <returns>Whether a description is due or in flight, so that dependent decisions may change soon.</returns>
    public bool RequestSubnets(TimeSpan age)
    {
        lock (_lock)
        {
            if (_subnetsDescribedAt + age is var at && at < _subnetsAt)
                _subnetsAt = at;
            return placement.Describes && (_isDescribing || _subnetsAt <= time.GetUtcNow());
        }
    }

    /// <summary>Requests an immediate description after a subnet refused a request, unless the last description failed.</summary>
    /// <returns>Whether the subnets are described.</returns>
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

    /// <summary>Reports that the placement of interfaces changed: describes its subnets at once when necessary.</summary>
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

    /// <summary>Starts the sync that is due, unless one is running.</summary>
    public void StartDue(CancellationToken cancellationToken)
    {
        Task last;
        lock (_lock)
        {
            if (!_syncing.IsCompleted)
                return;
            (last, _syncing) = (_syncing, Task.CompletedTask);
        }

        // An exception is a defect; the loop reports it.
        last.GetAwaiter().GetResult();
        if (NextAt > time.GetUtcNow())
            return;
        var syncing = SyncAsync(cancellationToken);
        lock (_lock)
            _syncing = syncing;
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
                observe = _observeAt <= now || (hint && !interfaces.IsRepaired);
                describe = placement.Describes && _subnetsAt <= now;
                if (hint)
                    _hintAt = After(PoolLimits.HintInterval);
            }

            // First, since it determines which interfaces are excluded.
            if (describe)
                await DescribeSubnetsAsync(cancellationToken);
            string? differs = null;
            if (kernel)
                CheckKernel();
            if (hint)
            {
                // Readmits interfaces for which the kernel could not be checked before.
                ApplyPlacement();
                if (!observe)
                {
                    differs = await DifferingHintAsync(cancellationToken);
                    observe = differs is not null;
                }
            }

            if (observe && await ObserveAsync(cancellationToken) && differs is not null)
                await RecordRefutedAsync(differs, cancellationToken);
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
        // A request during the call asks for another observation.
        lock (_lock)
            _observeAt = After(PoolLimits.ResyncInterval);
        var started = time.GetTimestamp();
        try
        {
            var changes = await interfaces.ObserveAsync(cancellationToken);
            events.Publish(new PoolEvent.Observed(time.GetUtcNow(), changes, time.GetElapsedTime(started)));
            foreach (var loss in changes.Losses)
                events.Publish(new PoolEvent.AddressesLost(time.GetUtcNow(), loss));
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

            observed();
            if (isFirst)
                ConfirmSlots();
            if (interfaces.IsAnyDetaching)
                RequestAt(time.GetUtcNow() + PoolLimits.ObserveRetries.First);
            if (changes.BlocksAdded > 0)
                ReserveInUse();
            ApplyPlacement();
            return true;
        }
        catch (CloudException exception)
        {
            // ADDs are served from the known state; operators see the age of the last observation.
            Failed(exception);
            Log.ObserveFailed(logger, exception);
            events.Publish(new PoolEvent.ObserveFailed(time.GetUtcNow(), exception.Kind, exception.Message));
            if (LastObservedAt is null)
                await ApplyHintAsync(cancellationToken);
            return false;
        }
    }

    private void Failed(CloudException failure)
    {
        lock (_lock)
        {
            if (_lastObservedAt is null)
                _notObserved = failure;
            _observeAt = After(PoolLimits.ObserveRetries.Ceiling(++_failures));
        }
    }

    /// <summary>
    /// Stops assigning from interfaces that the metadata no longer shows; assigns again from those that it does, after a check of the
    /// kernel.
    /// </summary>
    private async Task ApplyHintAsync(CancellationToken cancellationToken)
    {
        try
        {
            await interfaces.ApplyHintAsync(cancellationToken);
            ReserveInUse();
        }
        catch (CloudException exception)
        {
            Log.NoHint(logger, exception);
        }
    }

    /// <summary>Requests another observation when the first one may be older than the checkpoint.</summary>
    private void ConfirmSlots()
    {
        if (interfaces.ConfirmSlotsAt is { } confirm)
            RequestAt(confirm);
    }

    /// <summary>Returns the hint when it differs from the ledger and was not refuted. A failed read of the metadata is no hint.</summary>
    private async Task<string?> DifferingHintAsync(CancellationToken cancellationToken)
    {
        try
        {
            var (matches, fingerprint) = await interfaces.CompareHintAsync(cancellationToken);
            if (matches)
                _refuted = null;
            return matches || (fingerprint == _refuted && time.GetUtcNow() < _refutedUntil) ? null : fingerprint;
        }
        catch (CloudException exception)
        {
            Log.NoHint(logger, exception);
            return null;
        }
    }

    /// <summary>
    /// Records a hint that also differs from an observation, so that it causes no further call for a while. The pause doubles as long as
    /// the hint stays the same.
    /// </summary>
    private async Task RecordRefutedAsync(string differs, CancellationToken cancellationToken)
    {
        var before = _refuted;
        _refuted = null;
        if (await DifferingHintAsync(cancellationToken) != differs)
            return;
        _refutedTimes = before == differs ? _refutedTimes + 1 : 1;
        (_refuted, _refutedUntil) = (differs, time.GetUtcNow() + PoolLimits.RefutedHints.Ceiling(_refutedTimes));
        if (before != differs)
            Log.Refuted(logger);
    }

    /// <summary>Applies exclusions at once, and readmissions after a check of the kernel.</summary>
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
            if (time.GetUtcNow() + PoolLimits.KernelCheckRetry is var at && at < _hintAt)
                _hintAt = at;
        }
    }

    /// <returns>Whether the kernel could be read.</returns>
    private bool ReserveInUse()
    {
        try
        {
            usage.ReserveInUse();
            return true;
        }
        catch (HostNetworkException exception)
        {
            Log.KernelCheckFailed(logger, exception);
            return false;
        }
    }

    private void CheckKernel()
    {
        DateTimeOffset? again = null;
        try
        {
            usage.ReserveInUse();
            again = usage.ReleaseUnused();
        }
        catch (HostNetworkException exception)
        {
            Log.KernelCheckFailed(logger, exception);
        }

        lock (_lock)
        {
            _kernelCheckedAt = time.GetUtcNow();
            _kernelAt = again is { } at && at < After(PoolLimits.HintInterval) ? at : After(PoolLimits.HintInterval);
        }
    }

    private async Task DescribeSubnetsAsync(CancellationToken cancellationToken)
    {
        RecordSubnetsDescribed();
        lock (_lock)
            _isDescribing = true;
        supply.BeginDescription();
        var failures = 0;
        try
        {
            await placement.DescribeAsync(subnets, cancellationToken);
            supply.Described(placement.Candidates(interfaces.PrimaryGroups));
        }
        catch (CloudException exception)
        {
            supply.RecordFailedDescription();
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
        // Growth waits for it: described again at once when the placement changed meanwhile, and soon after a failure.
        lock (_lock)
            _subnetsAt = After(PoolLimits.ObserveRetries.Ceiling(failures));
    }

    private DateTimeOffset After(TimeSpan interval) => time.GetUtcNow() + Jitter.Around(interval, random);

    private static partial class Log
    {
        [LoggerMessage(44, LogLevel.Warning, "the cloud could not be observed: ADDs are served from the known state")]
        public static partial void ObserveFailed(ILogger logger, Exception exception);

        [LoggerMessage(45, LogLevel.Warning, "the kernel's routes could not be read: addresses in use are checked again later")]
        public static partial void KernelCheckFailed(ILogger logger, Exception exception);

        [LoggerMessage(
            46,
            LogLevel.Warning,
            "the instance metadata shows other interfaces or addresses than the cloud; the cloud's answer counts"
        )]
        public static partial void Refuted(ILogger logger);

        [LoggerMessage(47, LogLevel.Warning, "the instance metadata could not be read: the next observation finds any difference")]
        public static partial void NoHint(ILogger logger, Exception exception);

        [LoggerMessage(
            48,
            LogLevel.Warning,
            "the subnets could not be described: retried later; until then new interfaces go into known subnets"
        )]
        public static partial void SubnetsNotDescribed(ILogger logger, Exception exception);
    }
}
