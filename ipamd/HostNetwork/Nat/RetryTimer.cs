// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>Schedules a recurring operation: at its interval after a success, with backoff up to a minute after failures.</summary>
internal sealed class RetryTimer
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(60);

    private TimeSpan _pause = FirstPause;
    private object? _subject;

    /// <summary>The last failure; null after a success, and before the first attempt.</summary>
    public HostNetworkException? Failure { get; private set; }

    /// <summary>Next retry after a failure.</summary>
    public DateTimeOffset RetryAt { get; private set; } = DateTimeOffset.MinValue;

    /// <summary>Next run after a success.</summary>
    public DateTimeOffset NextRun { get; set; } = DateTimeOffset.MinValue;

    public DateTimeOffset Next => Failure is null ? NextRun : RetryAt;

    /// <summary>Whether the last attempt had the same subject.</summary>
    public bool IsSameAsBefore(object subject) => subject.Equals(_subject);

    public void Begin(object subject) => _subject = subject;

    public void Succeeded(DateTimeOffset again) => (Failure, RetryAt, NextRun, _pause) = (null, DateTimeOffset.MinValue, again, FirstPause);

    public void Failed(HostNetworkException exception, DateTimeOffset now)
    {
        (Failure, RetryAt) = (exception, now + _pause);
        _pause = _pause * 2 < LongestPause ? _pause * 2 : LongestPause;
    }
}
