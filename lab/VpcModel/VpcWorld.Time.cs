// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>Events and transitions, which are changes of state that take time.</summary>
public sealed partial class VpcWorld
{
    private readonly List<Action<VpcEvent>> _subscribers = [];
    private readonly Queue<VpcEvent> _unpublished = new();
    private long _sequence;
    private bool _publishing;

    /// <summary>
    /// Called when <see cref="NextTransitionAt"/> may have become earlier, for a host that calls <see cref="CompleteDueTransitions"/> by a
    /// timer.
    /// </summary>
    public Action? TransitionScheduled { get; set; }

    /// <summary>When the next pending transition is due; null if none is pending.</summary>
    public DateTimeOffset? NextTransitionAt => _transitions.TryPeek(out _, out var priority) ? priority.At : null;

    /// <summary>Calls the subscriber for every event until the returned subscription is disposed.</summary>
    public IDisposable Subscribe(Action<VpcEvent> subscriber)
    {
        _subscribers.Add(subscriber);
        return new Subscription(() => _subscribers.Remove(subscriber));
    }

    /// <summary>Completes all transitions that are due, in order of time.</summary>
    /// <exception cref="InvalidOperationException">A subscriber called it.</exception>
    public void CompleteDueTransitions()
    {
        if (_publishing)
            throw new InvalidOperationException("a subscriber called an operation of the world; queue the call until after the event");
        while (_transitions.TryPeek(out var transition, out var priority) && priority.At <= Now)
        {
            _transitions.Dequeue();
            Complete(transition, priority.At);
        }

        PruneDeleted();
        Publish();
    }

    private void Schedule(Transition transition, TimeSpan latency)
    {
        if (latency <= TimeSpan.Zero)
        {
            Complete(transition, Now);
            return;
        }

        _transitions.Enqueue(transition, (Now + latency, _order++));
        TransitionScheduled?.Invoke();
    }

    private void Complete(Transition transition, DateTimeOffset at)
    {
        // The transition may be obsolete: the interface was detached while attaching, or deleted with its instance.
        if (FindInterface(transition.Interface) is not { Attachment: { } attachment } eni || attachment.Id != transition.Attachment)
            return;
        switch (transition.To)
        {
            case AttachmentStatus.Attached when attachment.Status == AttachmentStatus.Attaching:
                FinishAttach(eni, attachment, at);
                break;
            case AttachmentStatus.Detaching when attachment.Status == AttachmentStatus.Detaching:
                FinishDetach(eni, attachment, at);
                break;
        }
    }

    private void Raise(VpcEvent @event, DateTimeOffset? at = null) =>
        _unpublished.Enqueue(@event with { Sequence = ++_sequence, At = at ?? Now });

    private void Publish()
    {
        _publishing = true;
        try
        {
            while (_unpublished.TryDequeue(out var @event))
            {
                foreach (var subscriber in _subscribers.ToArray())
                    subscriber(@event);
            }
        }
        finally
        {
            _publishing = false;
        }
    }

    /// <param name="To">
    /// <see cref="AttachmentStatus.Attached"/>, or <see cref="AttachmentStatus.Detaching"/> for the completion of the detachment.
    /// </param>
    private sealed record Transition(EniId Interface, AttachmentId Attachment, AttachmentStatus To);

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
