// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Follows one object: list, then watch, on and on (Kubernetes API concepts, "Efficient detection of changes"). While the API server is
/// away nothing is told, so that whoever listens keeps what it heard last; when it returns, what was missed comes as one change.
/// </summary>
/// <param name="source">Where the object is.</param>
/// <param name="name">Its name.</param>
/// <param name="told">Called with the object, or null when there is none of that name; also when nothing changed.</param>
/// <param name="failed">Called with each failure, and with null after one when all is well again.</param>
internal sealed class ObjectWatch<T>(
    IObjectSource<T> source,
    string name,
    Action<T?> told,
    Action<ClusterException?> failed,
    TimeProvider time,
    Random random
)
    where T : class
{
    /// <summary>Watches of a cluster's nodes end at different times; the server's own choice would be half an hour and more.</summary>
    private static readonly TimeSpan ShortestWatch = TimeSpan.FromMinutes(5);

    /// <summary>
    /// A watch that the server ends sooner is followed by a pause: else a server that accepts and closes would be asked without one. It
    /// grows unless something was told.
    /// </summary>
    private static readonly TimeSpan TooShort = TimeSpan.FromSeconds(5);

    /// <summary>
    /// After so many failures in a row a list's bound is given up, in case it is what fails. Fewer would send every node of a cluster to
    /// etcd after an outage of seconds.
    /// </summary>
    private const int BoundedAttempts = 5;

    /// <summary>Bound that every server meets.</summary>
    private const string Anything = "0";

    private readonly ClusterBackoff _backoff = new(random);

    /// <summary>Where to go on; null: list first.</summary>
    private string? _version;

    /// <summary>
    /// The list's lower bound; empty: the newest. At first whatever the server has at hand: thousands of daemons that start together must
    /// not all read from etcd.
    /// </summary>
    private string _atLeast = Anything;

    private bool _isFailing;

    /// <summary>In a row, other than for asking too often.</summary>
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
        var listed = await source.ListAsync(name, _atLeast, cancellationToken);
        _version = _atLeast = listed.Version;
        Well();
        told(listed.Item);
    }

    /// <summary>False when it ended at once.</summary>
    private async Task<bool> WatchAsync(string version, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        await source.WatchAsync(
            name,
            version,
            ShortestWatch * (1 + random.NextDouble()),
            news =>
            {
                _version = _atLeast = news.Version;
                _backoff.Succeeded();
                Well();
                if (!news.IsBookmark)
                    told(news.Item);
            },
            cancellationToken
        );
        if (time.GetElapsedTime(began) < TooShort)
            return false;
        _backoff.Succeeded();
        Well();
        return true;
    }

    private TimeSpan AfterFailure(ClusterException failure)
    {
        if (failure.Kind != ClusterErrorKind.Throttled)
        {
            // The bound may be forgotten, or newer than what a restored cluster has. Otherwise a list says at once whether the server is
            // well again; a watch may be silent for minutes.
            if (failure.Kind == ClusterErrorKind.Expired || (++_failures >= BoundedAttempts && _atLeast != Anything))
                _atLeast = "";
            _version = null;
        }

        _isFailing = true;
        failed(failure);
        return _backoff.Failed(failure.RetryAfter);
    }

    private void Well()
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
            // The loop's condition ends it.
        }
    }
}
