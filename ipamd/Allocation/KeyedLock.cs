// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Allocation;

/// <summary>
/// Runs one ADD or DEL per attachment at a time, in order of arrival. Runtimes serialize them, but a retry after a lost connection does
/// not: without this lock, rolling back an ADD whose client went away could free the address just assigned to its retry. Thread-safe.
/// </summary>
internal sealed class KeyedLock
{
    private readonly Lock _lock = new();
    private readonly Dictionary<AttachmentKey, Queue<TaskCompletionSource>> _busy = [];

    /// <summary>Waits until the key is free. Disposing the result frees it.</summary>
    /// <exception cref="OperationCanceledException">The client went away before the key was free.</exception>
    public async Task<IDisposable> EnterAsync(AttachmentKey key, CancellationToken cancellationToken)
    {
        TaskCompletionSource entered;
        lock (_lock)
        {
            if (_busy.TryAdd(key, new Queue<TaskCompletionSource>()))
                return new Entry(this, key);
            entered = new TaskCompletionSource();
            _busy[key].Enqueue(entered);
        }

        using var registration = cancellationToken.Register(() => entered.TrySetCanceled(cancellationToken));
        await entered.Task;
        return new Entry(this, key);
    }

    private void Exit(AttachmentKey key)
    {
        while (true)
        {
            TaskCompletionSource next;
            lock (_lock)
            {
                if (!_busy[key].TryDequeue(out next!))
                {
                    _busy.Remove(key);
                    return;
                }
            }

            // False when its client went away.
            if (next.TrySetResult())
                return;
        }
    }

    private sealed class Entry(KeyedLock owner, AttachmentKey key) : IDisposable
    {
        private bool _exited;

        public void Dispose()
        {
            if (_exited)
                return;
            _exited = true;
            owner.Exit(key);
        }
    }
}
