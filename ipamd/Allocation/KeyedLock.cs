// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Allocation;

/// <summary>
/// One ADD or DEL of an attachment at a time, in the order of arrival. Runtimes promise that, and a retry after a lost connection breaks
/// it: without turns, undoing an ADD whose client is gone could free the address that the retry of the same ADD has just been promised.
/// </summary>
internal sealed class KeyedLock
{
    private readonly Lock _lock = new();
    private readonly Dictionary<AttachmentKey, Queue<TaskCompletionSource>> _busy = [];

    /// <exception cref="OperationCanceledException">The client went away before its turn came.</exception>
    public async Task<IDisposable> EnterAsync(AttachmentKey key, CancellationToken cancellationToken)
    {
        TaskCompletionSource mine;
        lock (_lock)
        {
            if (_busy.TryAdd(key, new Queue<TaskCompletionSource>()))
                return new Turn(this, key);
            mine = new TaskCompletionSource();
            _busy[key].Enqueue(mine);
        }

        using var registration = cancellationToken.Register(() => mine.TrySetCanceled(cancellationToken));
        await mine.Task;
        return new Turn(this, key);
    }

    private void Leave(AttachmentKey key)
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

            // False: its client is gone.
            if (next.TrySetResult())
                return;
        }
    }

    private sealed class Turn(KeyedLock turns, AttachmentKey key) : IDisposable
    {
        private bool _left;

        public void Dispose()
        {
            if (_left)
                return;
            _left = true;
            turns.Leave(key);
        }
    }
}
