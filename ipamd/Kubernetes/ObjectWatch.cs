// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Keeps a listener up to date with one object: lists it, then watches it, in a loop (Kubernetes API concepts, "Efficient detection of
/// changes"). While the API server is unavailable the listener keeps the last state; afterwards it gets one update with all changes.
/// </summary>
/// <param name="source">Lists and watches the object.</param>
/// <param name="name">Name of the object.</param>
/// <param name="onUpdate">Called with the object, or null if it does not exist; also without a change.</param>
/// <param name="failed">Called with each failure, and with null on recovery.</param>
internal sealed class ObjectWatch<T>(
    IObjectSource<T> source,
    string name,
    Action<T?> onUpdate,
    Action<ClusterException?> failed,
    TimeProvider time,
    Random random
)
    where T : class
{
    /// <summary>
    /// Minimum duration to request; a random part is added, so that the watches of a cluster's nodes end at different times. The server's
    /// default is 30 minutes and more.
    /// </summary>
    private static readonly TimeSpan ShortestWatch = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Minimum duration of a healthy watch. A shorter one is followed by a pause, because a server may accept watches and close them at
    /// once. The pause grows unless the watch delivered an event.
    /// </summary>
    private static readonly TimeSpan MinHealthyDuration = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Consecutive failures after which a list drops its lower bound, in case the bound is the cause. A smaller number would send every
    /// node of a cluster to etcd after a short outage.
    /// </summary>
    private const int BoundedAttempts = 5;

    /// <summary>Lower bound that any cached state satisfies.</summary>
    private const string AnyVersion = "0";

    private readonly ClusterBackoff _backoff = new(random);

    /// <summary>Version from which to continue; null: list first.</summary>
    private string? _version;

    /// <summary>
    /// Lower bound of a list; empty: the latest. Starts with any cached state, because thousands of daemons that start together must not
    /// all read from etcd.
    /// </summary>
    private string _minVersion = AnyVersion;

    private bool _isFailing;

    /// <summary>Consecutive failures except throttling.</summary>
    private int _failures;

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var pause = TimeSpan.Zero;
            try
            {
                if (_version is null)
                    await ListAsync(cancellationToken);
                if (!await WatchAsync(_version!, cancellationToken))
                    pause = _backoff.Failed(retryAfter: null);
            }
            catch (ClusterException failure)
            {
                pause = AfterFailure(failure);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }

            if (pause > TimeSpan.Zero)
                await PauseAsync(pause, cancellationToken);
        }
    }

    private async Task ListAsync(CancellationToken cancellationToken)
    {
        var listed = await source.ListAsync(name, _minVersion, cancellationToken);
        _version = _minVersion = listed.Version;
        ReportRecovery();
        onUpdate(listed.Item);
    }

    /// <summary>Returns false if the watch ended too soon.</summary>
    private async Task<bool> WatchAsync(string version, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        await source.WatchAsync(
            name,
            version,
            Jitter.Between(ShortestWatch, ShortestWatch * 2, random),
            change =>
            {
                _version = _minVersion = change.Version;
                _backoff.Succeeded();
                ReportRecovery();
                if (!change.IsBookmark)
                    onUpdate(change.Item);
            },
            cancellationToken
        );
        if (time.GetElapsedTime(began) < MinHealthyDuration)
            return false;
        _backoff.Succeeded();
        ReportRecovery();
        return true;
    }

    private TimeSpan AfterFailure(ClusterException failure)
    {
        if (failure.Kind != ClusterErrorKind.Throttled)
        {
            // The server may have dropped the lower bound's version, or was restored to an older one. In other cases the next call is a
            // list, because it shows at once whether the server has recovered; a watch may be silent for minutes.
            if (failure.Kind == ClusterErrorKind.Expired || (++_failures >= BoundedAttempts && _minVersion != AnyVersion))
                _minVersion = "";
            _version = null;
        }

        _isFailing = true;
        failed(failure);
        return _backoff.Failed(failure.RetryAfter);
    }

    private void ReportRecovery()
    {
        if (!_isFailing)
            return;
        (_isFailing, _failures) = (false, 0);
        failed(null);
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(pause, time, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The loop's condition ends the run.
        }
    }
}
