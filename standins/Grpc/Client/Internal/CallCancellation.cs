// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Grpc.Core.Internal;

namespace Grpc.Net.Client.Internal;

/// <summary>Everything that can end a call early: its token, its deadline, disposal of the call or of the channel. The first one decides the status.</summary>
internal sealed class CallCancellation : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly TimeProvider _time;
    private readonly DateTime _deadline;
    private readonly CancellationTokenRegistration _caller;
    private readonly CancellationTokenRegistration _channel;
    private readonly ITimer? _timer;
    private StrongBox? _reason;

    public CallCancellation(CallOptions options, GrpcChannel channel)
    {
        _time = channel.Time;
        _deadline = options.Deadline ?? DateTime.MaxValue;
        if (_deadline.Kind != DateTimeKind.Utc && _deadline != DateTime.MaxValue && _deadline != DateTime.MinValue)
            throw new InvalidOperationException($"The deadline {_deadline:O} is not in UTC. Use DateTime.UtcNow plus a duration.");

        if (_deadline != DateTime.MaxValue)
        {
            Remaining = _deadline - _time.GetUtcNow().UtcDateTime;
            if (Remaining <= TimeSpan.Zero)
                Cancel(DeadlineExceeded);
            else
                _timer = _time.CreateTimer(static state => ((CallCancellation)state!).Cancel(DeadlineExceeded), this, GrpcTimeout.TimerDelay(Remaining.Value), Timeout.InfiniteTimeSpan);
        }

        _caller = options.CancellationToken.UnsafeRegister(static state => ((CallCancellation)state!).Cancel(CancelledByCaller), this);
        _channel = channel.Disposed.UnsafeRegister(static state => ((CallCancellation)state!).Cancel(ChannelDisposed), this);
    }

    public static Status CallDisposed => new(StatusCode.Cancelled, "The call was disposed before it finished.");

    /// <summary>At the start of the call; null without a deadline.</summary>
    public TimeSpan? Remaining { get; }

    public CancellationToken Token => _source.Token;

    /// <summary>Why the call ended early; null if it did not. The deadline also counts when its timer has not come round yet.</summary>
    public Status? Reason => _reason?.Value ?? (_deadline != DateTime.MaxValue && _time.GetUtcNow().UtcDateTime >= _deadline ? DeadlineExceeded : null);

    private static Status DeadlineExceeded => new(StatusCode.DeadlineExceeded, "The deadline passed before the call finished.");

    private static Status CancelledByCaller => new(StatusCode.Cancelled, "The caller cancelled the call.");

    private static Status ChannelDisposed => new(StatusCode.Cancelled, "The channel was disposed before the call finished.");

    public void Cancel(Status reason)
    {
        if (Interlocked.CompareExchange(ref _reason, new StrongBox(reason), null) is null) _source.Cancel();
    }

    /// <summary>Ends the watching; the token source itself stays usable for a late <see cref="Cancel"/>.</summary>
    public void Dispose()
    {
        _timer?.Dispose();
        _caller.Dispose();
        _channel.Dispose();
    }

    private sealed record StrongBox(Status Value);
}
