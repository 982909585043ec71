// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>Tracks open watches, to count them, limit them, and close them all at once. Thread-safe.</summary>
internal sealed class WatchHub : IDisposable
{
    private readonly Lock _lock = new();
    private CancellationTokenSource _open = new();
    private bool _isDisposed;
    private int _count;

    public int Count
    {
        get
        {
            lock (_lock)
                return _count;
        }
    }

    /// <summary>Closes every open watch, as the restart of a real API server does. Clients can open new ones.</summary>
    public void CloseAll()
    {
        CancellationTokenSource closed;
        lock (_lock)
        {
            closed = _open;
            if (!_isDisposed)
                _open = new CancellationTokenSource();
        }

        closed.Cancel();
    }

    /// <summary>Registers a watch until the result is disposed.</summary>
    /// <exception cref="KubeStatusException">429: <paramref name="limit"/> watches are open.</exception>
    public Registration Register(int limit)
    {
        lock (_lock)
        {
            if (_count >= limit)
                throw KubeStatusException.TooManyRequests($"{limit} watches are already open");
            _count++;
            return new Registration(this, _open.Token);
        }
    }

    /// <summary>Waits until all watches are closed or the wait is cancelled. Does not throw.</summary>
    public async Task WaitUntilClosedAsync(CancellationToken cancellationToken)
    {
        CancellationToken closed;
        lock (_lock)
            closed = _open.Token;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(closed, cancellationToken);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (either.Token.Register(ended.SetResult))
            await ended.Task;
    }

    /// <summary>Closes all watches; watches that are registered later are closed at once.</summary>
    public void Dispose()
    {
        lock (_lock)
            _isDisposed = true;
        CloseAll();
    }

    /// <summary>Registration of an open watch.</summary>
    internal sealed class Registration(WatchHub hub, CancellationToken closed) : IDisposable
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
