// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Allocation;

/// <summary>What an ADD asks of the ledger.</summary>
internal sealed record AddRequest(AttachmentKey Key, PodReference Pod, string NetnsPath, IReadOnlyList<AddressFamily> Families);

/// <summary>How a wait ended.</summary>
internal abstract record WaitOutcome
{
    private WaitOutcome() { }

    internal sealed record Served(Attachment Attachment, bool IsNew, TimeSpan? ReusedAfter = null) : WaitOutcome;

    /// <summary>Nothing that the pool can do brings an address in time.</summary>
    internal sealed record Unservable(GrowthObstacle Obstacle) : WaitOutcome;

    /// <summary>The time is up, and nothing speaks against an address coming later.</summary>
    internal sealed record TimedOut : WaitOutcome;

    /// <summary>The queue is full.</summary>
    internal sealed record Refused : WaitOutcome;
}

/// <summary>Who waits, since when, and until when.</summary>
internal readonly record struct QueuedAdd(AttachmentKey Key, PodReference Pod, DateTimeOffset Since, DateTimeOffset Deadline);

/// <summary>
/// ADDs that found the pool empty, first come, first served. Their number is demand that the planner sees. Every place in the queue is left
/// exactly once: served, hopeless, or given up by its client (cancelled or out of time), who then holds nothing.
/// </summary>
internal sealed class PendingAddQueue(IpLedger ledger, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Waiter> _queue = new();

    private long _lastNumber;
    private GrowthObstacle? _obstacle;

    /// <summary>What stood against growth when it was last planned, for those whose time is up.</summary>
    public GrowthObstacle? Obstacle
    {
        get
        {
            lock (_lock)
                return _obstacle;
        }
    }

    /// <summary>Addresses that are waited for.</summary>
    public int Demand
    {
        get
        {
            lock (_lock)
                return _queue.Count;
        }
    }

    /// <summary>Those who wait, in the order of their arrival. An attachment waits once: its repeated ADDs take turns.</summary>
    public IReadOnlyList<PendingAdd> Waiting()
    {
        lock (_lock)
            return [.. _queue.Select(waiter => new PendingAdd(waiter.Number, waiter.Deadline))];
    }

    /// <summary>The line as people see it, first come first.</summary>
    public IReadOnlyList<QueuedAdd> Entries()
    {
        lock (_lock)
            return [.. _queue.Select(waiter => new QueuedAdd(waiter.Request.Key, waiter.Request.Pod, waiter.Since, waiter.Deadline))];
    }

    /// <summary>Takes a place and waits for its turn. The caller bounds the wait by the token.</summary>
    /// <exception cref="OperationCanceledException">The client gave up; it holds nothing.</exception>
    public async Task<WaitOutcome> WaitAsync(AddRequest request, DateTimeOffset deadline, CancellationToken cancellationToken)
    {
        LinkedListNode<Waiter> place;
        lock (_lock)
        {
            if (_queue.Count >= PoolLimits.MaxWaiting)
                return new WaitOutcome.Refused();
            place = _queue.AddLast(new Waiter(++_lastNumber, request, time.GetUtcNow(), deadline));
        }

        var waiter = place.Value;

        using var registration = cancellationToken.Register(() =>
        {
            lock (_lock)
            {
                if (place.List is null)
                    return;
                _queue.Remove(place);
            }

            waiter.Outcome.TrySetCanceled(cancellationToken);
        });
        // An address may have come free between the caller's look and its place in the queue.
        Serve();
        return await waiter.Outcome.Task;
    }

    /// <summary>Gives free addresses to those who wait longest. Called after everything that may have made one free.</summary>
    public void Serve()
    {
        List<(Waiter Waiter, WaitOutcome Outcome)> served = [];
        lock (_lock)
        {
            while (_queue.First is { } head)
            {
                var request = head.Value.Request;
                if (
                    ledger.Assign(request.Key, request.Pod, request.NetnsPath, request.Families, time.GetUtcNow())
                    is not AssignOutcome.Held held
                )
                    break;
                _queue.RemoveFirst();
                served.Add((head.Value, new WaitOutcome.Served(held.Attachment, held.IsNew, held.ReusedAfter)));
            }
        }

        // Completed outside the lock: continuations run on this thread.
        foreach (var (waiter, outcome) in served)
            waiter.Outcome.TrySetResult(outcome);
    }

    /// <summary>
    /// What stands against growth now; null for nothing. Some of those who wait are told that it is useless. Whoever would still be there
    /// when the obstacle is gone stays.
    /// </summary>
    public void FailUnservable(IReadOnlyList<long> numbers, GrowthObstacle? obstacle)
    {
        List<Waiter> hopeless = [];
        lock (_lock)
        {
            _obstacle = obstacle;
            if (obstacle is null or { MayEndAnyMoment: true })
                return;
            var named = numbers.ToHashSet();
            for (var place = _queue.First; place is not null; )
            {
                var next = place.Next;
                if (named.Contains(place.Value.Number) && (obstacle.Until is not { } until || until >= place.Value.Deadline))
                {
                    _queue.Remove(place);
                    hopeless.Add(place.Value);
                }

                place = next;
            }
        }

        foreach (var waiter in hopeless)
            waiter.Outcome.TrySetResult(new WaitOutcome.Unservable(obstacle));
    }

    private sealed class Waiter(long number, AddRequest request, DateTimeOffset since, DateTimeOffset deadline)
    {
        public DateTimeOffset Since { get; } = since;
        public long Number { get; } = number;
        public AddRequest Request { get; } = request;
        public DateTimeOffset Deadline { get; } = deadline;

        /// <summary>
        /// Continues where it is completed: in production that is the pool's loop or another RPC, in the simulation its one thread.
        /// </summary>
        public TaskCompletionSource<WaitOutcome> Outcome { get; } = new();
    }
}
