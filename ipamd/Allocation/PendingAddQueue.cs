// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Allocation;

/// <summary>The parameters of an assignment.</summary>
internal sealed record AddRequest(AttachmentKey Key, PodReference Pod, string NetnsPath);

/// <summary>Outcome of a wait.</summary>
internal abstract record WaitOutcome
{
    private WaitOutcome() { }

    internal sealed record Served(Attachment Attachment, bool IsNew, TimeSpan? ReusedAfter = null) : WaitOutcome;

    /// <summary>No action of the pool can provide an address in time.</summary>
    internal sealed record Unservable(GrowthObstacle Obstacle) : WaitOutcome;

    /// <summary>The time is up, although an address may still become free later.</summary>
    internal sealed record TimedOut : WaitOutcome;

    /// <summary>The queue is full.</summary>
    internal sealed record Refused : WaitOutcome;
}

/// <summary>An entry of the queue: the attachment, its start and its deadline.</summary>
internal readonly record struct QueuedAdd(AttachmentKey Key, PodReference Pod, DateTimeOffset Since, DateTimeOffset Deadline);

/// <summary>
/// ADDs that found the pool empty, first come, first served. The planner counts them as demand. Every entry ends exactly once: served,
/// unservable, or given up by its client (cancelled or timed out), which then has no address. Thread-safe.
/// </summary>
internal sealed class PendingAddQueue(IpLedger ledger, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Entry> _queue = new();

    private long _lastNumber;
    private GrowthObstacle? _obstacle;

    /// <summary>The obstacle to growth at the last plan, for the error of an ADD that times out.</summary>
    public GrowthObstacle? Obstacle
    {
        get
        {
            lock (_lock)
                return _obstacle;
        }
    }

    /// <summary>Number of pending ADDs.</summary>
    public int Demand
    {
        get
        {
            lock (_lock)
                return _queue.Count;
        }
    }

    /// <summary>The pending ADDs, in order of arrival. An attachment has at most one entry: its repeated ADDs are serialized.</summary>
    public IReadOnlyList<PendingAdd> Waiting()
    {
        lock (_lock)
            return [.. _queue.Select(entry => new PendingAdd(entry.Number, entry.Deadline))];
    }

    /// <summary>The queue as operators see it, in order of arrival.</summary>
    public IReadOnlyList<QueuedAdd> Entries()
    {
        lock (_lock)
            return [.. _queue.Select(entry => new QueuedAdd(entry.Request.Key, entry.Request.Pod, entry.Since, entry.Deadline))];
    }

    /// <summary>Enqueues the request and waits for its outcome. The caller bounds the wait by the token.</summary>
    /// <exception cref="OperationCanceledException">The client gave up; it has no address.</exception>
    public async Task<WaitOutcome> WaitAsync(AddRequest request, DateTimeOffset deadline, CancellationToken cancellationToken)
    {
        LinkedListNode<Entry> node;
        lock (_lock)
        {
            if (_queue.Count >= PoolLimits.MaxWaiting)
                return new WaitOutcome.Refused();
            node = _queue.AddLast(new Entry(++_lastNumber, request, time.GetUtcNow(), deadline));
        }

        var entry = node.Value;

        using var registration = cancellationToken.Register(() =>
        {
            lock (_lock)
            {
                if (node.List is null)
                    return;
                _queue.Remove(node);
            }

            entry.Outcome.TrySetCanceled(cancellationToken);
        });
        // An address may have become free between the caller's check and the enqueue.
        Serve();
        return await entry.Outcome.Task;
    }

    /// <summary>Assigns free addresses to the oldest entries. Call it after everything that may free an address.</summary>
    public void Serve()
    {
        List<(Entry Entry, WaitOutcome Outcome)> served = [];
        lock (_lock)
        {
            while (_queue.First is { } head)
            {
                var request = head.Value.Request;
                if (ledger.Assign(request.Key, request.Pod, request.NetnsPath, time.GetUtcNow()) is not AssignOutcome.Assigned assigned)
                    break;
                _queue.RemoveFirst();
                served.Add((head.Value, new WaitOutcome.Served(assigned.Attachment, assigned.IsNew, assigned.ReusedAfter)));
            }
        }

        // Completed outside the lock: continuations run on this thread.
        foreach (var (entry, outcome) in served)
            entry.Outcome.TrySetResult(outcome);
    }

    /// <summary>
    /// Records the obstacle to growth, null for none, and fails the given entries with it. Entries whose deadline is later than the
    /// obstacle's end stay queued.
    /// </summary>
    public void FailUnservable(IReadOnlyList<long> numbers, GrowthObstacle? obstacle)
    {
        List<Entry> unservable = [];
        lock (_lock)
        {
            _obstacle = obstacle;
            if (obstacle is null or { MayEndAnyMoment: true })
                return;
            var failing = numbers.ToHashSet();
            for (var node = _queue.First; node is not null; )
            {
                var next = node.Next;
                if (failing.Contains(node.Value.Number) && (obstacle.Until is not { } until || until >= node.Value.Deadline))
                {
                    _queue.Remove(node);
                    unservable.Add(node.Value);
                }

                node = next;
            }
        }

        foreach (var entry in unservable)
            entry.Outcome.TrySetResult(new WaitOutcome.Unservable(obstacle));
    }

    private sealed class Entry(long number, AddRequest request, DateTimeOffset since, DateTimeOffset deadline)
    {
        public DateTimeOffset Since { get; } = since;
        public long Number { get; } = number;
        public AddRequest Request { get; } = request;
        public DateTimeOffset Deadline { get; } = deadline;

        /// <summary>
        /// Continuations run where it is completed: on the pool's loop or another RPC; in the simulation, on its one thread.
        /// </summary>
        public TaskCompletionSource<WaitOutcome> Outcome { get; } = new();
    }
}
