// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>All watches that are open, so that they can be counted, closed at once, and ended with the lab.</summary>
internal sealed class WatchHub : IDisposable
{
    private readonly Lock _lock = new();
    private CancellationTokenSource _open = new();
    private bool _isEnded;
    private int _count;

    public int Count
    {
        get
        {
            lock (_lock)
                return _count;
        }
    }

    /// <summary>Ends every open watch, as when a real API server is rolled; new ones may follow.</summary>
    public void CloseAll()
    {
        CancellationTokenSource closed;
        lock (_lock)
        {
            closed = _open;
            if (!_isEnded)
                _open = new CancellationTokenSource();
        }

        closed.Cancel();
    }

    /// <summary>Counts a watch in; dispose of the result when it ends.</summary>
    /// <exception cref="KubeStatusException">429: too many.</exception>
    public Place Enter(int most)
    {
        lock (_lock)
        {
            if (_count >= most)
                throw KubeStatusException.TooManyRequests($"{most} watches are open already");
            _count++;
            return new Place(this, _open.Token);
        }
    }

    /// <summary>Ends when the watches are closed, or the caller gives up.</summary>
    public async Task ClosedAsync(CancellationToken cancellationToken)
    {
        CancellationToken closed;
        lock (_lock)
            closed = _open.Token;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(closed, cancellationToken);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (either.Token.Register(ended.SetResult))
            await ended.Task;
    }

    /// <summary>Closes all watches, and those that still come at once.</summary>
    public void Dispose()
    {
        lock (_lock)
            _isEnded = true;
        CloseAll();
    }

    /// <summary>The place of one watch.</summary>
    internal sealed class Place(WatchHub hub, CancellationToken closed) : IDisposable
    {
        /// <summary>Cancelled when all watches are closed.</summary>
        public CancellationToken Closed => closed;

        public void Dispose()
        {
            lock (hub._lock)
                hub._count--;
        }
    }
}
